"""The control plane over HTTP: datasets, pipelines, models. Requests in, records out; the rules are in core."""
