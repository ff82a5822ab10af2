"""Pure rules of the `watch` phase."""
