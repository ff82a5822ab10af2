"""Finishing: what all parts and buckets came to in; accounts, warnings, quarantine and what the report draws, out."""

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmill.core.data.accounts import Reason, accounts
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.mask_rules import Kind
from modelmill.core.data.plan import Plan
from modelmill.core.data.split import SPLITS
from modelmill.core.data.version import DataWarning, Rows
from modelmill.core.digest import digest_of
from modelmill.core.errors import Rejected
from modelmill.core.limits import MAX_CLASSES, MIN_ROWS, MIN_ROWS_PER_CLASS
from modelmill.frames.attached import Attached
from modelmill.frames.bucket import Bucketed
from modelmill.frames.decide import Decisions
from modelmill.frames.leaks import check_leaks, check_media
from modelmill.frames.mask import mask_warnings
from modelmill.frames.numbered import ROW, Integers
from modelmill.frames.profile import Profile
from modelmill.frames.scan import Scan
from modelmill.frames.settle import Settled
from modelmill.frames.sides import sides_of
from modelmill.frames.tally import Tally
from modelmill.frames.transform import CODE, USED, transform

QUARANTINED_ROWS = 2_000
"""Rows of the quarantine that the report looks at."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the data phase decided and made of an upload; the rows themselves are files beside it."""

    content: str
    decisions: Decisions
    settled: Settled
    rows: Rows
    labels: list[str]
    splits: dict[str, Counter[str]]
    reasons: dict[str, int]
    file_profile: Profile
    train_profile: Profile
    warnings: list[DataWarning]
    masked: dict[str, Counter[Kind]]
    """Column → kind of personal data → how many were masked."""
    actions: Counter[tuple[str, str]]
    sample: pa.Table
    """Some of the used rows with all columns, as clean strings with masks."""
    quarantined: list[dict[str, Any]]
    """The first rows of the quarantine."""
    pseudonyms: Pseudonyms
    media: dict[str, Any] | None
    """What profile.json says of the images or audio of the upload."""

    @property
    def plan(self) -> Plan:
        """Task, target and columns."""
        return self.decisions.plan

    def decided(self) -> dict[str, Any]:
        """Task, target, inputs, classes, files and the number of rows in each split and of each reason: JSON values."""
        return {
            "task": self.decisions.task,
            "target": self.decisions.target,
            "inputs": [column.model_dump() for column in self.decisions.inputs],
            "labels": self.labels,
            "splits": {name: counts.total() for name, counts in self.splits.items()},
            "files": self.decisions.buckets,
            "quarantine": self.reasons,
        }


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all steps came to. `given` is the split of each part's file."""

    scanned: Scan
    decisions: Decisions
    tally: Tally
    settled: Settled
    bucketed: Bucketed
    given: Sequence[str | None]


def finish(
    gathered: Gathered,
    quarantine: Sequence[Path],
    pseudonyms: Pseudonyms,
    folder: Path,
    attached: Attached | None = None,
) -> Prepared:
    """Put everything together; `quarantine` are the files of lines.

    Writes quarantine.jsonl to `folder`. Raises Rejected: too_few_rows, one_class, too_many_classes.
    """
    scanned, decisions, tally = gathered.scanned, gathered.decisions, gathered.tally
    settled, bucketed = gathered.settled, gathered.bucketed
    reasons = tally.reasons + bucketed.reasons
    _check_enough(bucketed, decisions, reasons)
    first, out = _merge_quarantine(quarantine, scanned.sample.numbers, folder / "quarantine.jsonl")
    sample, parts = _sample(gathered, pseudonyms, out)
    labels = _labels(decisions, bucketed, tally)
    counts = {name: dict(classes) for name, classes in bucketed.splits.items()} if decisions.has_classes else None
    return Prepared(
        digest_of(tally.content),
        decisions,
        settled,
        accounts(scanned.read, reasons.total()),
        labels,
        bucketed.splits,
        {str(reason): count for reason, count in reasons.items()},
        Profile(
            scanned.profile.rows, {n: c for n, c in scanned.profile.columns.items() if n not in decisions.masks.dropped}
        ),
        bucketed.profile,
        [
            *_of_media(attached, parts, decisions),
            *check_leaks(parts, decisions.plan, by=decisions.by, group=decisions.group, counts=counts),
            *decisions.warnings,
            *mask_warnings(decisions.masks, tally.masked),
            *settled.warnings,
            *_said_of_copies(bucketed, settled),
        ],
        tally.masked,
        scanned.actions + tally.stripped,
        sample,
        first,
        pseudonyms,
        None if attached is None else attached.document(_cells_of(sample, decisions)),
    )


