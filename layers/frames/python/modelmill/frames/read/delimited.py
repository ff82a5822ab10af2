"""Delimited text (RFC 4180 and its relatives): a file in, record batches of strings and ragged rows out.

A quote that is never closed would take all rows behind it into one cell. A last line of ours tells: if it is found in a
cell, the lines of that cell are read again, as rows without quotes.
"""

import codecs
import io
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import CELL_CHARACTERS, MIB
from modelmill.frames.read.dialect import SAMPLE_BYTES, Dialect, sniff_dialect
from modelmill.frames.read.encoding import Encoding, open_utf8
from modelmill.frames.read.reading import RAW_CHARACTERS, BadRow, Reading

_BLOCK_BYTES = 8 * MIB
_TELLS_DELIMITER = re.compile(rb'"?sep=([!#-/:-@\[\]^`{-~\t])"?(?:[ \t]*[\r\n])+', re.IGNORECASE)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_OPEN_QUOTE = DataWarning(
    code="open_quote",
    message="a quote is never closed: the lines behind it were read as rows without quotes",
)
_COMMA_NUMBER = (
    "^\\s*[+-]?(?:[A-Z]{0,2}[$£€¥￥₹])?[ \u00a0]?"
    "(?:[0-9]{1,3}(?:\\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?[ \u00a0]?[%€元]?\\s*$"
)
"""With the signs that the grammar of cells knows: 1.234,50 € as well."""


def read_delimited(path: Path, encoding: Encoding, suffix: str) -> Reading:
    """Open a delimited file; see `file.read` for what it raises."""
    dialect = sniff_file(path, encoding, suffix)
    reading = read_rows(path, encoding, dialect, header=True)
    reading.warnings.extend(dialect.warnings)
    return reading


def sniff_file(path: Path, encoding: Encoding, suffix: str) -> Dialect:
    """The dialect of a file, found in the first megabyte of its table; see `sniff_dialect` for what it raises."""
    skipped = _blank_bytes(path, encoding)
    with open_utf8(path, encoding) as stream:
        _skip(stream, skipped)
        sample = stream.read(SAMPLE_BYTES)
        complete = not stream.read(1)
    told = _TELLS_DELIMITER.match(sample)
    if told:
        sample, skipped = sample[told.end() :], skipped + told.end()
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    dialect = sniff_dialect(text, suffix, complete=complete, delimiter=told[1].decode() if told else "")
    return replace(dialect, skipped=skipped)


def _blank_bytes(path: Path, encoding: Encoding) -> int:
    """Bytes of UTF-8 before the first line that is not blank."""
    blank = position = 0
    with open_utf8(path, encoding) as stream:
        while chunk := stream.read(MIB):
            begin = chunk[: len(chunk) - len(chunk.lstrip())]
            blank = max(blank, position + 1 + max(begin.rfind(b"\n"), begin.rfind(b"\r")) if begin else 0)
            position += len(chunk)
            if len(begin) < len(chunk):
                break
    return blank


def _skip(stream: BinaryIO, size: int) -> None:
    while size:
        size -= len(stream.read(min(size, MIB)))


def read_rows(path: Path, encoding: Encoding, dialect: Dialect, *, header: bool) -> Reading:
    """The rows of a file whose dialect is known, or, without a header, of a piece of it."""
    reading = Reading()
    reading.batches = _rows(path, encoding, dialect, reading, header=header)
    return reading


def _rows(
    path: Path, encoding: Encoding, dialect: Dialect, reading: Reading, *, header: bool
) -> Iterator[pa.RecordBatch]:
    with open_utf8(path, encoding) as stream:
        _skip(stream, dialect.skipped if header else 0)
        found = _Table(stream, dialect, reading.bad, header=header)
        yield from found.batches()
    if found.swallowed:
        reading.warnings.append(_OPEN_QUOTE)
        lines = io.BytesIO(found.swallowed.encode())
        yield from _Table(lines, replace(dialect, quoting="off"), reading.bad, before=found.rows).batches()


class _Ended:
    """A stream with a line of ours at its end."""

    def __init__(self, stream: BinaryIO, end: bytes) -> None:
        self._stream, self._end = stream, end
        self.closed = False

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) + len(self._end) <= size:
            data, self._end = data + self._end, b""
        return data

    def close(self) -> None:
        self.closed = True


@dataclass(slots=True)
class _Table:
    """Rows of a stream. `bad` gets the ragged ones; rows have numbers from `before` on."""

    stream: BinaryIO
    dialect: Dialect
    bad: list[BadRow]
    header: bool = False
    before: int = 0
    rows: int = 0
    """Rows so far, ragged or not, and those `before`."""
    swallowed: str = ""
    """Lines in a cell whose quote is never closed."""
    end: str = field(default_factory=lambda: f"end {secrets.token_hex(8)}")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises Rejected (`damaged_file`) if a row is longer than a block."""
        self.rows = self.before
        dialect = self.dialect
        try:
            for batch in map(self._closed, self._opened()):
                self.rows += batch.num_rows
                columns = map(_with_decimal_points, batch.columns) if dialect.decimal_comma else batch.columns
                yield pa.RecordBatch.from_arrays(list(columns), names=list(dialect.header))
        except pa.ArrowInvalid:
            raise Rejected(
                "damaged_file",
                f"a row is longer than {_BLOCK_BYTES // MIB} MiB, or a quote is never closed",
                limit=CELL_CHARACTERS,
                hint='close every double quote, and write a quote inside a quoted cell as ""',
            ) from None

    def _closed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without the lines that its very last cell has swallowed."""
        last = batch.column(batch.num_columns - 1)
        text = last[-1].as_py() if len(last) else ""
        if not text.endswith(self.end):
            return batch
        first, self.swallowed = _NEWLINE.split(text.removesuffix(self.end), 1)
        cells = pa.concat_arrays([last[:-1], pa.array([first], pa.large_string())])
        return batch.set_column(batch.num_columns - 1, batch.schema.names[-1], cells)

    def _ragged(self, row: Any) -> str:
        if row.text.endswith(self.end):
            self.swallowed = row.text.removesuffix(self.end)
        else:
            # Arrow counts rows from 1; where the header is the first, its number less one is ours.
            self.bad.append(BadRow(self.before + row.number - self.header, "ragged_row", row.text[:RAW_CHARACTERS]))
            self.rows += 1
        return "skip"

    def _opened(self) -> pa.csv.CSVStreamingReader:
        # Positions, not names: names may repeat. One thread, because only then rows have numbers.
        dialect = self.dialect
        positions = [str(index) for index in range(len(dialect.header))]
        return pa.csv.open_csv(
            pa.PythonFile(_Ended(self.stream, f"\n{self.end}".encode()), mode="r"),
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                column_names=positions,
                skip_rows_after_names=int(self.header),
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=False if dialect.quoting == "off" else '"',
                double_quote=dialect.quoting == "doubled",
                escape_char="\\" if dialect.quoting == "escaped" else False,
                newlines_in_values=dialect.quoting != "off",
                invalid_row_handler=self._ragged,
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
