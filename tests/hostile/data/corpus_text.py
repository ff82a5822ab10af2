"""Nasty delimited files: encodings, structure, numbers and dates, labels, what people write in cells."""

import random

from tests.hostile.data.cases import Cases, labelled, numbered, refused, reviews, table, taken, with_row

MB = 1_000_000
GOOD = table().encode()


def middle(data: bytes, new: bytes) -> bytes:
    """Something put into the third line."""
    place = data.index(b"\n", data.index(b"\n") + 1) + 4
    return data[:place] + new + data[place:]


def chinese(rows: int = 60) -> str:
    """Texts and labels in Chinese."""
    words = ("很好", "太差", "衣服", "尺码", "颜色", "物流", "舒服", "退货")
    dice = random.Random(3)
    lines = (f"{''.join(dice.choices(words, k=9))}{n},{'好评' if n % 2 else '差评'}" for n in range(rows))
    return "\n".join(["评价,标签", *lines]) + "\n"


def names(*header: str) -> bytes:
    """A table of words and labels under these names."""
    rows = (",".join([text] * (len(header) - 1) + [label]) for text, label in reviews())
    return "\n".join([",".join(header), *rows]).encode()


def far(row: bytes) -> bytes:
    """A table whose quotes end where one is opened, beyond what tells the dialect; rows without quotes behind it."""
    return table(20_000).encode() + row + b"".join(b"words number %d,no\n" % n for n in range(5_000))


def ragged(rows: int = 60) -> bytes:
    """Every third row has a cell too many."""
    lines = table(rows).splitlines()
    return "\n".join(line + ",x" * (n > 0 and n % 3 == 0) for n, line in enumerate(lines)).encode()


def personal() -> bytes:
    """An address, a phone and a card in every text."""
    rows = (
        f'"{text}: a{n}@example.com, +86 138{n:08d}, 4111111111111111",{label}'
        for n, (text, label) in enumerate(reviews(90))
    )
    return "\n".join(["review,label", *rows]).encode()


