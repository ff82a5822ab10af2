"""Leak checks: what flatters a model fires with its numbers and a way out; honest data are left in peace."""

import datetime as dt
import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelmill.core.data.plan import Plan
from modelmill.core.model.spec import Column, ColumnKind
from modelmill.core.model.task import Task
from modelmill.frames.leaks import check_leaks, check_media
from modelmill.frames.leaks.labels import chi_square
from modelmill.frames.leaks.power import class_power, coded
from modelmill.frames.leaks.twins import equal_rows, near_texts
from modelmill.frames.media.facts import Print

WORDS = [
    *("the", "dress", "shop", "was", "near", "a", "river", "and", "every", "morning", "people", "came", "from", "far"),
    *("away", "to", "look", "at", "cloth", "thread", "buttons", "lace", "silk", "wool", "cotton", "linen", "scarves"),
    *("hats", "gloves", "shoes", "belts", "coats", "skirts", "shirts", "warm", "soft", "bright", "dark", "long"),
]
HANZI = "这家酒店的服务很好房间干净早餐丰富位置方便前台热情价格合理下次还会来住床很舒服安静隔音差空调声大水压小"


def table(**columns: Any) -> pa.Table:
    """Strings as large_string, numbers as they are."""
    made = {}
    for name, values in columns.items():
        text = any(isinstance(value, str) for value in values)
        made[name] = pa.array(values, pa.large_string() if text else pa.float64())
    return pa.table(made)


def plan(target: str, kinds: dict[str, ColumnKind], *, task: Task = "tabular-classification") -> Plan:
    columns = tuple(Column(name=name, kind=kind) for name, kind in kinds.items())
    read = {"number", "category", "text"}
    inputs = tuple(c for c in columns if c.name != target and c.kind in read)
    return Plan(task, target, inputs, columns, ())


def cut(rows: pa.Table) -> dict[str, pa.Table]:
    """70 % for training, 15 % each for the rest, in the order of the rows."""
    first, second = int(0.7 * rows.num_rows), int(0.85 * rows.num_rows)
    return {"train": rows[:first], "validation": rows[first:second], "test": rows[second:]}


def fired(rows: pa.Table, what: Plan, **options: Any) -> dict[str, str]:
    return {warning.code: warning.message for warning in check_leaks(cut(rows), what, **options)}


def sentences(count: int, seed: int = 1) -> list[str]:
    dice = random.Random(seed)
    return [" ".join(dice.choices(WORDS, k=dice.randrange(12, 40))) for _ in range(count)]


@pytest.fixture
def honest() -> tuple[pa.Table, Plan]:
    """A table from which the target can be guessed, but by no leak."""
    dice = np.random.default_rng(3)
    label = dice.integers(0, 2, 1_000)
    rows = table(
        size=(label + dice.normal(size=1_000)).tolist(),
        colour=[["red", "blue", "green"][i] for i in dice.integers(0, 3, 1_000)],
        label=[["no", "yes"][i] for i in label],
    )
    return rows, plan("label", {"size": "number", "colour": "category", "label": "category"})


def test_honest_data_raise_no_alarm(honest: tuple[pa.Table, Plan]) -> None:
    assert fired(*honest) == {}
    assert fired(*honest, by="given") == {}


def test_a_strong_input_is_no_leak(honest: tuple[pa.Table, Plan]) -> None:
    rows, _ = honest
    dice = np.random.default_rng(4)
    flip = dice.random(1_000) < 0.12
    strong = [
        value if not turn else "yes"
        for value, turn in zip(rows.column("label").to_pylist(), flip.tolist(), strict=True)
    ]
    more = rows.append_column("vote", pa.array(strong, pa.large_string()))
    kinds: dict[str, ColumnKind] = {"size": "number", "vote": "category", "label": "category"}
    assert fired(more, plan("label", kinds)) == {}


