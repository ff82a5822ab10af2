"""Pure rules of the `data` phase."""
