"""runs, show, report: names in; pipeline runs, their stages, reports of data and models out."""

from pathlib import Path
from typing import Annotated

import typer

from modelmill.client.cli.output import Json, console, emit, errors, headline, table
from modelmill.client.cli.pace import pace
from modelmill.client.types import Run, Stage
from modelmill.core.errors import ModelmillError


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
    name: Annotated[str, typer.Argument(help="The data set, or the model.", show_default=False)],
    version: Annotated[str | None, typer.Argument(help="Its version; the latest if none.", show_default=False)] = None,
    *,
    model: Annotated[bool, typer.Option("--model", "-m", help="The report of a model, not of a data set.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the page here, not to NAME-VERSION.html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save a report as a page of HTML: what is in a data set, or with --model how good a model is; what to look at."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            version, page = mill.model_report(name, version) if model else mill.report(name, version)
        path = output or Path(f"{name}-{'model-' if model else ''}{version}.html")
        try:
            path.write_bytes(page)
        except OSError as error:
            raise ModelmillError("no_file", f"{path} cannot be written: {error.strerror}") from error
        body = {"model" if model else "dataset": name, "version": version, "path": str(path)}
        emit(as_json, body, lambda: console().print(str(path), markup=False))


def show_run(run: Run) -> None:
    """A run for people."""
    rows = [(stage_name(stage), _status(stage), pace(stage), stage.message) for stage in run.stages]
    out = console()
    out.print(f"[bold]{run.id}[/] of {run.dataset}: {run.status}")
    table(("stage", "status", "time", ""), rows)
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
        for name, score in headline(run.model.get("metrics") or {}):
            out.print(f"  {name}: {score}", markup=False)
        out.print(f"report of the model: modelmill report --model {run.model.get('name')} {run.model.get('version')}")


def stage_name(stage: Stage) -> str:
    """A stage, with the candidate that it is of."""
    return f"{stage.stage} {stage.candidate}" if stage.candidate else stage.stage


def _status(stage: Stage) -> str:
    return f"{stage.status} {stage.fraction:.0%}" if stage.status == "RUNNING" and stage.fraction else stage.status


def _model(run: Run) -> str | None:
    return f"{run.model.get('name')} version {run.model.get('version')}" if run.model else None


def _reason(run: Run) -> str | None:
    return run.reason["message"] if run.reason else None