ENCODINGS: Cases = {
    "utf-8 and cp1252 mixed": taken(lambda: GOOD + "très léger,yes\n".encode("cp1252") + "schön,no\n".encode(), 62),
    "mark in the middle": taken(lambda: middle(GOOD, b"\xef\xbb\xbf"), 60),
    "two marks": taken(lambda: b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD, 60),
    "invalid utf-8": taken(lambda: middle(GOOD, b"\xc3\x28\xf8\x88\x80\x80\x80\xed\xa0\x80"), 60),
    "utf-16 of odd length": taken(lambda: table().encode("utf-16") + b"\x41", 61, ragged_row=1),
    "utf-16 big-endian without mark": taken(lambda: table().encode("utf-16-be"), 60),
    "utf-32": refused(lambda: table().encode("utf-32"), "not_a_data_file"),
    "gbk, cut within a character": taken(lambda: chinese().encode("gb18030")[:-9], 60, ragged_row=1),
    "gb18030": taken(lambda: chinese().encode("gb18030"), 60),
    "zero bytes in a cell": refused(lambda: middle(GOOD, b"\0\0\0"), "not_a_data_file"),
    "zero bytes far from the start": taken(lambda: table(3_000).encode() + b"a\0b,yes\n", 3_001),
    "ebcdic": refused(lambda: table().encode("cp037"), "one_column"),
}
STRUCTURE: Cases = {
    "quote never closed": taken(lambda: GOOD + b'"open,yes\n' + GOOD[13:], 121, duplicate=60),
    "quote never closed, large": refused(lambda: b'review,label\n"' + b"open and on,yes\n" * 2_000_000, "damaged_file"),
    "100,000 columns": refused(
        lambda: ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n", "too_many_columns"
    ),
    "cell of 50 MB": refused(lambda: with_row(f'"{"word " * (10 * MB)}",yes'), "damaged_file"),
    "line of 50 MB": refused(lambda: b"x" * (50 * MB), "one_column"),
    "no newline at the end": taken(lambda: GOOD[:-1], 60),
    "carriage returns only": taken(lambda: table(end="\r").encode(), 60),
    "newlines mixed": taken(lambda: GOOD.replace(b"\n", b"\r\n", 20), 60),
    "blank lines between": taken(lambda: GOOD.replace(b"\n", b"\n\n\n"), 60),
    "header only, no newline": refused(lambda: b"review,label", "empty_file"),
    "the same names": taken(lambda: table(header="label,label").encode(), 60),
    "no names": taken(lambda: table(header=",").encode(), 60),
    "names of spaces and tabs": taken(lambda: table(header="  , label\t").encode(), 60),
    "a million blank lines": refused(lambda: b"\n" * MB, "empty_file"),
    "blank lines before": taken(lambda: b"\n\n\n" + GOOD, 60),
    "a million blank lines before": taken(lambda: b"\n" * MB + GOOD, 60),
    "a million blank lines after": taken(lambda: GOOD + b"\n" * MB, 60),
    "two million blank lines before": taken(lambda: b"\r\n" * 2 * MB + GOOD, 60),
    "blank lines before, with mark": taken(lambda: b"\xef\xbb\xbf\n\r\n" + GOOD, 60),
    "blank lines before, of carriage returns": taken(lambda: b"\r\r" + GOOD.replace(b"\n", b"\r"), 60),
    "blank lines before, in utf-16": taken(lambda: ("\n\n" + table()).encode("utf-16"), 60),
    "lines of spaces before": taken(lambda: b"  \n\t\n" + GOOD, 60),
    "the delimiter told": taken(lambda: b"sep=^\r\n" + GOOD.replace(b",", b"^"), 60),
    "the delimiter told after blank lines": taken(lambda: b"\n\nsep=;\n\n" + GOOD.replace(b",", b";"), 60),
    "the delimiter told, and no more": refused(lambda: b"sep=;\n", "one_column"),
    "ragged row under blank lines": taken(lambda: b"\n\n" + with_row("one,two,three"), 61, ragged_row=1),
    "quote never closed at the end": taken(lambda: far(b'"open,yes\n'), 25_001, warns=("open_quote",)),
    "quote never closed in a last cell": taken(lambda: far(b'open,"yes\n'), 25_001, warns=("open_quote",)),
    "quote never closed, carriage returns": taken(
        lambda: far(b'"open,yes\n').replace(b"\n", b"\r"), 25_001, warns=("open_quote",)
    ),
    "quote opened by the last byte": taken(lambda: GOOD + b'new,"', 61, missing_target=1),
    "line of ours in a cell": taken(lambda: with_row("end 0123456789abcdef"), 61, ragged_row=1),
    "a million commas": refused(lambda: b"," * MB, "too_many_columns"),
    "delimiter in the header only": refused(
        lambda: b"a,b,c\n" + b"only words here\n" * 90,
        "not_a_data_file",
    ),
    "delimiter at the end of rows": refused(
        lambda: GOOD.replace(b"\n", b",\n").replace(b"label,", b"label"), "not_a_data_file"
    ),
    "delimiter at the end of lines": taken(lambda: GOOD.replace(b"\n", b",\n"), 60),
    "a third of the rows ragged": taken(ragged, 60, ragged_row=20),
    "all rows ragged": refused(
        lambda: GOOD.replace(b",yes", b",yes,1,2").replace(b",no", b",no,1"),
        "not_a_data_file",
    ),
    "quotes within cells": taken(
        lambda: "\n".join(
            ["review,label", *(f'say "{text}" {n},{label}' for n, (text, label) in enumerate(reviews()))]
        ).encode(),
        60,
    ),
    "quotes at one side": taken(lambda: with_row('a word" and more,yes'), 61),
    "escape at the end of a cell": taken(lambda: with_row('"a path C:\\",yes'), 61),
    "separators of ascii": refused(
        lambda: table(end="\x1e", delimiter="\x1f", header="review\x1flabel").encode(),
        "not_a_data_file",
    ),
    "header twice": taken(lambda: GOOD + GOOD, 121, duplicate=60, rare_class=1),
    "newlines in names": taken(lambda: table(header='"re\nview","la\nbel"').encode(), 60),
    "name of a megabyte": taken(
        lambda: table(header=f"{'n' * MB},label").encode(),
        60,
    ),
}
NUMBERS: Cases = {
    "numbers too large": taken(lambda: numbered(["1e999", "-1e999", "1e308", "2.5", "3"]), 120),
    "not a number": taken(lambda: numbered(["nan", "NaN", "inf", "-Infinity", "1", "2", "3.5"]), 120),
    "hexadecimal": taken(lambda: numbered(["0x1F", "0b11", "0o17", "12"]), 120),
    "thousands": taken(lambda: numbered(['"1,234,567"', '"12,34"', "$1", "1_000", "7%"]), 120),
    "digits of other scripts": taken(lambda: numbered(["١٢٣", "४५", "１２", "Ⅻ", "½", "²"]), 120),
    "leading zeros": taken(lambda: numbered(["007", "00", "0.10", "-0", "+1"]), 120),
    "number of 100,000 digits": taken(lambda: numbered(["9" * 100_000, "1", "2"], 60), 60),
    "integers over 64 bits": taken(lambda: numbered([str(2**64), str(-(2**63) - 1), str(10**30), "1"]), 120),
    "absurd dates": taken(
        lambda: numbered(["2021-02-30", "0000-00-00", "9999-12-31", "1970-01-01T99:99", "12/13/14"]), 120
    ),
    "far dates": taken(lambda: numbered(["+292277026596-12-04", "-4713-11-24", "10000-01-01", "1e5-01-01"]), 120),
}
LABELS: Cases = {
    "one class": refused(lambda: labelled(["yes"] * 90), "one_class"),
    "a label per row": refused(lambda: labelled([f"l{n}" for n in range(90)]), "too_many_classes"),
    "10,001 classes": refused(lambda: labelled([f"c{n % 10_001}" for n in range(40_004)]), "too_many_classes"),
    "labels by case": taken(lambda: labelled(["Yes", "yes", "YES", "No", "no", "NO"] * 15), 90),
    "labels of emoji": taken(lambda: labelled(["👍", "👎", "👩‍👩‍👧‍👦"] * 30), 90),
    "labels of spaces": refused(lambda: labelled([" ", "  ", "\u3000"] * 30), "missing_target"),
    "labels between spaces": taken(lambda: labelled([" yes", "yes ", "\u00a0no", "no\u3000"] * 20), 80),
    "labels with control characters": taken(lambda: labelled(["a\x07", "a\x1b[31m", "b\x08", "b"] * 20), 80),
    "labels like paths": taken(lambda: labelled(["../../etc/passwd", "C:\\x", "a/b", "."] * 20), 80),
    "labels of a kilobyte": taken(lambda: labelled(["a" * 1_000, "b" * 1_000] * 40), 80),
    "right-to-left marks": taken(lambda: labelled(["\u202eyes", "no\u202c", "\u200byes", "no"] * 20), 80),
    "rare classes": taken(lambda: labelled(["yes", "no"] * 40 + ["once", "twice", "twice"]), 83, rare_class=3),
    "half without label": taken(lambda: labelled(["yes", "", "no", ""] * 30), 120, missing_target=60),
}
CELLS: Cases = {
    "personal data everywhere": taken(personal, 90),
    "formulas": taken(
        lambda: labelled(["yes", "no"] * 40) + b'"=HYPERLINK(""http://x"",""y"")",yes\n"@SUM(1)",no\n', 82
    ),
    "a page with script": taken(lambda: with_row('"<script>alert(1)</script><img src=x onerror=alert(2)>",yes'), 61),
    "closing tags in names": taken(lambda: table(header="</title><script>x</script>,label").encode(), 60),
    "template in cells": taken(lambda: with_row('"{{ 7 * 7 }}{% for x in y %}",yes'), 61),
    "text of a megabyte": taken(lambda: with_row(f'"{"word " * 200_001}",yes'), 61, cell_too_long=1),
    "control characters in names": taken(lambda: table(header="re\x07view,\x1frow").encode(), 60),
    "names that we use": taken(lambda: names("_key", "row", "reason", "\x1frow", "__index_level_0__", "label"), 60),
    "names that agree without what is dropped": taken(lambda: names("a", "a\x1f", "\x1fa", " a", "a_2", "label"), 60),
    "at signs": taken(lambda: with_row(f'"{"@" * 200_000}",yes'), 61),
    "digits and dots": taken(lambda: with_row(f'"{"1.2-" * 100_000}",yes'), 61),
    "combining marks": taken(lambda: with_row(f'"a{chr(0x301) * 100_000}",yes'), 61),
    "open tags": taken(lambda: with_row(f'"{"<a " * 100_000}",yes'), 61),
    "all rows the same": refused(lambda: b"review,label\n" + b"the same words,yes\n" * 500, "one_class"),
    "all cells missing": refused(lambda: b"a,b,c\n" + b"NA,,?\n" * 500, "missing_target"),
}
CASES: Cases = ENCODINGS | STRUCTURE | NUMBERS | LABELS | CELLS
