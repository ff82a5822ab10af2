"""Pure rules of the `model` phase."""
