"""The pure heart of modelmill: rules and shapes, with no I/O, no clock and no environment.

Everything else imports this package; this package imports the standard library and pydantic only (an
import-linter contract keeps it so). Sub-packages follow the flow of data: data, model, serve, watch.
"""
