"""datasets: names in; the data sets, one of them with its versions, one version, or how two differ, out."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any

import typer

from modelmill.client.cli.output import Json, console, emit, errors, table

app = typer.Typer(help="The data sets: list them, show one, compare two versions.", add_completion=False)
_SHOWN = 12
Name = Annotated[str, typer.Argument(help="The data set.", show_default=False)]


@app.callback(invoke_without_command=True)
def list_datasets(context: typer.Context, as_json: Json = False) -> None:
    """The data sets; `show` one of them, or `diff` two of its versions."""
    if context.invoked_subcommand is not None:
        return
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            found = mill.datasets()
        rows = [(one["name"], one["latest"], _time(one.get("updated"))) for one in found]
        emit(as_json, {"datasets": found}, lambda: table(("dataset", "latest version", "updated (UTC)"), rows))


@app.command()
def show(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="One version.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """A data set with its versions, or one version: rows, columns, where it came from, what came of it."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            if version is not None:
                found = mill.dataset_version(name, version)
                emit(as_json, found, lambda: _show_version(found))
                return
            dataset, versions = mill.dataset(name), mill.dataset_versions(name)
        emit(as_json, {**dataset, "versions": versions}, lambda: _show_versions(dataset, versions))


@app.command()
def diff(
    name: Name,
    version: Annotated[str, typer.Argument(help="The older version.", show_default=False)],
    other: Annotated[str, typer.Argument(help="The newer version.", show_default=False)],
    as_json: Json = False,
) -> None:
    """What changed from one version of a data set to another."""
    with errors(as_json):
        from modelmill.client.api import Modelmill

        with Modelmill() as mill:
            found = mill.diff(name, version, other)
        emit(as_json, found, lambda: _show_diff(found))


def _time(stamp: Any) -> str:
    return str(stamp or "")[:16].replace("T", " ")


def _say(line: str) -> None:
    console().print(line, markup=False)


def _show_versions(dataset: dict[str, Any], versions: list[dict[str, Any]]) -> None:
    _say(f"{dataset['name']}: latest version {dataset['latest']}")
    rows = [
        (one["version"], f"{one['rows']['used']:,}", one["task"], one["target"], _time(one.get("created")))
        for one in versions
    ]
    table(("version", "rows used", "task", "target", "created (UTC)"), rows)


def _show_version(found: dict[str, Any]) -> None:
    _say(f"{found['dataset']} {found['version']}: {found['task']}, target {found['target']}")
    _say("rows: {read:,} read, {used:,} used, {quarantined:,} quarantined".format(**found["rows"]))
    _say("splits: " + ", ".join(f"{name} {rows:,}" for name, rows in found["splits"].items()))
    inputs = {column["name"] for column in found["inputs"]}
    columns = [(one["name"], one["kind"], _use(one["name"], found["target"], inputs)) for one in found["columns"]]
    table(("column", "kind", "use"), columns)
    for reason, rows in found["quarantine"].items():
        _say(f"quarantined: {rows:,} {reason}")
    for warning in found["warnings"]:
        _say(f"warning: {warning['message']}")
    for source in found["sources"][:_SHOWN]:
        _say(f"from: s3://{source['bucket']}/{source['key']} version {source['version_id'] or '-'}")
    more = found.get("source_count", 0) - _SHOWN
    if more > 0:
        _say(f"from: {more} more; version.json has them all")
    for run in found.get("runs", []):
        _say(f"run: {run['id']} {run['status']}")
    for model in found.get("models", []):
        _say(f"model: {model['model']} version {model['version']}")


def _use(name: str, target: str, inputs: Collection[str]) -> str:
    return "target" if name == target else "input" if name in inputs else ""


def _show_diff(found: dict[str, Any]) -> None:
    _say(f"{found['dataset']}: {found['from']} -> {found['to']}")
    groups = [("rows", found["rows"]), ("split", found["splits"])]
    groups += [(what, {"": found[what]}) for what in ("task", "target") if found[what]]
    groups += [(what, found[what]) for what in ("quarantine", "masked", "recipe")]
    rows = [
        (f"{what} {name}".rstrip(), change["from"], change["to"])
        for what, changes in groups
        for name, change in changes.items()
    ]
    table(("", "before", "after"), rows)
    _say_sets("class", found["labels"]["added"], found["labels"]["removed"])
    for what, columns in (("column", found["columns"]), ("input", found["inputs"])):
        _say_sets(what, *([one["name"] for one in columns[side]] for side in ("added", "removed")))
        for one in columns["changed"]:
            _say(f"{what} {one['name']}: {one['from']} -> {one['to']}")
    for word in ("came", "went"):
        for warning in found["warnings"][word]:
            _say(f"warning that {word}: {warning['message']}")
    if found["statistics"] is None:
        _say("statistics: not compared, a profile is missing or too large")
        return
    moved = found["statistics"]["columns"]
    if moved:
        table(("column", "shift", "missing", "mean"), [_moved(one) for one in moved[:_SHOWN]])


def _say_sets(what: str, added: Iterable[str], removed: Iterable[str]) -> None:
    for word, names in (("added", list(added)), ("removed", list(removed))):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            _say(f"{what} {word}: {', '.join(names[:_SHOWN])}{more}")


def _moved(one: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    missing, mean = one.get("missing"), one.get("mean")
    return (
        one["name"],
        f"{one['shift']:.3g}",
        f"{missing['from']:.1%} -> {missing['to']:.1%}" if missing else None,
        f"{mean['from']:.4g} -> {mean['to']:.4g}" if mean else None,
    )
