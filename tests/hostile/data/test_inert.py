"""What people open, the report and the quarantine, of files that would have something run: all of it is text there."""

import json
from html.parser import HTMLParser
from pathlib import Path

from tests.hostile.data.cases import table
from tests.perf.data_phase import run

FORMULA = '=cmd|"/c calc"!A1'
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>x</a>"


class Tags(HTMLParser):
    """Elements that can run something or fetch it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        active = [name for name, _ in attrs if name.startswith("on")]
        fetched = [
            value for name, value in attrs if name in {"src", "href"} and not (value or "").startswith(("#", "data:"))
        ]
        if tag in {"script", "iframe", "object", "embed", "base", "form"} or active or fetched:
            self.found.append(f"{tag} {attrs}")


def test_cells_that_run_are_text_where_a_person_opens_them(tmp_path: Path) -> None:
    quoted_formula = FORMULA.replace('"', '""')
    spoilt = (
        table(header=f'"{MARKUP}",label') + f'"{quoted_formula}","{MARKUP}",\n"{MARKUP}",\n"{quoted_formula}",yes\n'
    )
    path, folder = tmp_path / "data.csv", tmp_path / "version"
    path.write_text(spoilt)
    folder.mkdir()
    run([(path, f"{MARKUP[:8]}.csv")], folder)
    lines = (folder / "quarantine.jsonl").read_text("utf-8").splitlines()
    rows = {row["row"]: row for row in map(json.loads, lines)}
    assert {number: row["reason"] for number, row in rows.items()} == {61: "ragged_row", 62: "missing_target"}
    assert all(line.startswith('{"') for line in lines)
    page = Tags()
    page.feed((folder / "report.html").read_text("utf-8"))
    assert page.found == []
