"""Times in, cells of a table out."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence


def milliseconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1_000


def interleaved(actions: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Results of each action over the rounds: taking turns, so that a busy minute falls on all of them alike."""
    results: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, result in zip(actions, results, strict=True):
            result.append(action())
    return results


def spread(times: Iterable[float], digits: int = 0) -> str:
    """`median (minimum)`."""
    known = sorted(times)
    return f"{statistics.median(known):.{digits}f} ({known[0]:.{digits}f})"


def row(*cells: object) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*cells: str) -> str:
    """The head of a Markdown table, with a blank line before it."""
    return f"\n{row(*cells)}\n{row(*('---' for _ in cells))}"
