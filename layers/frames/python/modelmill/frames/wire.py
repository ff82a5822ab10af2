"""What passes between steps, as bytes and back: scans, tallies, what became of buckets, and refusals.

A value is one Arrow stream: its rows (of a sample, of a class's falls), and a JSON document in the schema's metadata;
sketches in their own bytes. Equal values are equal bytes. A sketch that was read back may merge otherwise than the one
that was written, to the last bit: so every engine passes values on so, also where they stay in memory (`passed`).
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import datasketches as ds
import numpy as np
import pyarrow as pa

from modelmill.core.data.accounts import UnusableData
from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.frames.bucket import Bucketed
from modelmill.frames.profile import Profile
from modelmill.frames.scan import Sample, Scan
from modelmill.frames.sketches import hll_bytes
from modelmill.frames.steps import PartDone
from modelmill.frames.tally import ClassTally, Tally

_DOCUMENT = b"modelmill"
_NUMBER, _RANK = "\x1fnumber", "\x1frank"
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
_NO_ROWS = pa.table({})
Value = TypeVar("Value", Scan, Tally, PartDone, Bucketed)
Contents = tuple[dict[str, Any], pa.Table]


def pack(value: Scan | Tally | PartDone | Bucketed | Rejected) -> bytes:
    """A value, or the refusal that stands in its place, as bytes."""
    return _packed(*_WRITERS[Rejected if isinstance(value, Rejected) else type(value)](value))


def unpack(data: bytes, kind: type[Value]) -> Value:
    """The value of this kind; raises Rejected if a refusal stands in its place."""
    document, rows = _unpacked(data)
    if "refused" in document:
        raise _refusal(document)
    return cast(Value, _READERS[kind](document, rows))


def passed(value: Value) -> Value:
    """The value as a later step has it."""
    return unpack(pack(value), type(value))


def _packed(document: Mapping[str, Any], rows: pa.Table) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    rows = rows.combine_chunks().replace_schema_metadata({_DOCUMENT: text})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_LZ4) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _unpacked(data: bytes) -> Contents:
    rows = pa.ipc.open_stream(data).read_all()
    document = json.loads(rows.schema.metadata[_DOCUMENT].decode("utf-8", "surrogatepass"))
    return document, rows.replace_schema_metadata(None).combine_chunks()


def _of_refusal(cause: Rejected) -> Contents:
    read = cause.rows.read if isinstance(cause, UnusableData) else None
    return {"refused": cause.as_dict(), "read": read}, _NO_ROWS


def _refusal(document: Mapping[str, Any]) -> Rejected:
    said = document["refused"]
    cause = Rejected(said["code"], said["message"], limit=said.get("limit"), hint=said.get("hint"))
    return cause if document["read"] is None else UnusableData(cause, document["read"])


def _of_scan(scan: Scan) -> Contents:
    """The rows are those of the sample."""
    document = {
        "rows": scan.rows,
        "profile": json.loads(scan.profile.to_bytes()),
        "actions": _pairs(scan.actions),
        "warnings": [warning.model_dump() for warning in scan.warnings],
        "size": scan.size,
    }
    sample = scan.sample
    rows = sample.table.append_column(_NUMBER, pa.array(sample.numbers)).append_column(_RANK, pa.array(sample.ranks))
    return document, rows


def _scan(document: Mapping[str, Any], rows: pa.Table) -> Scan:
    numbers, ranks = (rows.column(name).to_numpy() for name in (_NUMBER, _RANK))
    return Scan(
        document["rows"],
        Profile.from_document(document["profile"]),
        Sample(rows.drop_columns([_NUMBER, _RANK]), numbers, ranks),
        _counter(document["actions"]),
        [DataWarning(**warning) for warning in document["warnings"]],
        document["size"],
    )


def _of_tally(tally: Tally) -> Contents:
    """The rows are the falls of the classes that are known one by one: place of the class, fall, count."""
    document = {
        "content": tally.content,
        "reasons": _pairs(tally.reasons),
        "labels": _pairs(tally.labels),
        "tags": _pairs(tally.tags),
        "sides": _pairs(tally.sides),
        "classes": [[name, each.falls is not None] for name, each in tally.classes.items()],
        "identities": _text(hll_bytes(tally.identities)),
        "times": _text(tally.times.serialize()),
        "untimed": tally.untimed,
        "masked": [[name, _pairs(kinds)] for name, kinds in tally.masked.items()],
        "stripped": _pairs(tally.stripped),
    }
    places, falls, counts = [np.empty(0, np.int32)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for place, each in enumerate(tally.classes.values()):
        if each.falls is not None and each.counts is not None:
            places.append(np.full(len(each.falls), place, np.int32))
            falls.append(each.falls)
            counts.append(each.counts)
    columns = {"class": np.concatenate(places), "fall": np.concatenate(falls), "count": np.concatenate(counts)}
    return document, pa.table(columns)


def _tally(document: Mapping[str, Any], rows: pa.Table) -> Tally:
    places, falls, counts = (rows.column(name).to_numpy() for name in ("class", "fall", "count"))
    classes = {}
    for place, (name, known) in enumerate(document["classes"]):
        mine = slice(*np.searchsorted(places, [place, place + 1]))
        classes[name] = ClassTally(falls[mine], counts[mine]) if known else ClassTally(None, None)
    return Tally(
        document["content"],
        _counter(document["reasons"]),
        _counter(document["labels"]),
        _counter(document["tags"]),
        _counter(document["sides"]),
        classes,
        ds.hll_sketch.deserialize(_bytes(document["identities"])),
        ds.tdigest_double.deserialize(_bytes(document["times"])),
        document["untimed"],
        {name: _counter(kinds) for name, kinds in document["masked"]},
        _counter(document["stripped"]),
    )


def _of_done(done: PartDone) -> Contents:
    document, rows = _of_tally(done.tally)
    return {**document, "offsets": done.offsets}, rows


def _done(document: Mapping[str, Any], rows: pa.Table) -> PartDone:
    return PartDone(_tally(document, rows), document["offsets"])


COUNTS = ("conflicts", "repeated", "near", "overlap")


def _of_bucketed(bucketed: Bucketed) -> Contents:
    document = {
        "splits": [[name, _pairs(classes)] for name, classes in bucketed.splits.items()],
        "reasons": _pairs(bucketed.reasons),
        "profile": json.loads(bucketed.profile.to_bytes()),
        **{name: getattr(bucketed, name) for name in COUNTS},
    }
    return document, _NO_ROWS


def _bucketed(document: Mapping[str, Any], _rows: pa.Table) -> Bucketed:
    return Bucketed(
        splits={name: _counter(classes) for name, classes in document["splits"]},
        reasons=_counter(document["reasons"]),
        profile=Profile.from_document(document["profile"]),
        **{name: document[name] for name in COUNTS},
    )


_WRITERS: dict[type, Callable[[Any], Contents]] = {
    Scan: _of_scan,
    Tally: _of_tally,
    PartDone: _of_done,
    Bucketed: _of_bucketed,
    Rejected: _of_refusal,
}
_READERS: dict[type, Callable[[Mapping[str, Any], pa.Table], object]] = {
    Scan: _scan,
    Tally: _tally,
    PartDone: _done,
    Bucketed: _bucketed,
}


def _pairs(counter: "Counter[Any]") -> list[list[Any]]:
    return [[list(key) if isinstance(key, tuple) else key, count] for key, count in counter.items()]


def _counter(pairs: list[list[Any]]) -> "Counter[Any]":
    return Counter({tuple(key) if isinstance(key, list) else key: count for key, count in pairs})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