def _labels(decisions: Decisions, bucketed: Bucketed, tally: Tally) -> list[str]:
    """Names of classes, or of tags that enough rows have; raises Rejected (`one_class`, `too_many_classes`)."""
    if decisions.has_classes:
        return sorted(set().union(*bucketed.splits.values()))
    tags = sorted(tag for tag, rows in tally.tags.items() if rows >= MIN_ROWS_PER_CLASS)
    if decisions.answers == "multilabel" and not tags:
        text = f"the target {decisions.target!r} has no tag with {MIN_ROWS_PER_CLASS} rows or more"
        raise Rejected("one_class", text, limit=MIN_ROWS_PER_CLASS, hint="add rows, or name another target")
    if len(tags) > MAX_CLASSES:
        text = f"the target {decisions.target!r} has {len(tags)} tags"
        raise Rejected("too_many_classes", text, limit=MAX_CLASSES)
    return tags


def _cells_of(rows: pa.Table, decisions: Decisions) -> list[tuple[str, str]]:
    """Media cells with the target of their rows."""
    names = [column.name for column in decisions.inputs if column.kind in ("image", "audio")]
    targets = rows.column(decisions.target).to_pylist()
    cells = rows.column(names[0]).to_pylist() if names else []
    return [(cell, target) for cell, target in zip(cells, targets, strict=False) if cell]


def _of_media(attached: Attached | None, parts: dict[str, pa.Table], decisions: Decisions) -> list[DataWarning]:
    """What is known of the files, and whether such of both sides of the split are nearly the same."""
    if attached is None:
        return []
    prints = {each.digest: each for each in attached.facts.prints}
    train, test = (
        [
            prints[digest]
            for cell, _ in _cells_of(parts[side], decisions)
            if (digest := cell.partition(":")[0]) in prints
        ]
        for side in ("train", "test")
    )
    return [*check_media(attached.facts.kind, train, test), *attached.facts.warnings()]


def _check_enough(bucketed: Bucketed, decisions: Decisions, reasons: Counter[Reason]) -> None:
    lost = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    because = f" (quarantined: {lost})" if lost else ""
    used = sum(counts.total() for counts in bucketed.splits.values())
    if used < MIN_ROWS:
        raise Rejected(
            "too_few_rows",
            f"{used} usable rows{because}; a pipeline needs at least {MIN_ROWS}",
            limit=MIN_ROWS,
            hint="upload more rows: some hundreds per class make a useful model",
        )
    _check_sides(bucketed, decisions)
    if not decisions.has_classes:
        return
    classes = set().union(*bucketed.splits.values())
    if len(classes) < 2:
        raise Rejected(
            "one_class",
            f"the target {decisions.target!r} has one class only with {MIN_ROWS_PER_CLASS} rows or more{because}",
            limit=MIN_ROWS_PER_CLASS,
            hint="add rows of the other classes, or name another target in recipe.yaml",
        )
    if len(classes) > MAX_CLASSES:
        raise Rejected(
            "too_many_classes", f"the target {decisions.target!r} has {len(classes)} classes", limit=MAX_CLASSES
        )


_EMPTY_SIDE = {
    "group": "a split by group needs three groups or more, each of which falls on one side",
    "time": "a split by time needs three different times or more: rows of one time fall on one side",
    "given": "bring usable rows for training, or say `split: {by: stratified}` to split all rows anew",
}
"""What to do about a side without rows, by how rows were split."""