@pytest.mark.parametrize("rare", [0.5, 0.03])
def test_a_column_that_tells_the_class(rare: float) -> None:
    dice = np.random.default_rng(5)
    churned = dice.random(2_000) < rare
    label = ["churned" if is_so else "stayed" for is_so in churned]
    rows = table(
        code=[f"{'R' if is_so else 'K'}{number % 4}" for number, is_so in enumerate(churned)],
        days=[float(number % 90 + (1_000 if is_so else 0)) for number, is_so in enumerate(churned)],
        reason=["moved" if is_so else None for is_so in churned],
        noise=dice.normal(size=2_000).tolist(),
        label=label,
    )
    kinds: dict[str, ColumnKind] = {"code": "category", "days": "number", "reason": "category", "noise": "number"}
    message = fired(rows, plan("label", {**kinds, "label": "category"}))["leak_suspected"]
    assert "code: right in 100.0 % of rows" in message
    assert "days: right in" in message
    assert "reason: right in" in message
    assert "noise" not in message
    assert "`inputs:" in message


def test_a_key_tells_nothing_of_other_rows() -> None:
    names = [f"k{number}" for number in range(1_000)]
    dice = random.Random(6)
    rows = table(key=names, label=[dice.choice("ab") for _ in names])
    assert fired(rows, plan("label", {"key": "category", "label": "category"})) == {}


def test_numbers_in_the_order_of_the_classes() -> None:
    """A file sorted by class: its running number, were it an input, tells the class."""
    dice = np.random.default_rng(7)
    place = dice.permutation(900)
    rows = table(row=place.astype(float).tolist(), label=[f"class {number // 300}" for number in place.tolist()])
    assert "row: right in" in fired(rows, plan("label", {"row": "number", "label": "category"}))["leak_suspected"]
    assert fired(rows.append_column("x", pa.array(dice.normal(size=900))), _keyed()) == {}


def _keyed() -> Plan:
    return plan("label", {"row": "identifier", "x": "number", "label": "category"})


def test_what_is_known_after_the_fact_is_named(honest: tuple[pa.Table, Plan]) -> None:
    rows, _ = honest
    dice = np.random.default_rng(8)
    values = [
        float(dice.integers(1, 3) + 2 * (label == "yes")) if dice.random() < 0.85 else 3.0
        for label in rows.column("label").to_pylist()
    ]
    kinds: dict[str, ColumnKind] = {"size": "number", "Rating": "number", "label": "category"}
    found = fired(rows.append_column("Rating", pa.array(values)), plan("label", kinds))
    assert set(found) == {"after_the_fact"}
    assert "Rating" in found["after_the_fact"]
    kinds = {"size": "number", "Weight": "number", "label": "category"}
    assert fired(rows.append_column("Weight", pa.array(values)), plan("label", kinds)) == {}


def test_a_measure_under_another_name() -> None:
    dice = np.random.default_rng(9)
    price = dice.lognormal(size=800)
    rows = table(
        area=(price + dice.normal(size=800)).tolist(),
        log_price=np.log(price).tolist(),
        price=price.tolist(),
    )
    kinds: dict[str, ColumnKind] = {"area": "number", "log_price": "number", "price": "number"}
    message = fired(rows, plan("price", kinds, task="tabular-regression"))["leak_suspected"]
    assert "log_price: explains 100.0 % of the variance" in message
    assert "area" not in message


def test_texts_that_name_their_class() -> None:
    dice = random.Random(10)
    labels = [dice.choice(["sports", "politics"]) for _ in range(400)]
    texts = [f"{text} filed under {label.title()}" for text, label in zip(sentences(400), labels, strict=True)]
    what = plan("label", {"text": "text", "label": "category"}, task="text-classification")
    assert "100 % of the texts name their own class" in fired(table(text=texts, label=labels), what)["label_in_text"]
    innocent = [f"{text} {dice.choice(['sports', 'politics', ''])}" for text in sentences(400)]
    assert fired(table(text=innocent, label=labels), what) == {}


def test_chinese_texts_that_name_their_class() -> None:
    dice = random.Random(11)
    labels = [dice.choice(["好评", "差评"]) for _ in range(300)]
    texts = ["".join(dice.choices(HANZI, k=40)) + label for label in labels]
    what = plan("标签", {"评论": "text", "标签": "category"}, task="text-classification")
    assert "label_in_text" in fired(table(评论=texts, 标签=labels), what)


