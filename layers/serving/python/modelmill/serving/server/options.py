"""The server's command line and environment, as one value."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelmill.core.names import DEFAULT_TENANT


@dataclass(frozen=True)
class Options:
    """`folder` serves packages from a disk; without it the registry in AWS is served. Ports of 0 are free ones."""

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 8081
    workers: int = 1
    drain_seconds: float = 25.0
    folder: Path | None = None
    preload: tuple[str, ...] = ()
    tenant: str = DEFAULT_TENANT
    invoked: str | None = None
    """The one model behind SageMaker's /invocations."""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Options of a command line; exits with what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m modelmill.serving.server", description="Serve models.")
    parser.add_argument("--host", default=Options.host, help="address of both listeners (default: %(default)s)")
    parser.add_argument("--port", type=int, default=Options.port, help="HTTP (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=Options.grpc_port, help="gRPC (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes, one a core (default: %(default)s)")
    parser.add_argument("--drain-seconds", type=float, default=Options.drain_seconds, help="patience after SIGTERM")
    parser.add_argument("--folder", type=Path, help="serve the packages in this folder, without AWS and without keys")
    parser.add_argument("--model", action="append", default=[], help="load this model before ready (repeatable)")
    parser.add_argument("serve", nargs="?", choices=["serve"], help="what SageMaker says; it changes nothing")
    given = parser.parse_args(arguments)
    invoked = os.environ.get("MODELMILL_MODEL")
    options = Options(
        host=given.host,
        port=given.port,
        grpc_port=given.grpc_port,
        workers=given.workers,
        drain_seconds=given.drain_seconds,
        folder=given.folder,
        preload=tuple(dict.fromkeys([*given.model, *([invoked] if invoked else [])])),
        tenant=os.environ.get("MODELMILL_TENANT", DEFAULT_TENANT),
        invoked=invoked,
    )
    if given.folder and not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    if not given.folder and "MODELMILL_TABLE" not in os.environ:
        parser.error("give --folder, or MODELMILL_TABLE and MODELMILL_MODELS_BUCKET in the environment")
    if given.workers < 1 or (given.workers > 1 and 0 in (given.port, given.grpc_port)):
        parser.error("--workers is 1 or more, and more than one need fixed ports")
    return options
