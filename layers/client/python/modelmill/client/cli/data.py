"""push, runs, show, report: files in, pipeline runs, their progress and reports of the data out."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from modelmill.client.cli.output import Json, console, emit, errors, note, table
from modelmill.client.types import Run, Stage
from modelmill.core.errors import ModelmillError


def push(
    files: Annotated[list[Path], typer.Argument(help="Data files.", show_default=False)],
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
    """Upload files: each starts a pipeline, from data to an endpoint."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        text = _recipe(recipe, target)
        results = []
        with Modelmill() as mill:
            for file in files:
                upload = mill.upload(name, file, text, _progress(file))
                note(f"{file.name} is uploaded as {upload.key}")
                if wait:
                    results.append(_follow(mill, upload.key).summary())
                else:
                    results.append({"dataset": name, "upload_id": upload.upload_id, "key": upload.key})
        last = results[-1]
        body = last if len(results) == 1 else {**last, "files": results}
        emit(as_json, body, lambda: _show_results(results, wait))
        if any(result.get("status") not in (None, "SUCCEEDED") for result in results):
            raise typer.Exit(1)


def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: Json = False,
) -> None:
    """The newest pipeline runs."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            found = mill.runs(limit)
        rows = [(run.id, run.dataset, run.status, _model(run) or _reason(run)) for run in found]
        body = {"pipelines": [run.raw for run in found]}
        emit(as_json, body, lambda: table(("run", "dataset", "status", "outcome"), rows))


def show(run: Annotated[str, typer.Argument(help="The run's id.")], as_json: Json = False) -> None:
    """One run: its stages, its data, its outcome."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            found = mill.run(run)
        emit(as_json, found.raw, lambda: show_run(found))


def report(
    name: Annotated[str, typer.Argument(help="The data set.", show_default=False)],
    version: Annotated[str | None, typer.Argument(help="Its version; the latest if none.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the page here, not to NAME-VERSION.html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save the report of a data set as a page of HTML: what was read, what is in it, what to look at."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            version, page = mill.report(name, version)
        path = output or Path(f"{name}-{version}.html")
        try:
            path.write_bytes(page)
        except OSError as error:
            raise ModelmillError("no_file", f"{path} cannot be written: {error.strerror}") from error
        body = {"dataset": name, "version": version, "path": str(path)}
        emit(as_json, body, lambda: console().print(str(path), markup=False))


def show_run(run: Run) -> None:
    """A run for people."""
    rows = [(_stage(stage), _status(stage), stage.message) for stage in run.stages]
    out = console()
    out.print(f"[bold]{run.id}[/] of {run.dataset}: {run.status}")
    table(("stage", "status", ""), rows)
    if run.rows:
        out.print("rows: {read:,} read, {used:,} used, {quarantined:,} quarantined".format(**run.rows))
    if run.dataset_version:
        out.print(f"report of the data: modelmill report {run.dataset} {run.dataset_version}", markup=False)
    for warning in run.warnings:
        out.print(f"warning: {warning['message']}", markup=False)
    if run.reason:
        out.print(f"reason: {run.reason['message']}", markup=False)
        if run.reason.get("hint"):
            out.print(f"hint: {run.reason['hint']}", markup=False)
    if run.model:
        out.print(f"model: {_model(run)}", markup=False)


def _follow(mill: Any, key: str) -> Run:
    """Wait for a run, saying each stage as it begins and ends."""
    said: set[tuple[str, str | None, str]] = set()

    def seen(run: Run) -> None:
        for stage in run.stages:
            mark = (stage.stage, stage.candidate, stage.status)
            if mark not in said:
                said.add(mark)
                note(f"  {stage.status.lower():<10} {_stage(stage):<22} {stage.message}".rstrip())

    run: Run = mill.wait(key, seen=seen)
    seen(run)
    return run


def _show_results(results: list[dict[str, Any]], waited: bool) -> None:
    for result in results:
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


def _progress(file: Path) -> Callable[[int, int], None] | None:
    """A line for each tenth of a large file."""
    if not file.is_file() or file.stat().st_size < 50_000_000:
        return None
    shown = [0]

    def progress(sent: int, size: int) -> None:
        tenth = 10 * sent // size
        if tenth > shown[0]:
            shown[0] = tenth
            note(f"  {file.name}: {tenth * 10} %")

    return progress


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


def _stage(stage: Stage) -> str:
    return f"{stage.stage} {stage.candidate}" if stage.candidate else stage.stage


def _status(stage: Stage) -> str:
    return f"{stage.status} {stage.fraction:.0%}" if stage.status == "RUNNING" and stage.fraction else stage.status


def _model(run: Run) -> str | None:
    return f"{run.model.get('name')} version {run.model.get('version')}" if run.model else None


def _reason(run: Run) -> str | None:
    return run.reason["message"] if run.reason else None
