"""The long-running server: HTTP and gRPC in, the data plane's answers out; `python -m modelmill.serving.server`."""
