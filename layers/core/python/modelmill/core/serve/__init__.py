"""Pure rules of the `serve` phase."""