def _check_sides(bucketed: Bucketed, decisions: Decisions) -> None:
    empty = [name for name in SPLITS if not bucketed.splits[name]]
    if empty:
        raise Rejected(
            "empty_split",
            f"no row falls into {' and '.join(empty)} ({decisions.by})",
            hint=_EMPTY_SIDE.get(decisions.by, "bring more rows, or give that side a larger share"),
        )


def _merge_quarantine(files: Sequence[Path], sampled: Integers, target: Path) -> tuple[list[dict[str, Any]], set[int]]:
    """One file of all lines by row number; the first of them, and which rows of the sample are among them."""
    watched = set(sampled.tolist())
    first: list[dict[str, Any]] = []
    out: set[int] = set()
    with ExitStack() as stack, target.open("w", encoding="utf-8") as file:
        streams = [_numbered(stack.enter_context(path.open(encoding="utf-8"))) for path in files if path.exists()]
        for number, text in heapq.merge(*streams, key=lambda pair: pair[0]):
            file.write(text)
            if len(first) < QUARANTINED_ROWS:
                first.append(json.loads(text))
            if number in watched:
                out.add(number)
    return first, out


def _numbered(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, which stand first in each of them."""
    for text in lines:
        yield int(text[text.index(":") + 1 : text.index(",")]), text


def _sample(gathered: Gathered, pseudonyms: Pseudonyms, out: set[int]) -> tuple[pa.Table, dict[str, pa.Table]]:
    """The used rows of the scan's sample, as they are shown, and apart by the split where they fell."""
    scanned, decisions = gathered.scanned, gathered.decisions
    shown, examples, sides = [], [], []
    ends = np.cumsum(scanned.rows)
    table = scanned.sample.table.append_column(ROW, pa.array(scanned.sample.numbers)).combine_chunks()
    places = np.searchsorted(ends, scanned.sample.numbers)
    names = [gathered.given[place] for place in places.tolist()]
    for name in dict.fromkeys(names):
        mine = table.filter(pa.array([each == name for each in names]))
        for batch in mine.combine_chunks().to_batches():
            done = transform(batch, decisions, pseudonyms, given=name)
            numbers = done.examples.column(ROW).to_pylist()
            used = pc.and_(
                pc.equal(done.examples.column(CODE), USED), pa.array([number not in out for number in numbers])
            )
            shown.append(done.shown.filter(used))
            examples.append(done.examples.filter(used))
            sides.append(sides_of(examples[-1], decisions, gathered.settled))
    rows, every, side = pa.Table.from_batches(shown), pa.Table.from_batches(examples), np.concatenate(sides)
    told = _with_others(every, rows, decisions)
    parts = {name: told.filter(pa.array(side == place)) for place, name in enumerate(SPLITS)}
    return rows.combine_chunks(), parts


def _with_others(examples: pa.Table, shown: pa.Table, decisions: Decisions) -> pa.Table:
    """Inputs and target as they are stored, and the other columns as strings."""
    names = [column.name for column in decisions.inputs] + [decisions.target]
    others = [name for name in shown.column_names if name not in names]
    table = examples.select(names)
    for name in others:
        table = table.append_column(name, shown.column(name))
    return table


def _said_of_copies(bucketed: Bucketed, settled: Settled) -> list[DataWarning]:
    found = []
    if settled.keep_repeated and bucketed.repeated:
        text = f"rows that repeat another: {bucketed.repeated:,}; used, as the recipe says or as too many do so"
        found.append(DataWarning(code="repeated_rows_kept", message=text))
    if bucketed.conflicts:
        text = f"rows with the same inputs as an earlier row but another class: {bucketed.conflicts:,}"
        found.append(DataWarning(code="label_conflicts", message=text))
    if bucketed.near:
        what = "left out" if settled.drop_near else "kept, on one side of the split with the row that they resemble"
        text = f"rows that differ from another only in case, spaces or punctuation: {bucketed.near:,}; {what}"
        found.append(DataWarning(code="near_duplicates", message=text))
    if bucketed.overlap:
        what = "used, as repeated rows are" if settled.keep_repeated else "left out of training"
        text = f"rows of the given training split that are in its test split too: {bucketed.overlap:,}; {what}"
        found.append(DataWarning(code="given_split_overlaps", message=text))
    return found
