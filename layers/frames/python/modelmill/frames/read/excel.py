"""Workbooks (xlsx, xlsm, xlsb, xls, ods): a path in; the first table of it as a CSV file, with warnings, out.

The library holds a sheet in memory, and a small file can say that it has 17,000,000,000 cells. So a process of its own,
`python -m modelmill.frames.read.excel WORKBOOK CSV`, converts it: with limited memory and time.
"""

import csv
import datetime as dt
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import python_calamine

from modelmill.core.data.version import DataWarning
from modelmill.core.errors import Rejected
from modelmill.core.limits import MIB, WORKBOOK_MEMORY_BYTES, WORKBOOK_SECONDS

_HINT = "save the sheet as CSV (UTF-8) and upload that"


def convert(path: Path, target: Path) -> list[DataWarning]:
    """Write the first table of a workbook as CSV; raises Rejected: encrypted, damaged, empty or too large."""
    if _is_encrypted(path):
        raise Rejected("encrypted_file", "the workbook is protected by a password", hint=_HINT)
    # A child sees the same packages as this process, wherever they are.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__, str(path.resolve()), str(target.resolve())]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, and paths that begin with a slash
            command, env=environment, capture_output=True, text=True, timeout=WORKBOOK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_large(f"converting the workbook takes more than {WORKBOOK_SECONDS} s", WORKBOOK_SECONDS) from None
    if done.returncode == 0:
        said = json.loads(done.stdout)
        if "code" in said:
            raise Rejected(said["code"], said["message"], hint=_HINT)
        return [DataWarning(**warning) for warning in said["warnings"]]
    if done.returncode < 0 or "memory" in done.stderr.lower() or "capacity overflow" in done.stderr:
        message = f"the workbook needs more than {WORKBOOK_MEMORY_BYTES // MIB} MiB of memory"
        raise _too_large(message, WORKBOOK_MEMORY_BYTES)
    raise Rejected("damaged_file", "the workbook cannot be read", hint=_HINT)


def _is_encrypted(path: Path) -> bool:
    """True for a compound file with an encrypted package in its directory (MS-CFB 2.2, MS-OFFCRYPTO 2.3.4.4)."""
    with path.open("rb") as file:
        head = file.read(512)
        if len(head) < 512 or not head.startswith(b"\xd0\xcf\x11\xe0"):
            return False
        file.seek((int.from_bytes(head[48:52], "little") + 1) << min(head[30], 12))
        return "EncryptedPackage".encode("utf-16-le") in file.read(4096)


def _too_large(message: str, limit: int) -> Rejected:
    return Rejected("file_too_large", message, limit=limit, hint=_HINT)


def _cell(value: Any) -> str:
    """The text of a cell: dates as ISO 8601, whole numbers without a point, errors and blanks empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(value)


def _rows(sheet: python_calamine.CalamineSheet) -> Iterator[list[str]]:
    """Rows from the first one with two cells on: what stands above is a title.

    An empty row is one, too: the library does not tell it from a row of errors, and so numbers are those of the sheet.
    """
    started = False
    for values in sheet.iter_rows():
        row = [_cell(value) for value in values]
        started = started or sum(map(bool, row)) > 1
        if started:
            yield row


def _used_columns(sheet: python_calamine.CalamineSheet) -> list[int]:
    """Columns that have any text; formats alone make others."""
    used: set[int] = set()
    for row in _rows(sheet):
        if len(used) == len(row):
            break
        used.update(index for index, cell in enumerate(row) if cell and index not in used)
    return sorted(used)


def _convert(path: str, target: str) -> dict[str, Any]:
    workbook = python_calamine.CalamineWorkbook.from_path(path)
    sheets = [meta.name for meta in workbook.sheets_metadata if meta.typ == python_calamine.SheetTypeEnum.WorkSheet]
    warnings: list[dict[str, str]] = []
    for name in sheets:
        sheet = workbook.get_sheet_by_name(name)
        columns = _used_columns(sheet)
        if columns:
            break
    else:
        return {"code": "empty_file", "message": "the workbook has no sheet with a table"}
    with Path(target).open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([row[index] for index in columns] for row in _rows(sheet))
    if sheet.merged_cell_ranges:
        text = f"merged cells in sheet {name!r}: only the first of them has the value"
        warnings.append({"code": "merged_cells", "message": text})
    if others := sheets[sheets.index(name) + 1 :]:
        text = f"only sheet {name!r} was read, not {', '.join(map(repr, others[:20]))}"
        warnings.append({"code": "sheets_left_out", "message": text})
    return {"warnings": warnings}


def main() -> None:
    """Convert under a limit of memory; what is said is one JSON object on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (WORKBOOK_MEMORY_BYTES, WORKBOOK_MEMORY_BYTES))
    try:
        said = _convert(*sys.argv[1:3])
    except python_calamine.PasswordError:
        said = {"code": "encrypted_file", "message": "the workbook is protected by a password"}
    except python_calamine.CalamineError as error:
        said = {"code": "damaged_file", "message": f"the workbook cannot be read: {str(error)[:200]}"}
    print(json.dumps(said))  # noqa: T201 - the answer of this process


if __name__ == "__main__":
    main()
