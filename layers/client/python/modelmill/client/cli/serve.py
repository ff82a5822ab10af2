"""serve: package folders on this machine, served by the long-running server, which takes this process's place."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from modelmill.client.cli.output import errors
from modelmill.core.errors import ModelmillError


def serve(
    folder: Annotated[Path, typer.Argument(help="A package, or a folder of them.", exists=True, file_okay=False)],
    host: Annotated[str, typer.Option(help="Address of both listeners.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="HTTP.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="gRPC.")] = 8081,
    workers: Annotated[int, typer.Option(help="Processes, one a core.")] = 1,
) -> None:
    """Serve model packages from a folder over HTTP and gRPC (Open Inference Protocol), without AWS and without keys."""
    with errors(as_json=False):
        missing = [name for name in ("grpc", "httptools", "onnxruntime", "uvloop") if find_spec(name) is None]
        if missing:
            raise ModelmillError(
                "no_server",
                f"the server is not installed (no module {missing[0]})",
                hint="pip install 'modelmill[server]'",
            )
        options = {"--folder": folder, "--host": host, "--port": port, "--grpc-port": grpc_port, "--workers": workers}
        words = [str(word) for option in options.items() for word in option]
        os.execv(sys.executable, [sys.executable, "-m", "modelmill.serving.server", *words])  # noqa: S606 - ourselves
