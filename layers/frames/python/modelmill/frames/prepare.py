"""The data phase on one machine: a file and a recipe in; a plan, split rows, quarantine and profiles out."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from modelmill.core.data.accounts import UnusableData, accounts
from modelmill.core.data.columns import ColumnSummary, can_be_classes
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.plan import Plan, make_plan
from modelmill.core.data.target import guess_target
from modelmill.core.data.version import DatasetVersion, DataWarning, Rows
from modelmill.core.digest import canonical_json
from modelmill.core.errors import Rejected
from modelmill.core.limits import MAX_CLASSES, MIN_ROWS, MIN_ROWS_PER_CLASS
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import Column
from modelmill.frames.clean import class_names, clean, decide_none, typed
from modelmill.frames.mask import (
    Counts,
    Masked,
    as_models_see,
    check_inputs,
    check_names,
    mask_bad,
    mask_table,
    warnings_of,
)
from modelmill.frames.profile import Profile
from modelmill.frames.quarantine import USED, Integers, find_leaks, judge, reason_of, row_digests
from modelmill.frames.read.file import read
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow
from modelmill.frames.report.page import render
from modelmill.frames.report.sample import sample
from modelmill.frames.report.stats import statistics
from modelmill.frames.splitting import split_rows

REPORT_ROWS = 5
"""Rows that the report shows as they are."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file in memory: clean strings, the numbers of its rows from 1, what could not be read, and its profile."""

    table: pa.Table
    numbers: Integers
    bad: list[BadRow]
    profile: Profile
    warnings: list[DataWarning]

    @property
    def read(self) -> int:
        """Rows of the file, readable or not."""
        return int(self.table.num_rows) + len(self.bad)

    def content(self) -> str:
        """sha256 of all cells: the same for the same rows in another format, encoding or chunking."""
        digest = sha256()
        for name, column in zip(self.table.column_names, self.table.columns, strict=True):
            lengths, values = sha256(), sha256()
            for chunk in column.chunks:
                lengths.update(pc.fill_null(pc.binary_length(chunk), -1).to_numpy(zero_copy_only=False).tobytes())
                present = chunk.drop_null()
                offsets = np.frombuffer(present.buffers()[1], np.int64)[
                    present.offset : present.offset + len(present) + 1
                ]
                if len(present):
                    values.update(memoryview(present.buffers()[2])[offsets[0] : offsets[-1]])
            digest.update(canonical_json([name, lengths.hexdigest(), values.hexdigest()]))
        digest.update(canonical_json([[row.number, row.reason, row.raw] for row in self.bad]))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the data phase decided and made of a file."""

    content: str
    plan: Plan
    rows: Rows
    labels: list[str]
    splits: dict[str, pa.Table]
    sample: pa.Table
    """Some of the used rows with all columns of the file, as clean strings: what the report shows."""
    quarantine: list[dict[str, Any]]
    file_profile: Profile
    train_profile: Profile
    warnings: list[DataWarning]
    masked: dict[str, Counts]
    """Column → kind of personal data → how many were masked."""

    @property
    def reasons(self) -> dict[str, int]:
        """Quarantine reason → number of rows."""
        return dict(Counter(row["reason"] for row in self.quarantine))

    def decided(self) -> dict[str, Any]:
        """Task, target, inputs, classes and the number of rows in each split and of each reason, as JSON values."""
        return {
            "task": self.plan.task,
            "target": self.plan.target,
            "inputs": [column.model_dump() for column in self.plan.inputs],
            "labels": self.labels,
            "splits": {name: table.num_rows for name, table in self.splits.items()},
            "quarantine": self.reasons,
        }


def load(path: Path, name: str) -> Loaded:
    """Read and clean a whole file; raises what `readers.read` raises."""
    reading = read(path, name)
    tables = [pa.Table.from_batches([clean(raw)]) for raw in reading.batches]
    table = decide_none(pa.concat_tables(tables, promote_options="default")) if tables else pa.table({})
    every = np.arange(1, table.num_rows + len(reading.bad) + 1)
    numbers = np.setdiff1d(every, [row.number for row in reading.bad], assume_unique=True)
    return Loaded(table, numbers, reading.bad, _profile(table), reading.warnings)


def prepare(path: Path, name: str, recipe: Recipe, pseudonyms: Pseudonyms) -> Prepared:
    """Run the data phase. Raises Rejected, and UnusableData once the rows are counted."""
    loaded = load(path, name)
    try:
        return _prepare(loaded, recipe, pseudonyms)
    except Rejected as cause:
        raise UnusableData(cause, loaded.read) from None


def _prepare(raw: Loaded, recipe: Recipe, pseudonyms: Pseudonyms) -> Prepared:
    check_names(raw.table.column_names, recipe.mask)
    masked = mask_table(raw.table, recipe.mask, pseudonyms)
    plan = _plan(raw, masked, recipe)
    loaded = _masked(raw, masked, plan.target, mask_bad(raw.bad, recipe.mask, pseudonyms))
    inputs = pa.Table.from_batches([typed(batch, plan.inputs) for batch in _batches(loaded.table)])
    labels = class_names(loaded.table.column(plan.target))
    tabular = plan.task == "tabular-classification"
    # What a model sees depends on no key, so neither does the split; and what it sees twice falls together.
    seen = as_models_see(inputs)
    digests = row_digests(seen, recipe.seed)
    # The same text twice is a copy; two rows of a table are copies only if every column agrees, used or not.
    identities = row_digests(raw.table, recipe.seed) if tabular else _digests(inputs, seen, digests, recipe.seed)
    codes, warnings = judge(inputs, labels, digests, identities, keep_repeated=tabular)
    used = np.flatnonzero(codes == USED)
    quarantine = _quarantined(loaded, codes)
    names = pc.take(labels, pa.array(used)).to_pylist()
    _check_enough(names, plan.target, quarantine)
    examples = inputs.append_column(plan.target, labels)
    for name in masked.hashed:
        examples = examples.append_column(name, loaded.table.column(name))
    parts = split_rows([digests[index] for index in used.tolist()], names, recipe.split)
    splits = {name: examples.take(pa.array(used[rows])).combine_chunks() for name, rows in parts.items()}
    usable = examples.take(pa.array(used))
    leaks = _leaks(usable, plan) if tabular else []
    return Prepared(
        raw.content(),
        plan,
        accounts(loaded.read, len(quarantine)),
        sorted(set(names)),
        splits,
        sample(loaded.table, used),
        quarantine,
        loaded.profile,
        _profile(splits["train"].drop_columns(masked.hashed)),
        [*loaded.warnings, *warnings_of(masked, plan.target), *plan.warnings, *warnings, *leaks],
        {name: kinds for name, kinds in masked.counts.items() if name != plan.target},
    )


def _digests(inputs: pa.Table, seen: pa.Table, digests: list[bytes], seed: int) -> list[bytes]:
    return digests if seen is inputs else row_digests(inputs, seed)


def _plan(raw: Loaded, masked: Masked, recipe: Recipe) -> Plan:
    """The plan of the columns that a model may read, made of the raw values; the others are keys to it."""
    names = masked.table.column_names
    summaries = [summary for summary in raw.profile.summaries() if summary.name in names]
    target = recipe.target or _likely_target([s for s in summaries if s.name not in masked.hashed])
    check_inputs(masked, recipe.inputs, target, len(names))
    hidden = set(masked.hidden) - {target}
    plan = make_plan([summary for summary in summaries if summary.name not in hidden], recipe)
    if recipe.mask.columns.get(plan.target, "keep") != "keep":
        raise Rejected("bad_recipe", f"mask.columns: {plan.target!r} is the target, which can only be kept")
    kinds = {column.name: column for column in plan.columns}
    columns = tuple(kinds.get(name) or Column(name=name, kind="identifier") for name in names)
    return replace(plan, columns=columns)


def _likely_target(summaries: list[ColumnSummary]) -> str | None:
    """The column that would be the target if nothing were masked, should it have classes."""
    try:
        name = guess_target(summaries).name
    except Rejected:
        return None  # said by the plan
    return name if any(can_be_classes(summary) for summary in summaries if summary.name == name) else None


def _masked(raw: Loaded, masked: Masked, target: str, bad: list[BadRow]) -> Loaded:
    """The file as it is stored and shown: with pseudonyms in every column but the target."""
    names = masked.table.column_names
    table = masked.table.set_column(names.index(target), target, raw.table.column(target))
    changed = [name for name in names if (name in masked.counts or name in masked.hashed) and name != target]
    profiles = {name: raw.profile.columns[name] for name in names} | _profile(table.select(changed)).columns
    return replace(raw, table=table, bad=bad, profile=Profile(raw.profile.rows, profiles))


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=65_536)


def _leaks(usable: pa.Table, plan: Plan) -> list[DataWarning]:
    return find_leaks(usable.select([column.name for column in plan.inputs]), usable.column(plan.target))


def _profile(table: pa.Table) -> Profile:
    profile = Profile(0, {})
    for batch in _batches(table):
        profile = profile.merge(Profile.of(batch)) if profile.rows else Profile.of(batch)
    return profile


def _quarantined(loaded: Loaded, codes: Integers) -> list[dict[str, Any]]:
    """Row number, reason and the row, in the order of the file."""
    rows: list[dict[str, Any]] = [{"row": bad.number, "reason": bad.reason, "raw": bad.raw} for bad in loaded.bad]
    out = np.flatnonzero(codes != USED)
    for index, values in zip(out.tolist(), loaded.table.take(pa.array(out)).to_pylist(), strict=True):
        raw = {name: value if value is None else value[:RAW_CHARACTERS] for name, value in values.items()}
        rows.append({"row": int(loaded.numbers[index]), "reason": reason_of(int(codes[index])), "raw": raw})
    return sorted(rows, key=lambda row: row["row"])


def _check_enough(names: list[str], target: str, quarantine: list[dict[str, Any]]) -> None:
    classes = len(set(names))
    lost = ", ".join(
        f"{count} {reason}" for reason, count in Counter(row["reason"] for row in quarantine).most_common()
    )
    because = f" (quarantined: {lost})" if lost else ""
    if len(names) < MIN_ROWS:
        raise Rejected(
            "too_few_rows",
            f"{len(names)} usable rows{because}; a pipeline needs at least {MIN_ROWS}",
            limit=MIN_ROWS,
            hint="upload more rows: some hundreds per class make a useful model",
        )
    if classes < 2:
        raise Rejected(
            "one_class",
            f"the target {target!r} has one class only with {MIN_ROWS_PER_CLASS} rows or more{because}",
            limit=MIN_ROWS_PER_CLASS,
            hint="add rows of the other classes, or name another target in recipe.yaml",
        )
    if classes > MAX_CLASSES:
        raise Rejected("too_many_classes", f"the target {target!r} has {classes} classes", limit=MAX_CLASSES)


def write(prepared: Prepared, version: DatasetVersion, folder: Path) -> list[Path]:
    """Store the files of a version in `folder`: the split rows, quarantine, profiles, report and the version itself.

    `profile.bin` is of the training rows (what monitoring compares with), `profile.json` of the whole file as well,
    with the statistics that `report.html` draws.
    """
    paths = []
    for name, table in prepared.splits.items():
        paths.append(folder / f"{name}.parquet")
        pa.parquet.write_table(table, paths[-1], compression="zstd")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in prepared.quarantine)
    people = {
        "file": prepared.file_profile.as_dict(),
        "train": prepared.train_profile.as_dict(),
        "masked": prepared.masked,
        "used": statistics(prepared.sample, prepared.plan, prepared.splits),
    }
    report = render(version, people, prepared.quarantine, prepared.sample.slice(0, REPORT_ROWS).to_pylist())
    for name, data in (
        ("quarantine.jsonl", "".join(lines).encode("utf-8", "replace")),
        ("profile.bin", prepared.train_profile.to_bytes()),
        ("profile.json", json.dumps(people, ensure_ascii=False, indent=1).encode("utf-8", "replace")),
        ("report.html", report),
        ("version.json", version.model_dump_json().encode()),
    ):
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    return paths
