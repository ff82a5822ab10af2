"""The benchmark's table: a size in; a mixed CSV of 20 columns, the same bytes for the same size, out.

`python -m tests.perf.data_file PATH --mb 100`. It has what real files have: missing values, prices with a currency,
Chinese, quoted newlines, personal data, repeated and ragged rows, and classes that follow from other columns.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Dice = np.random.Generator
COLUMNS = (
    "id", "amount", "quantity", "price", "stars", "age", "income", "visits", "country", "channel", "segment",
    "device", "active", "signed_up", "city", "contact", "discount", "score", "notes", "tier",
)  # fmt: skip
CATEGORIES: dict[str, tuple[str, ...]] = {
    "country": ("China", "Germany", "Brazil", "Kenya", "Japan", "France", "Canada", "India"),
    "channel": ("web", "shop", "phone", "partner"),
    "segment": ("private", "business", "public", "school", "charity"),
    "device": ("desktop", "mobile", "tablet", "kiosk", "none given"),
    "city": ("北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安", "南京", "重庆", "天津", "苏州"),
    "tier": ("bronze", "silver", "gold"),
}
ENGLISH = (
    "the parcel came late and the box was wet", "works as described", "support answered within a day",
    "colour differs from the photo", "would buy it again", "too small for our office", "a very good present",
    "the second one broke after a week", "instructions are hard to follow", "setup took five minutes",
    "battery lasts two days", "they took it back without a question", 'my aunt called it "quite nice"',
)  # fmt: skip
CHINESE = (
    "物流很快，包装完好", "颜色和图片不一样", "客服态度不错，问题解决了", "用了一周就坏了，比较失望",
    "性价比高，值得推荐", "说明书看不懂，安装花了半天", "朋友都说好看", "尺寸偏小，建议买大一号",
)  # fmt: skip
ROWS = 50_000
"""Rows made at a time."""
REPEATED, RAGGED, MISSING, NEWLINE, PERSONAL, REACHABLE = 0.01, 0.001, 0.05, 0.02, 0.02, 0.3


def write_file(path: Path, size: int, seed: int = 1) -> int:
    """Write about `size` bytes (one batch more at most) and return the number of rows under the header."""
    rows, number = 0, 0
    fragments = _fragments(np.random.default_rng(seed))
    with path.open("wb") as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        while file.tell() < size:
            dice = np.random.default_rng([seed, number])
            count = min(ROWS, max(1_000, (size - file.tell()) // 250))
            file.write(_lines(dice, rows, count, fragments))
            rows, number = rows + count, number + 1
    return rows


def cached_file(folder: Path, size: int) -> Path:
    """The file of that size in the folder, made if it is not there."""
    path = folder / f"mixed-{size}.csv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write_file(part, size)
        part.rename(path)
    return path


def _lines(dice: Dice, first: int, count: int, fragments: pa.Array) -> memoryview:
    columns = _columns(dice, first, count, fragments)
    lines = pc.binary_join_element_wise(*(columns[name] for name in COLUMNS), ",")
    extra = np.where(dice.random(count) < RAGGED, ",one,too,many\n", "\n")
    lines = pc.binary_join_element_wise(lines, pa.array(extra, pa.string()), "")
    # Every hundredth row is the one before it once more.
    order = np.arange(count)
    again = np.flatnonzero(dice.random(count) < REPEATED)
    order[again] = np.maximum(again - 1, 0)
    lines = lines.take(pa.array(order))
    return memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()]


def _columns(dice: Dice, first: int, count: int, fragments: pa.Array) -> dict[str, pa.Array]:
    amount, age, visits = dice.gamma(2, 90, count), dice.integers(18, 91, count), dice.poisson(6, count)
    active, segment = dice.random(count) < 0.7, dice.integers(0, len(CATEGORIES["segment"]), count)
    worth = amount / 90 + visits / 3 + active + segment / 2 + dice.normal(0, 0.5, count)
    codes = {name: dice.integers(0, len(names), count) for name, names in CATEGORIES.items()}
    codes |= {"segment": segment, "tier": np.digitize(worth, (4.5, 7))}
    days = dice.integers(0, 3_650, count) + np.datetime64("2015-01-01")
    columns = {name: _named(CATEGORIES[name], chosen) for name, chosen in codes.items()}
    return columns | {
        "id": pc.binary_join_element_wise("C-", _text(np.arange(first, first + count) + 10_000_000), ""),
        "amount": _missing(dice, _decimal(amount)),
        "quantity": _text(dice.integers(1, 400, count)),
        "price": pc.binary_join_element_wise(
            _named(("$", "€", "¥"), dice.integers(0, 3, count)), _price(dice, count), ""
        ),
        "stars": _missing(dice, _text(dice.integers(1, 6, count))),
        "age": _text(age),
        "income": _missing(dice, _text(dice.integers(8_000, 250_000, count))),
        "visits": _text(visits),
        "active": _named(("false", "true"), active.astype(np.int64)),
        "signed_up": _text(days),
        "contact": _contact(dice, count),
        "discount": _missing(dice, _decimal(dice.random(count) * 40)),
        "score": _decimal(dice.normal(0, 25, count)),
        "notes": _notes(dice, count, fragments),
    }


def _text(values: "np.ndarray[Any, Any]") -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _decimal(values: "np.ndarray[Any, Any]") -> pa.Array:
    return _text(np.round(values, 2))


def _named(names: tuple[str, ...], codes: "np.ndarray[Any, Any]") -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes))


def _missing(dice: Dice, cells: pa.Array) -> pa.Array:
    """Some cells empty, or what people write for that."""
    draw = dice.random(len(cells))
    marker = _named(("", "NA"), (draw < MISSING / 2).astype(np.int64))
    return pc.if_else(pa.array(draw < MISSING), marker, cells)


def _price(dice: Dice, count: int) -> pa.Array:
    return _decimal(dice.gamma(2, 300, count))


def _digits(dice: Dice, count: int, length: int) -> pa.Array:
    return _text(dice.integers(10 ** (length - 1), 10**length, count))


def _mail(dice: Dice, count: int) -> pa.Array:
    return pc.binary_join_element_wise("user", _digits(dice, count, 7), "@example.com", "")


def _phone(dice: Dice, count: int) -> pa.Array:
    return pc.binary_join_element_wise("+86 13", _digits(dice, count, 9), "")


def _card(dice: Dice, count: int) -> pa.Array:
    """Sixteen digits with a true check digit (Luhn)."""
    digits = dice.integers(0, 10, (count, 15))
    digits[:, 0] = 4
    doubled = digits[:, ::2] * 2
    total = (doubled - 9 * (doubled > 9)).sum(axis=1) + digits[:, 1::2].sum(axis=1)
    powers = 10 ** np.arange(15, -1, -1)
    return _text(digits @ powers[:15] + -total % 10)


def _contact(dice: Dice, count: int) -> pa.Array:
    how = _named(("by post", "in person", "none"), dice.integers(0, 3, count))
    return pc.if_else(pa.array(dice.random(count) < REACHABLE), _mail(dice, count), how)


def _fragments(dice: Dice) -> pa.Array:
    """Some thousands of pieces of 20 to 90 characters, half of them Chinese."""
    made = []
    for number in range(6_000):
        words, size, gap = (ENGLISH, 2, ", ") if number % 2 else (CHINESE, 3, "。")
        made.append(gap.join(words[index] for index in dice.integers(0, len(words), size)))
    return pa.array(made, pa.string())


def _notes(dice: Dice, count: int, fragments: pa.Array) -> pa.Array:
    """Two pieces and a number, quoted; a few with a newline, a few with an address, a phone or a card."""
    pieces = [fragments.take(pa.array(dice.integers(0, len(fragments), count))) for _ in range(2)]
    between = _named((" ", "\n"), (dice.random(count) < NEWLINE).astype(np.int64))
    draw: Callable[[float], pa.Array] = lambda share: pa.array(dice.random(count) < share)  # noqa: E731
    datum = pc.if_else(
        draw(1 / 3), _mail(dice, count), pc.if_else(draw(1 / 2), _phone(dice, count), _card(dice, count))
    )
    datum = pc.if_else(draw(PERSONAL), pc.binary_join_element_wise(" ", datum, ""), "")
    text = pc.binary_join_element_wise(pieces[0], between, pieces[1], datum, " no ", _digits(dice, count, 3), "")
    return pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.data_file")
    parser.add_argument("path", type=Path)
    parser.add_argument("--mb", type=int, default=100)
    arguments = parser.parse_args()
    write_file(arguments.path, arguments.mb * 1_000_000)


if __name__ == "__main__":
    main()
