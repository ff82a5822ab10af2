"""A plain file in; record batches of raw strings, and the rows that could not be read, out."""

from pathlib import Path, PurePath

from modelmill.core.limits import MIB
from modelmill.frames.read.arrow import read_arrow
from modelmill.frames.read.delimited import read_delimited
from modelmill.frames.read.encoding import detect
from modelmill.frames.read.json_rows import looks_like_json, read_json
from modelmill.frames.read.parquet import read_parquet
from modelmill.frames.read.reading import Reading
from modelmill.frames.read.source import sniff

GLANCE_BYTES = 64 * MIB


def read(path: Path, name: str, *, glance: bool = False) -> Reading:
    """Open a CSV, TSV, JSON, JSON Lines, Parquet or Arrow file; `name` only breaks ties. What is packed is refused.

    With `glance` no more than the first batch is wanted: then the encoding is found in the beginning of the file alone.

    Raises Rejected at once or while reading: empty_file, not_a_data_file, file_too_large, damaged_file, one_column,
    no_header, too_many_columns.
    """
    content = sniff(path)
    if content == "parquet":
        return read_parquet(path)
    if content == "arrow":
        return read_arrow(path)
    encoding = detect(path, GLANCE_BYTES if glance and path.stat().st_size > GLANCE_BYTES else None)
    if looks_like_json(path, encoding):
        reading = read_json(path, encoding)
    else:
        reading = read_delimited(path, encoding, PurePath(name.lower()).suffix)
    reading.warnings.extend(encoding.warnings)
    return reading
