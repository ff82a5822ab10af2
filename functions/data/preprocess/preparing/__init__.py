"""The steps of the data phase as Lambda runs them: the workflow's state in, `$.preprocess` out."""
