"""push: files and folders in; their bytes on the way to S3 as a bar of progress, and the run that they start, out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from modelmill.client.cli.data import stage_name
from modelmill.client.cli.output import Json, console, emit, errors, note
from modelmill.client.types import Run
from modelmill.core.errors import ModelmillError

_LARGE_BYTES = 50_000_000


def push(
    files: Annotated[list[Path], typer.Argument(help="Data files, or folders of them.", show_default=False)],
    name: Annotated[
        str, typer.Option("--name", "-n", help="The data set, and the model unless the recipe names another.")
    ],
    recipe: Annotated[Path | None, typer.Option("--recipe", "-r", help="A recipe in YAML.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The column to predict; overrules the recipe.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow the pipeline to its end.")] = False,
    as_json: Json = False,
) -> None:
    """Upload files as one data set: that starts a pipeline, from data to an endpoint. Interrupted, it can go on."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        text = _recipe(recipe, target)
        with Modelmill() as mill:
            with _progress() as progress:
                upload = mill.upload(name, files, text, progress)
            what = files[0].name if len(files) == 1 else f"{len(files)} files"
            note(f"{what} is uploaded as {upload.key}" if len(files) == 1 else f"{what} are uploaded as {upload.key}")
            if wait:
                result = _follow(mill, upload.key).summary()
            else:
                result = {"dataset": name, "upload_id": upload.upload_id, "key": upload.key}
        emit(as_json, result, lambda: _show_result(result, wait))
        if result.get("status") not in (None, "SUCCEEDED"):
            raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line for each tenth of what is large."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    out = console(stderr=True)
    if not out.is_terminal:
        yield _tenths()
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda sent, size: bar.update(task, completed=sent, total=size)


def _tenths() -> Callable[[int, int], None]:
    shown = [0]

    def progress(sent: int, size: int) -> None:
        tenth = 10 * sent // size if size > _LARGE_BYTES else 0
        if tenth > shown[0]:
            shown[0] = tenth
            note(f"  {tenth * 10} % of {size / 1e6:,.0f} MB")

    return progress


def _follow(mill: Any, key: str) -> Run:
    """Wait for a run, saying each stage as it begins and ends, and each quarter of a long one."""
    said: set[tuple[str, str | None, str, int]] = set()

    def seen(run: Run) -> None:
        for stage in run.stages:
            mark = (stage.stage, stage.candidate, stage.status, int(4 * (stage.fraction or 0)))
            if mark not in said:
                said.add(mark)
                note(f"  {stage.status.lower():<10} {stage_name(stage):<22} {stage.message}".rstrip())

    run: Run = mill.wait(key, seen=seen)
    seen(run)
    return run


def _show_result(result: dict[str, Any], waited: bool) -> None:
    for warning in result.get("warnings", []):
        console().print(f"warning: {warning['message']}", markup=False)
    if not waited:
        console().print(f"{result['key']}: follow it with: modelmill runs", markup=False)
    elif result["status"] == "SUCCEEDED":
        model = result["model"] or {}
        # A recipe can keep traffic from it, so that it need not answer.
        line = f"model {model.get('name')} version {model.get('version')}: modelmill models {model.get('name')}"
        console().print(line, markup=False)
    else:
        reason = result["reason"] or {}
        console().print(f"{result['status']}: {reason.get('message', 'no reason was given')}", markup=False)
        if reason.get("hint"):
            console().print(f"hint: {reason['hint']}", markup=False)


def _recipe(path: Path | None, target: str | None) -> str | None:
    """The text of the recipe to send, with the target in it. What is no recipe is sent as it is: the API says why."""
    text = _text(path) if path else None
    if target is None:
        return text
    import yaml

    try:
        document = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        return text
    if not isinstance(document, dict):
        return text
    return str(yaml.safe_dump({**document, "target": target}, allow_unicode=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelmillError("no_file", f"{path} cannot be read: {error}") from error
