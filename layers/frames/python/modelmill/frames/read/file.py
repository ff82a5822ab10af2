"""A file in; record batches of raw strings, and the rows that could not be read, out."""

from pathlib import Path, PurePath

from modelmill.frames.read.delimited import read_delimited
from modelmill.frames.read.encoding import detect, open_utf8
from modelmill.frames.read.json_rows import read_json
from modelmill.frames.read.parquet import read_parquet
from modelmill.frames.read.reading import Reading
from modelmill.frames.read.source import sniff


def read(path: Path, name: str) -> Reading:
    """Open a CSV, TSV, JSON Lines, JSON array or Parquet file, plain or gzipped; `name` only breaks ties.

    Raises Rejected at once or while reading: empty_file, not_a_data_file, file_too_large, damaged_file, one_column,
    no_header, too_many_columns.
    """
    if sniff(path) == "parquet":
        return read_parquet(path)
    encoding = detect(path)
    with open_utf8(path, encoding) as stream:
        first = stream.read(1024).lstrip()[:1]
    if first in (b"{", b"["):
        reading = read_json(path, encoding)
    else:
        suffixes = [suffix for suffix in PurePath(name.lower()).suffixes if suffix != ".gz"]
        reading = read_delimited(path, encoding, suffixes[-1] if suffixes else "")
    reading.warnings.extend(encoding.warnings)
    return reading
