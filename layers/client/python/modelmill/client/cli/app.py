"""The commands by name, and `main`."""

import json
import sys
from collections.abc import Callable
from typing import cast

import typer

from modelmill.client.cli import data, datasets, local, models, push, serve

app = typer.Typer(
    name="modelmill",
    help="Data in, endpoint out. MODELMILL_URL and MODELMILL_TOKEN name the service; without them, the local cloud.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(local.up, local.down, local.status, local.demo),
    *(push.push, data.runs, data.show, data.report, local.logs),
    *(models.models, models.route, models.predict, models.delete, serve.serve),
)
# Typer brings its own copy of click, older versions the real one; what BadParameter derives from is public in both.
_UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])
for command in _COMMANDS:
    app.command()(command)
app.add_typer(datasets.app, name="datasets")


def main() -> None:
    """Run the command line of this process: exit code 0, 1 for a refusal or a failed run, 2 for wrong usage."""
    arguments = _spelled_out(sys.argv[1:])
    if "--json" not in arguments:
        app(args=arguments)
        return
    try:
        sys.exit(app(args=arguments, standalone_mode=False))
    except _UsageError as error:
        body = {"code": "usage", "message": str(error), "hint": "modelmill COMMAND --help"}
        sys.stdout.write(json.dumps({"error": body}, ensure_ascii=False) + "\n")
        sys.exit(2)


def _spelled_out(arguments: list[str]) -> list[str]:
    """`predict M --json '{…}'` gives the row and asks for a JSON answer in one: `--row '{…}' --json`."""
    if arguments[:1] != ["predict"] or "--json" not in arguments:
        return arguments
    at = arguments.index("--json")
    following = arguments[at + 1 : at + 2]
    if following and following[0].lstrip().startswith(("{", "[")):
        return [*arguments[:at], "--row", *following, *arguments[at + 2 :], "--json"]
    return arguments
