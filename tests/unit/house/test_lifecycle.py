"""The README's table, the function folders and the life cycle agree; tests/infra compares the workflow's states."""

import re
from pathlib import Path

import pytest

from modelmill.core.lifecycle import PIPELINE_STAGES, STAGES, position

ROOT = Path(__file__).parents[3]
SUPPORT = {"serve/authorise", "serve/control", "serve/server"}
"""Functions that serve people beside the life cycle: they are not one of its stages."""


def test_every_stage_has_its_function_folder_and_every_folder_its_stage() -> None:
    folders = {
        f"{path.parent.name}/{path.name}"
        for path in (ROOT / "functions").glob("*/*")
        if path.is_dir() and any(path.glob("*"))
    }
    assert folders - SUPPORT == {stage.function for stage in STAGES}
    assert folders >= SUPPORT


def test_a_function_folder_holds_a_handler_or_a_dockerfile() -> None:
    for folder in {stage.function for stage in STAGES} | SUPPORT:
        entry = "Dockerfile" if folder in {"model/job", "serve/server"} else "handler.py"
        assert (ROOT / "functions" / folder / entry).is_file(), folder


def test_the_readme_table_is_the_life_cycle() -> None:
    rows = [
        [cell.strip().strip("`") for cell in line.strip("| \n").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if re.match(r"\|\s*`?\w+`?\s*\|\s*(data|model|serve|watch)\s*\|", line)
    ]
    functions = [re.sub(r"[`\[\]]|\(.*?\)", "", row[2]).removeprefix("functions/").strip("/") for row in rows]
    assert [(row[0], row[1], function) for row, function in zip(rows, functions, strict=True)] == [
        (stage.name, stage.phase, stage.function) for stage in STAGES
    ]


def test_a_function_is_in_the_folder_of_its_phase() -> None:
    assert all(stage.function.startswith(f"{stage.phase}/") for stage in STAGES)


def test_position_follows_the_order_of_the_stages() -> None:
    assert [position(stage.name) for stage in STAGES] == list(range(len(STAGES)))
    assert [position(name) for name in PIPELINE_STAGES] == sorted(position(name) for name in PIPELINE_STAGES)
    with pytest.raises(KeyError):
        position("no-such-stage")


def test_every_function_has_a_real_event() -> None:
    events = {path.stem for path in (ROOT / "events").glob("*/*.json")}
    for folder in {stage.function for stage in STAGES} | SUPPORT:
        name = folder.split("/")[1]
        assert any(event.startswith(name) for event in events), f"events/ has none for {folder}"
