"""up, down, status, demo, logs: the commands of the local cloud, whose parts are loaded only when they are called."""

import importlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from modelmill.client.cli.output import Json, console, emit, errors, note
from modelmill.client.home import home
from modelmill.core.errors import ModelmillError

_FOLLOW_SECONDS = 0.5


def local_part(name: str) -> Any:
    """A module of `modelmill.local`, which the client does without; raises ModelmillError if it is not installed."""
    try:
        importlib.import_module("ministack")
        return importlib.import_module(f"modelmill.local.{name}")
    except ModuleNotFoundError as error:
        raise ModelmillError(
            "no_local_cloud",
            f"the local cloud is not installed (no module {error.name})",
            hint="pip install 'modelmill[local]'",
        ) from None


def up(as_json: Json = False) -> None:
    """Start the local cloud and deploy to it; quick when both are done."""
    with errors(as_json):
        started = time.monotonic()
        cloud = local_part("cloud").up(note)
        note(f"up in {time.monotonic() - started:.1f} s")
        emit(as_json, cloud, lambda: _show(cloud))


def down(as_json: Json = False) -> None:
    """Stop the local cloud. Its state is kept."""
    with errors(as_json):
        stopped = local_part("cloud").down(note)
        emit(as_json, {"running": False, "stopped": stopped}, lambda: note("stopped" if stopped else "was not running"))


def status(as_json: Json = False) -> None:
    """Where the local cloud is and what opens it."""
    with errors(as_json):
        cloud = local_part("cloud").status()
        emit(as_json, cloud, lambda: _show(cloud))


def demo(as_json: Json = False) -> None:
    """From nothing to an answer: start, deploy, train on the two bundled data sets, predict."""
    with errors(as_json):
        body = local_part("demo").run(console(stderr=True))
        emit(as_json, body, lambda: local_part("demo").show(console(), body))
        if body["status"] != "SUCCEEDED":
            raise typer.Exit(1)


def logs(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    as_json: Json = False,
) -> None:
    """What the jobs of a run wrote on this machine (on AWS it is in CloudWatch Logs)."""
    with errors(as_json):
        folder = home() / "logs" / "jobs" / run
        if not folder.is_dir() and not follow:
            raise ModelmillError(
                "no_logs", f"no job of run {run!r} wrote here", hint="on AWS look into CloudWatch Logs"
            )
        if as_json:
            files = {
                path.stem: path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.log"))
            }
            emit(as_json, {"run": run, "logs": files}, lambda: None)
        else:
            _print_logs(folder, run, follow)


def _print_logs(folder: Path, run: str, follow: bool) -> None:
    read: dict[Path, int] = {}
    while True:
        over = not follow or _is_over(run)
        for path in sorted(folder.glob("*.log")):
            with path.open("rb") as file:
                file.seek(read.get(path, 0))
                text = file.read()
                read[path] = file.tell()
            for line in text.decode("utf-8", errors="replace").splitlines():
                typer.echo(f"{path.stem}  {line}")
        if over:
            return
        time.sleep(_FOLLOW_SECONDS)


def _is_over(run: str) -> bool:
    from modelmill.client.api import Modelmill

    with Modelmill() as mill:
        return mill.run(run).over


def _show(cloud: dict[str, Any]) -> None:
    if not cloud["running"]:
        note("the local cloud is down; start it with: modelmill up")
        return
    shown = (
        "url",
        "token",
        "s3_endpoint",
        "uploads_bucket",
        "data_bucket",
        "models_bucket",
        "table",
        "tenant",
        "region",
    )
    for name in shown:
        console().print(f"[bold]{name:<15}[/] {cloud[name]}")
    console().print("[bold]credentials    [/] access key and secret: test")
