"""One stack per phase of the life cycle: data, model, serve, watch."""
