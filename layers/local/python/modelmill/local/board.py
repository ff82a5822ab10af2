"""Progress of several pipeline runs: states of runs in; a live picture, or lines where there is no terminal, out."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from modelmill.client.types import Run, Stage
from modelmill.core.lifecycle import PIPELINE_STAGES

_MARK = {
    "SUCCEEDED": ("✓", "green"),
    "FAILED": ("✗", "red"),
    "SKIPPED": ("-", "dim"),
    "RUNNING": ("…", "yellow"),
}


class Board:
    """Shows the newest state of each named run. `update` may be called by several threads."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._runs: dict[str, Run | None] = dict.fromkeys(names)
        self._said: set[tuple[str, str, str | None, str]] = set()
        self._lock = threading.Lock()
        self._live = (
            Live(console=console, get_renderable=self._picture, refresh_per_second=4) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        if self._live:
            self._live.stop()

    def update(self, name: str, run: Run) -> None:
        """The newest state of a run."""
        with self._lock:
            self._runs[name] = run
            if self._live is None:
                self._say_news(name, run)

    def _say_news(self, name: str, run: Run) -> None:
        for stage in run.stages:
            news = (name, stage.stage, stage.candidate, stage.status)
            if news not in self._said:
                self._said.add(news)
                self._console.print(Text(f"{name:<8} ").append(_line(stage)))

    def _picture(self) -> RenderableType:
        lines: list[Text] = []
        with self._lock:
            for name, run in self._runs.items():
                lines.append(Text(f"{name}  {run.id if run else 'waiting for its run'}", style="bold"))
                reported = run.stages if run else []
                lines += [_line(stage) for stage in reported]
                begun = {stage.stage for stage in reported}
                if run is None or not run.over:
                    lines += [Text(f"    {stage}", style="dim") for stage in PIPELINE_STAGES if stage not in begun]
        return Group(*lines)


def _line(stage: Stage) -> Text:
    mark, style = _MARK.get(stage.status, ("?", ""))
    who = f"{stage.stage} {stage.candidate}" if stage.candidate else stage.stage
    line = Text("  ").append(mark, style=style).append(f" {who:<28}{_seconds(stage):>7}  ")
    if stage.status == "RUNNING" and stage.fraction is not None:
        line.append(f"{stage.fraction:.0%} ")
    return line.append(stage.message, style="red" if stage.status == "FAILED" else "")


def _seconds(stage: Stage) -> str:
    if not stage.started:
        return ""
    end = datetime.fromisoformat(stage.ended) if stage.ended else datetime.now(UTC)
    return f"{(end - datetime.fromisoformat(stage.started)).total_seconds():.1f} s"
