"""Delimited text (RFC 4180 and its relatives): a file in, record batches of strings and ragged rows out."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from modelmill.core.errors import Rejected
from modelmill.core.limits import CELL_CHARACTERS, MIB
from modelmill.frames.read.dialect import SAMPLE_BYTES, Dialect, sniff_dialect
from modelmill.frames.read.encoding import Encoding, open_utf8
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow, Reading

_BLOCK_BYTES = 8 * MIB
_COMMA_NUMBER = r"^\s*[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?\s*$"


def read_delimited(path: Path, encoding: Encoding, suffix: str) -> Reading:
    """Open a delimited file; see `file.read` for what it raises."""
    dialect = sniff_file(path, encoding, suffix)
    reading = read_rows(path, encoding, dialect, header=True)
    reading.warnings.extend(dialect.warnings)
    return reading


def sniff_file(path: Path, encoding: Encoding, suffix: str) -> Dialect:
    """The dialect of a file, found in its first megabyte; see `sniff_dialect` for what it raises."""
    with open_utf8(path, encoding) as stream:
        sample = stream.read(SAMPLE_BYTES)
        complete = not stream.read(1)
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    return sniff_dialect(text, suffix, complete=complete)


def read_rows(path: Path, encoding: Encoding, dialect: Dialect, *, header: bool) -> Reading:
    """The rows of a file whose dialect is known, or, without a header, of a piece of it."""
    reading = Reading()
    reading.batches = _batches(path, encoding, dialect, reading.bad, header=header)
    return reading


def _open(stream: Any, dialect: Dialect, bad: list[BadRow], *, header: bool) -> pa.csv.CSVStreamingReader:
    def keep_ragged(row: Any) -> str:
        # Arrow counts rows from 1; where the header is the first, its number less one is ours.
        bad.append(BadRow(row.number - header, "ragged_row", row.text[:RAW_CHARACTERS]))
        return "skip"

    # Positions, not names: names may repeat. One thread, because only then rows have numbers.
    positions = [str(index) for index in range(len(dialect.header))]
    return pa.csv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=pa.csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=positions, skip_rows_after_names=int(header)
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=False if dialect.quoting == "off" else '"',
            double_quote=dialect.quoting == "doubled",
            escape_char="\\" if dialect.quoting == "escaped" else False,
            newlines_in_values=dialect.quoting != "off",
            invalid_row_handler=keep_ragged,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(positions, pa.large_string()), strings_can_be_null=False
        ),
    )


def _with_decimal_points(cells: pa.Array) -> pa.Array:
    """1.234,5 as 1234.5; cells that are no such number as they are."""
    is_number = pc.match_substring_regex(cells, _COMMA_NUMBER)
    points = pc.replace_substring(pc.replace_substring(cells, ".", ""), ",", ".")
    return pc.if_else(is_number, points, cells)


def _batches(
    path: Path, encoding: Encoding, dialect: Dialect, bad: list[BadRow], *, header: bool
) -> Iterator[pa.RecordBatch]:
    with open_utf8(path, encoding) as stream:
        try:
            for batch in _open(stream, dialect, bad, header=header):
                columns = map(_with_decimal_points, batch.columns) if dialect.decimal_comma else batch.columns
                yield pa.RecordBatch.from_arrays(list(columns), names=list(dialect.header))
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise Rejected(
                "damaged_file",
                "a row cannot be read: it is longer than a block, or a quote is never closed",
                limit=CELL_CHARACTERS,
                hint='close every double quote, and write a quote inside a quoted cell as ""',
            ) from None
