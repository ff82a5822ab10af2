"""models, route, predict, delete: names in, what the registry and the endpoints say out."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from modelmill.client.cli.output import Json, console, emit, errors, headline, note, table
from modelmill.core.errors import ModelmillError

Name = Annotated[str, typer.Argument(help="The model.", show_default=False)]


def models(
    name: Annotated[str | None, typer.Argument(help="Show this model and its versions.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """The models, or one model with its versions."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            if name is None:
                found = mill.models()
                rows = [(model["name"], _weights(model.get("route"))) for model in found]
                emit(as_json, {"models": found}, lambda: table(("model", "route"), rows))
                return
            model, versions = mill.model(name), mill.versions(name)
        emit(as_json, {**model, "versions": versions}, lambda: _show_model(model, versions))


def route(
    model: Name,
    weights: Annotated[str | None, typer.Option("--set", help="For example 3=0.9,4=0.1")] = None,
    shadow: Annotated[str | None, typer.Option(help="A version that sees all traffic, unanswered.")] = None,
    as_json: Json = False,
) -> None:
    """How a model's traffic is shared by its versions; with --set, change it."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        if shadow and not weights:
            raise typer.BadParameter("--shadow needs --set")
        with Modelmill() as mill:
            answer = mill.set_route(model, _parse_weights(weights), shadow) if weights else mill.route(model)
        emit(as_json, answer, lambda: console().print(f"{model}: {_weights(answer)}", markup=False))


def predict(
    model: Name,
    *,
    text: Annotated[str | None, typer.Option(help="One text.")] = None,
    row: Annotated[
        str | None, typer.Option(help="A row as a JSON object or several as an array; --json ROW too.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Rows as .json, .jsonl or .csv; or an image or a sound.")] = None,
    version: Annotated[str | None, typer.Option(help="Ask this version, not the route.")] = None,
    as_json: Json = False,
) -> None:
    """Ask a model."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        if sum(given is not None for given in (text, row, file)) != 1:
            raise typer.BadParameter("give one of --text, --json ROW and --file")
        instances = [{"text": text}] if text is not None else _rows(row) if row is not None else _read(file)
        with Modelmill() as mill:
            answer = mill.predict(model, instances, version)
        emit(as_json, answer, lambda: _show_answer(answer))


def delete(
    kind: Annotated[Literal["dataset", "model"], typer.Argument(help="What to delete.", show_default=False)],
    name: Annotated[str, typer.Argument(show_default=False)],
    *,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also a model that answers requests.")] = False,
    trained: Annotated[bool, typer.Option("--models", help="With data, also the models trained from it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a data set or a model, or one version of it."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        if trained and kind == "model":
            raise typer.BadParameter("--models goes with a dataset")
        what = f"{kind} {name}" + (f" version {version}" if version else "")
        if not yes and not as_json:
            typer.confirm(f"Delete {what}?", abort=True)
        with Modelmill() as mill:
            answer = mill.delete(kind, name, version, force=force, models=trained)
        emit(as_json, {"deleted": what, **answer}, lambda: _show_deleted(what, answer))


def _show_deleted(what: str, answer: dict[str, Any]) -> None:
    console().print(f"{what} is deleted", markup=False)
    word = "deleted too" if answer.get("models_deleted") else "kept, though trained from it"
    for one in answer.get("models", []):
        console().print(f"model {one['model']} version {one['version']}: {word}", markup=False)


def _weights(route: dict[str, Any] | None) -> str | None:
    if not route or not route.get("weights"):
        return None
    shares = ", ".join(f"version {version}: {weight:.0%}" for version, weight in route["weights"].items())
    return shares + (f", shadow: version {route['shadow']}" if route.get("shadow") else "")


def _parse_weights(text: str) -> dict[str, float]:
    weights = {}
    for part in text.split(","):
        version, separator, weight = part.partition("=")
        try:
            weights[version.strip()] = float(weight)
        except ValueError:
            raise typer.BadParameter(f"{part!r} is not VERSION=WEIGHT") from None
        if not separator or not version.strip():
            raise typer.BadParameter(f"{part!r} is not VERSION=WEIGHT")
    return weights


def _rows(text: str | None) -> list[dict[str, Any]]:
    try:
        document = json.loads(text or "")
    except json.JSONDecodeError as error:
        raise ModelmillError("bad_json", f"the row is not JSON: {error}") from None
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(one, dict) for one in rows):
        raise ModelmillError("bad_json", "a row is a JSON object, several rows are an array of objects")
    return rows


_MEDIA = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"), "image"),
    **dict.fromkeys((".wav", ".flac"), "audio"),
}
"""By a file's ending, the field under which a model of one image or sound takes it."""


def _read(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    field = _MEDIA.get(path.suffix.lower())
    try:
        if field:
            return [{field: base64.b64encode(path.read_bytes()).decode("ascii")}]
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelmillError("no_file", f"{path} cannot be read: {error}") from error
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text)))
    if path.suffix == ".jsonl":
        return [row for line in text.splitlines() if line.strip() for row in _rows(line)]
    return _rows(text)


def _show_answer(answer: dict[str, Any]) -> None:
    found = answer["predictions"]
    if found and "value" in found[0]:
        table(("value",), [(f"{one['value']:.6g}",) for one in found])
    elif found and "labels" in found[0]:
        table(("labels",), [(", ".join(one["labels"]),) for one in found])
    else:
        table(("label", "score"), [(one["label"], f"{one['score']:.4f}") for one in found])
    note(f"answered by {answer['model']} version {answer['version']}")


def _show_model(model: dict[str, Any], versions: list[dict[str, Any]]) -> None:
    out = console()
    out.print(f"[bold]{model['name']}[/]  {_weights(model.get('route')) or 'no route'}")
    rows = [
        (
            one["version"],
            _score(one.get("metrics") or {}),
            one.get("candidate"),
            one["digest"][:12],
            str(one.get("created", ""))[:16].replace("T", " "),
        )
        for one in versions
    ]
    first = next((name for one in versions for name, _ in headline(one.get("metrics") or {})), "score")
    table(("version", f"{first} (95 %)", "candidate", "digest", "created (UTC)"), rows)


def _score(metrics: dict[str, Any]) -> str | None:
    """The first of the headline: accuracy, micro F1 or explained variance."""
    return next((score for _, score in headline(metrics)), None)
