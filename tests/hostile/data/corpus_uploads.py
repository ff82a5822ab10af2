"""Nasty uploads of several files: damaged ones among good ones, splits that differ, tables that point to media."""

from collections.abc import Callable

from tests.hostile.data.cases import Cases, Upload, later, refused, table, taken
from tests.hostile.data.corpus_packed import png, wav, zipped
from tests.hostile.data.corpus_rows import columns, parquet

GOOD = table().encode()
LEFT_OUT = ("files_left_out",)


def swapped(rows: int = 30) -> bytes:
    """The rows of `later` with their columns the other way round."""
    cells = [line.rsplit(",", 1) for line in later(rows).decode().splitlines()]
    return "\n".join(f"{label},{text}" for text, label in cells).encode()


def with_column(rows: int = 30) -> bytes:
    """The rows of `later` with a column more."""
    return later(rows).replace(b"label", b"label,more", 1).replace(b",yes", b",yes,1").replace(b",no", b",no,2")


def pointing(*more: str, rows: int = 40, **files: bytes) -> Upload:
    """A table of file names and labels, more rows of it, the pictures that it names, and more files."""
    lines = [f"{n}.png,{'cat' if n % 2 else 'dog'}" for n in range(rows)]
    pictures = {f"images/{n}.png": png(8, 8, n) for n in range(rows)}
    named = {f"images/{name.replace('_', '.')}": data for name, data in files.items()}
    return {"labels.csv": "\n".join(["image,label", *lines, *more]).encode()} | pictures | named


MAKERS: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("png", lambda n: png(8, 8, n)),
    ("wav", lambda n: wav(n * 37 + 11)),
)
CASES: Cases = {
    "upload: one table damaged": taken(
        lambda: {"a.csv": GOOD, "b.parquet": parquet(columns())[:-20]}, 60, warns=LEFT_OUT
    ),
    "upload: one archive damaged": taken(
        lambda: {"a.csv": GOOD, "b.zip": zipped({"b.csv": later()})[:-30]}, 60, warns=LEFT_OUT
    ),
    "upload: a damaged file in an archive": taken(
        lambda: {"a.zip": zipped({"a.csv": GOOD, "b.csv.gz": b"\x1f\x8b\x08waste"})}, 60, warns=LEFT_OUT
    ),
    "upload: all tables damaged": refused(lambda: {"a.csv": b"\0" * 99, "b.csv": b"%PDF-1.7"}, "not_a_data_file"),
    "upload: an empty file among others": taken(lambda: {"a.csv": GOOD, "b.csv": b""}, 60, warns=LEFT_OUT),
    "upload: a header alone among others": taken(
        lambda: {"a.csv": GOOD, "b.csv": b"review,label\n"}, 60, warns=LEFT_OUT
    ),
    "upload: a name that leads elsewhere": taken(lambda: {"a.csv": GOOD, "../b.csv": later()}, 60, warns=LEFT_OUT),
    "upload: a program among tables": taken(lambda: {"a.csv": GOOD, "run.exe": b"MZ\x90\0" * 9}, 60, warns=LEFT_OUT),
    "upload: formats mixed": taken(lambda: {"a.csv": later(), "b.parquet": parquet(columns())}, 90),
    "upload: the last row of a file without newline": taken(lambda: {"a.csv": GOOD[:-1], "b.csv": later()}, 90),
    "upload: a quote left open at the end of a file": taken(
        lambda: {"a.csv": GOOD + b'open,"', "b.csv": later()}, 91, missing_target=1
    ),
    "upload: encodings mixed": taken(lambda: {"a.csv": table().encode("utf-16"), "b.csv": later()}, 90),
    "upload: test with columns in another order": taken(lambda: {"train/a.csv": GOOD, "test/a.csv": swapped()}, 90),
    "upload: test with one column more": taken(
        lambda: {"train/a.csv": GOOD, "test/a.csv": with_column()}, 60, warns=LEFT_OUT
    ),
    "upload: test is train again": refused(lambda: {"train.csv": GOOD, "test.csv": GOOD}, "empty_split"),
    "upload: test of one row that cannot be read": taken(
        lambda: {"train.csv": GOOD, "test.csv": b"review,label\na,b,c\n"}, 60, warns=LEFT_OUT
    ),
    "upload: files of the table missing": taken(
        lambda: pointing("gone.png,cat", "away/lost.png,dog"), 42, missing_file=2
    ),
    "upload: files of the table damaged": taken(
        lambda: pointing("cut.png,cat", "text.png,dog", cut_png=png(64, 64, 99)[:60], text_png=b"no picture"),
        42,
        bad_media=2,
    ),
    "upload: a table that points out of the upload": taken(
        lambda: pointing("../../../etc/passwd.png,cat", "/etc/shadow.png,dog"), 42, missing_file=2
    ),
    "upload: a table without a file for a row": taken(lambda: pointing(",cat"), 41, no_usable_input=1),
    "upload: a ragged row among those that point": taken(lambda: pointing("1.png,cat,2"), 41, ragged_row=1),
    "upload: images and sounds": taken(
        lambda: {f"{'low' if n % 2 else 'high'}/{n}.{end}": make(n) for n in range(40) for end, make in MAKERS},
        40,
        warns=LEFT_OUT,
    ),
    "upload: every image damaged": refused(
        lambda: {f"{'cat' if n % 2 else 'dog'}/{n}.png": b"x" * n for n in range(1, 41)}, "too_few_rows"
    ),
}