def test_near_twins_in_both_languages() -> None:
    dice = random.Random(12)
    english = sentences(300)
    chinese = ["".join(dice.choices(HANZI, k=dice.randrange(60, 200))) for _ in range(300)]
    edited = [text.replace("the ", "a ", 1).upper() + "!!" for text in english[:60]]
    changed = [text[:20] + "了" + text[20:] for text in chinese[:60]]
    for texts, copies in ((english, edited), (chinese, changed)):
        others = (
            sentences(300, seed=99) if texts is english else ["".join(dice.choices(HANZI, k=120)) for _ in range(300)]
        )
        found = near_texts(_strings(texts), _strings([*copies, *others])).tolist()
        assert sum(twin == place for place, twin in enumerate(found[:60])) >= 57
        assert found[60:] == [-1] * 300


def _strings(values: Sequence[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.large_string())])


def test_twins_across_the_split_are_counted_and_shown() -> None:
    dice = random.Random(13)
    texts = sentences(400)
    texts[340:346] = [text.replace(" ", " and ", 1) for text in texts[:6]]
    texts[350:356] = texts[10:16]
    labels = [dice.choice("ab") for _ in texts]
    labels[350:356] = labels[10:16]
    # A text with another class makes the test harder: it is no leak.
    labels[355] = "b" if labels[15] == "a" else "a"
    rows = table(text=texts, label=labels)
    found = fired(rows, plan("label", {"text": "text", "label": "category"}, task="text-classification"), by="given")
    assert "5 of 60 test rows (8.3 %) are the same as one" in found["same_rows_on_both_sides"]
    assert "of 60 test rows" in found["near_rows_on_both_sides"]
    assert texts[0][:20] in found["near_rows_on_both_sides"]
    assert len(found["near_rows_on_both_sides"]) < 800


def test_empty_short_and_missing_texts_have_no_twins() -> None:
    assert near_texts(_strings(["", None, "a b c"]), _strings(["", None, "a b c"])).tolist() == [-1, -1, -1]
    assert near_texts(_strings([]), _strings(["x" * 50])).tolist() == [-1]


def test_equal_rows_are_equal_in_every_column() -> None:
    first = table(a=["x", "y", "x"], n=[1.0, 2.0, None])
    second = table(a=["y", "x", "y", "x"], n=[2.0, None, 1.0, 1.0])
    assert equal_rows(first, second).tolist() == [1, 2, -1, 0]


def test_tables_of_few_values_repeat_by_nature() -> None:
    dice = random.Random(14)
    few = table(a=dice.choices("xy", k=400), b=dice.choices("pq", k=400), label=dice.choices("uv", k=400))
    what = plan("label", {"a": "category", "b": "category", "label": "category"})
    assert fired(few, what, by="given") == {}
    numbers = [dice.random() for _ in range(400)]
    numbers[350:370] = numbers[:20]
    labels = dice.choices("uv", k=400)
    labels[350:370] = labels[:20]
    copied = table(a=numbers, b=dice.choices("pq", k=400), label=labels)
    copied = copied.set_column(1, "b", pa.array(["p"] * 400, pa.large_string()))
    what = plan("label", {"a": "number", "b": "category", "label": "category"})
    assert "20 of 60 test rows" in fired(copied, what, by="given")["same_rows_on_both_sides"]


@pytest.mark.parametrize("name", ["patient_id", "speaker", "用户编号", "UserID", "说话人"])
def test_somebody_on_both_sides(name: str) -> None:
    dice = random.Random(15)
    people = [f"p{dice.randrange(40)}" for _ in range(600)]
    rows = table(**{name: people, "x": [dice.random() for _ in people], "label": dice.choices("ab", k=600)})
    what = plan("label", {name: "identifier", "x": "number", "label": "category"})
    assert f"`split: {{by: group, group: {name}}}`" in fired(rows, what)["group_on_both_sides"]
    assert fired(rows, what, by="group", group=name) == {}


