"""What a command prints: with `--json` one object on stdout, else text for people; progress and errors on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from modelmill.core.errors import ModelmillError

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


def console(*, stderr: bool = False) -> "Console":
    """A terminal for text; colours only where there is one."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def emit(as_json: bool, body: dict[str, Any], text: Callable[[], None]) -> None:
    """The command's answer: `body` as JSON, or `text()` for people."""
    if as_json:
        sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    else:
        text()


def note(line: str) -> None:
    """A line of progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people; None is left empty."""
    from rich.markup import escape
    from rich.table import Column, Table

    # The first column is what people copy.
    shown = Table(
        *(Column(name, no_wrap=not place) for place, name in enumerate(columns)),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for row in rows:
        shown.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    console().print(shown)


@contextmanager
def errors(as_json: bool) -> Iterator[None]:
    """Turns a refusal into one line with its hint and exit code 1."""
    try:
        yield
    except ModelmillError as error:
        fail(as_json, error)
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(130) from None


def fail(as_json: bool, error: ModelmillError) -> NoReturn:
    """Say what is wrong, and exit with 1."""
    if as_json:
        sys.stdout.write(json.dumps({"error": error.as_dict()}, ensure_ascii=False) + "\n")
    else:
        note(f"error: {error.message}")
        if error.hint:
            note(f"hint: {error.hint}")
    raise typer.Exit(1)


def headline(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The scores of a version that are looked at first, each with its 95 % interval."""
    names = metrics.get("headline") or ["accuracy"]  # versions of earlier releases name none
    scores = [(name.replace("_", " "), metrics[name]) for name in names if isinstance(metrics.get(name), dict)]
    return [(name, f"{_score(one['value'])} [{_score(one['low'])}, {_score(one['high'])}]") for name, one in scores]


def _score(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.6g}"
