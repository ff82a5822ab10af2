"""The command line `modelmill`: arguments in; tables and progress for people, or one JSON object with `--json`, out."""

from modelmill.client.cli.app import main

__all__ = ["main"]