@pytest.mark.parametrize("name", ["customer_age", "device_type", "product_id", "客户年龄"])
def test_what_somebody_has_is_no_group(name: str) -> None:
    dice = random.Random(16)
    values = [f"p{dice.randrange(40)}" for _ in range(600)]
    rows = table(**{name: values, "x": [dice.random() for _ in values], "label": dice.choices("ab", k=600)})
    assert fired(rows, plan("label", {name: "identifier", "x": "number", "label": "category"})) == {}


@pytest.mark.parametrize(
    ("name", "values", "fires"),
    [("device", 5, False), ("owner", 5, False), ("设备", 5, False), ("device", 40, True), ("device_id", 5, True),
     ("设备编号", 5, True), ("speaker", 6, True), ("speaker", 4, False)],
)  # fmt: skip
def test_a_few_sorts_of_things_are_no_group(name: str, values: int, fires: bool) -> None:
    dice = random.Random(18)
    found = [f"v{dice.randrange(values)}" for _ in range(600)]
    rows = table(**{name: found, "label": dice.choices("ab", k=600)})
    assert bool(fired(rows, plan("label", {name: "category", "label": "category"}), by="group")) == fires


def test_a_key_that_shares_its_label_is_a_group() -> None:
    dice = random.Random(17)
    kinds = {f"t{number}": dice.choice("ab") for number in range(60)}
    keys = dice.choices(sorted(kinds), k=900)
    labels = [kinds[key] if dice.random() < 0.9 else dice.choice("ab") for key in keys]
    rows = table(ticket=keys, x=[dice.random() for _ in keys], label=labels)
    assert "ticket" in fired(rows, _ticket())["group_on_both_sides"]


def _ticket() -> Plan:
    return plan("label", {"ticket": "identifier", "x": "number", "label": "category"})


def test_labels_that_change_with_time() -> None:
    dice = random.Random(18)
    days = [dice.randrange(1_000) for _ in range(900)]
    moments = [dt.date(2020, 1, 1) + dt.timedelta(days=day) for day in days]
    dates = [f"{moment} 10:00" for moment in moments]
    drifting = ["up" if dice.random() < day / 1_000 else "down" for day in days]
    noise = [dice.random() for _ in days]
    what = plan("label", {"day": "date", "x": "number", "label": "category"})
    rows = table(day=dates, x=noise, label=drifting)
    assert "`split: {by: time, time: day}`" in fired(rows, what)["time_matters"]
    assert fired(rows, what, by="time") == {}
    assert fired(table(day=dates, x=noise, label=dice.choices(["up", "down"], k=900)), what) == {}
    written = [f"{moment:%d.%m.%Y}" for moment in moments]
    assert "time_matters" in fired(table(day=written, x=noise, label=drifting), what)
    measures = table(day=dates, x=noise, label=[day + 100 * dice.random() for day in days])
    assert "time_matters" in fired(measures, plan("label", {"day": "date", "x": "number", "label": "number"}))


def test_dates_may_be_dates() -> None:
    dice = random.Random(19)
    days = [dice.randrange(1_000) for _ in range(900)]
    rows = table(x=[dice.random() for _ in days], label=["b" if day > 500 else "a" for day in days])
    what = plan("label", {"day": "date", "x": "number", "label": "category"})
    for kind in (pa.date32(), pa.timestamp("us")):
        column = pa.array(days, pa.int32()).cast(pa.date32()).cast(kind)
        assert "time_matters" in fired(rows.append_column("day", column), what)


def test_a_given_split_with_other_labels() -> None:
    dice = random.Random(20)
    labels = [*dice.choices("ab", k=850), *dice.choices("ab", weights=[9, 1], k=145), *["new"] * 5]
    rows = table(x=[dice.random() for _ in labels], label=labels)
    what = plan("label", {"x": "number", "label": "category"})
    found = fired(rows, what, by="given")
    assert set(found) == {"unseen_classes", "label_shift"}
    assert "5 test rows have classes that no training row has: new" in found["unseen_classes"]
    assert "test: 'a' is 9" in found["label_shift"]
    numbers = table(x=[dice.random() for _ in labels], label=[float(i > 850) + dice.random() for i in range(1_000)])
    what = plan("label", {"x": "number", "label": "number"}, task="tabular-regression")
    assert "its median is 1.4" in fired(numbers, what, by="given")["label_shift"]


def test_classes_with_few_test_rows(honest: tuple[pa.Table, Plan]) -> None:
    counts = {"train": {"no": 500, "yes": 8}, "validation": {"no": 100, "yes": 2}, "test": {"no": 100, "yes": 2}}
    assert "yes (2)" in fired(*honest, counts=counts)["few_test_rows"]
    assert "split:" not in fired(*honest, counts=counts, by="given")["few_test_rows"]


def test_chi_square_is_pearsons() -> None:
    squares, deviations = chi_square(np.array([[10, 20, 30], [6, 9, 17]]))
    assert squares == pytest.approx(0.27157, abs=1e-4)
    assert deviations < 0
    assert chi_square(np.array([[100, 0], [0, 100]]))[1] > 8
    assert chi_square(np.array([[5, 5]])) == (0.0, 0.0)


def test_the_power_of_a_column_is_judged_on_other_rows() -> None:
    dice = np.random.default_rng(21)
    classes = dice.integers(0, 3, 3_000)
    seen = class_power(coded(pa.chunked_array([classes.astype(float)]), classes), classes)
    assert (seen.right, seen.skill) == (1.0, 1.0)
    noise = class_power(coded(pa.chunked_array([dice.normal(size=3_000)]), classes), classes)
    assert noise.skill < 0.1


def test_the_checks_are_quick() -> None:
    texts = [f"{text} {number}" for number, text in enumerate(sentences(25_000))]
    dice = random.Random(22)
    labels = dice.choices("ab", k=25_000)
    what = plan("label", {"text": "text", "label": "category"}, task="text-classification")
    wide = {f"n{number}": np.random.default_rng(number).normal(size=2_000).tolist() for number in range(1_000)}
    many = table(**wide, label=dice.choices("ab", k=2_000))
    kinds: dict[str, ColumnKind] = {**dict.fromkeys(wide, "number"), "label": "category"}
    started = time.process_time()
    check_leaks(cut(table(text=texts, label=labels)), what)
    check_leaks(cut(many), plan("label", kinds))
    assert time.process_time() - started < 4  # 1.2 s on a laptop


def _prints(names: list[str], seed: int) -> list[Print]:
    dice = random.Random(seed)
    return [Print(name, "", dice.randbytes(32)) for name in names]


def test_speakers_on_both_sides() -> None:
    names = [
        f"{digit}/{digit}_{who}_{take}.wav" for digit in range(5) for who in ("ann", "bob", "cy") for take in range(9)
    ]
    train, test = (_prints([f"{side}/{name}" for name in names], 1 + len(side)) for side in ("train", "test"))
    (warning,) = check_media("audio", train, test)
    assert warning.code == "media_on_both_sides"
    assert "135 of 135 test files (100 %)" in warning.message
    assert "(ann, bob, cy)" in warning.message
    others = _prints([name.name.replace("ann", "dan").replace("bob", "eve").replace("cy", "flo") for name in test], 9)
    assert check_media("audio", train, others) == []


@pytest.mark.parametrize(
    "pattern", ["{label}/{label}_{number}.png", "{label}/{number:05}.png", "{label}/img_{number}.png"]
)
def test_names_that_tell_of_nobody(pattern: str) -> None:
    names = [pattern.format(label=label, number=number) for label in ("cat", "dog", "frog") for number in range(40)]
    assert check_media("image", _prints(names, 1), _prints(names, 2)) == []


def test_nearly_the_same_files_on_both_sides() -> None:
    train, test = (
        _prints([f"{number}.png" for number in range(90)], 1),
        _prints([f"t{number}.png" for number in range(50)], 2),
    )
    test[7] = Print("t7.png", "", train[3].print[:-1] + bytes([train[3].print[-1] ^ 1]))
    (warning,) = check_media("image", train, test)
    assert "1 of 50 test files (2.0 %)" in warning.message
    assert "'t7.png' and '3.png'" in warning.message
    assert check_media("image", train, [Print("blank.png", "", b"")]) == []
    assert check_media("image", [], []) == []
