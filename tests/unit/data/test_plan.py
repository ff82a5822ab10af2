"""Planning: what a data scientist would have chosen is what is inferred."""

import random
from pathlib import Path

import pytest

from modelmill.core.data.columns import ColumnSummary, kind_of
from modelmill.core.data.plan import make_plan
from modelmill.core.data.target import Guess, guess_target
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Recipe
from tests.unit.data.files import flowers_csv, prepared, reviews, reviews_csv

ROWS = 1_000


def strings(name: str, distinct: float, words: float = 1.0, nulls: int = 0, cjk: float = 0.0) -> ColumnSummary:
    return ColumnSummary(name, ROWS, nulls, 0, 0, distinct, None, None, words, cjk)


def numbers(name: str, distinct: float, low: float, high: float, *, whole: bool = True) -> ColumnSummary:
    return ColumnSummary(name, ROWS, 0, ROWS, ROWS if whole else 0, distinct, low, high, 1.0, 0.0)


AGE = numbers("age", 70, 17, 90)
FARE = numbers("fare", 800, 0, 500, whole=False)
SEX = strings("sex", 2)


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ([strings("text", 990, 12), numbers("label", 2, 0, 1)], "label"),
        ([strings("Category", 2), strings("Message", 990, 12)], "Category"),
        ([numbers("PassengerId", 1000, 1, 1000), numbers("Survived", 2, 0, 1), SEX, AGE], "Survived"),
        ([AGE, strings("Education", 5), strings("Attrition", 2), SEX], "Attrition"),
        ([strings("v1", 2), strings("v2", 990, 14), strings("", 1, nulls=990)], "v1"),
        ([AGE, FARE, SEX, strings("Drug", 5)], "Drug"),
        ([strings("category", 14), FARE, AGE, numbers("is_fraud", 2, 0, 1), SEX], "is_fraud"),
        (
            [strings("tweet_id", 1000), strings("airline_sentiment", 3), strings("text", 980, 17), SEX],
            "airline_sentiment",
        ),
        ([strings("评论", 900, 1, cjk=40), strings("情感标签", 2), SEX], "情感标签"),
        ([AGE, SEX, strings("income", 2), strings("country", 40)], "income"),
        (
            [numbers("x", 900, 0, 1, whole=False), numbers("y", 900, 0, 1, whole=False), strings("species", 3)],
            "species",
        ),
        ([FARE, strings("diagnosis", 2), numbers("radius", 900, 0, 9, whole=False)], "diagnosis"),
    ],
)
def test_the_target_is_found(columns: list[ColumnSummary], target: str) -> None:
    assert guess_target(columns).name == target


@pytest.mark.parametrize(
    ("columns", "target", "rivals"),
    [
        ([numbers("column_1", 1000, 1, 1000), strings("class", 4), SEX, AGE, strings("survived", 2)], "survived", ()),
        ([SEX, AGE, strings("Class", 2)], "Class", ()),
        ([numbers("column_1", 1000, 1, 1000), numbers("low", 2, 0, 1), AGE, FARE], "low", ()),
        ([strings("absent", 2), AGE, numbers("months", 46, 0, 45)], "absent", ()),
        ([FARE, SEX, numbers("pH", 6, 7, 8, whole=False)], "sex", ()),
        ([AGE, SEX, strings("city", 5), numbers("visits", 9, 0, 8)], "visits", ("sex", "city")),
        ([SEX, numbers("Unit Price", 900, 1, 90), strings("Phone", 990), strings("Late?", 2)], "Late?", ("sex",)),
        ([strings("违约", 2), AGE, strings("学历", 4)], "违约", ()),
    ],
)
def test_a_guess_tells_its_rivals(columns: list[ColumnSummary], target: str, rivals: tuple[str, ...]) -> None:
    assert guess_target(columns) == Guess(target, rivals)


def test_a_running_number_with_gaps_is_a_key() -> None:
    gaps = numbers("nr", 1000, 3, 4_200)
    unnamed = numbers("column_1", 1000, 29_442, 69_985)
    measure = numbers("distance", 1000, 140, 20_000)
    assert [kind_of(column) for column in (gaps, unnamed, measure)] == ["identifier", "identifier", "number"]


@pytest.mark.parametrize("name", ["label", "target", "median_house_value", "price"])
def test_a_measure_is_no_class(name: str) -> None:
    columns = [AGE, SEX, numbers(name, 900, 0, 9e5), strings("ocean", 5)]
    with pytest.raises(Rejected) as caught:
        make_plan(columns, Recipe())
    assert caught.value.code == "regression_unsupported"


def test_few_whole_numbers_are_classes() -> None:
    assert make_plan([AGE, FARE, numbers("stars", 5, 1, 5)], Recipe()).target == "stars"
    assert make_plan([AGE, FARE, numbers("label", 100, 0, 99)], Recipe()).target == "label"


def test_kinds_and_warnings() -> None:
    columns = [
        numbers("id", 1000, 5, 99_999),
        numbers("row", 1000, 1, 1000),
        strings("ticket", 700, 2),
        strings("name", 990, 4.1),
        strings("country", 1),
        strings("note", 20, nulls=980),
        AGE,
        SEX,
        numbers("target", 2, 0, 1),
    ]
    plan = make_plan(columns, Recipe())
    kinds = {column.name: column.kind for column in plan.columns}
    assert kinds == {
        "id": "identifier", "row": "identifier", "ticket": "identifier", "name": "text", "country": "constant",
        "note": "constant", "age": "number", "sex": "category", "target": "category",
    }  # fmt: skip
    assert plan.task == "tabular-classification"
    assert [column.name for column in plan.inputs] == ["age", "sex"]
    assert {w.code for w in plan.warnings} == {"columns_ignored", "identifiers_ignored", "constants_ignored"}


def test_text_wins_over_the_other_columns() -> None:
    columns = [AGE, strings("title", 600, 3.3), strings("review", 990, 60), SEX, FARE, numbers("liked", 2, 0, 1)]
    plan = make_plan(columns, Recipe())
    assert (plan.task, plan.target) == ("text-classification", "liked")
    assert [column.name for column in plan.inputs] == ["title", "review"]
    guessed, ignored = plan.warnings
    assert (guessed.code, "sex" in guessed.message) == ("target_guessed", True)
    assert ignored.code == "columns_ignored"
    assert ignored.message.endswith("age, sex, fare")


def test_short_strings_are_text_when_there_is_nothing_else() -> None:
    plan = make_plan([numbers("id", 1000, 1, 1000), strings("name", 990, 1.2), strings("gender", 2)], Recipe())
    assert (plan.task, plan.target) == ("text-classification", "gender")
    assert [column.name for column in plan.inputs] == ["name"]


def test_the_recipe_decides() -> None:
    columns = [AGE, strings("name", 800, 4), strings("review", 990, 60), SEX, strings("label", 3)]
    recipe = Recipe(task="tabular-classification", target="sex", inputs=["age", "name", "label"])
    plan = make_plan(columns, recipe)
    assert (plan.task, plan.target) == ("tabular-classification", "sex")
    assert [(c.name, c.kind) for c in plan.inputs] == [("age", "number"), ("name", "category"), ("label", "category")]


@pytest.mark.parametrize(
    ("recipe", "code", "words"),
    [
        (Recipe(target="lable"), "missing_target", "age, sex, label"),
        (Recipe(inputs=["ages"]), "missing_input", "age, sex, label"),
        (Recipe(target="sex", inputs=["sex"]), "missing_input", "age, sex, label"),
        (Recipe(task="text-classification", inputs=["age"]), "no_usable_input", "inputs"),
    ],
)
def test_a_recipe_for_other_columns_is_refused(recipe: Recipe, code: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        make_plan([AGE, SEX, strings("label", 3)], recipe)
    assert caught.value.code == code
    assert words in str(caught.value.hint)


def test_a_planted_leak_is_suspected(tmp_path: Path) -> None:
    lines = flowers_csv(90).splitlines()
    leaked = [f"{lines[0]},code", *(f"{line},{line[-1]}9" for line in lines[1:])]
    result = prepared(tmp_path, "\n".join(leaked))
    assert result.plan.target == "species"
    assert [w.message[-4:] for w in result.warnings if w.code == "leak_suspected"] == ["code"]
    honest = prepared(tmp_path, flowers_csv(90))
    assert "leak_suspected" not in {w.code for w in honest.warnings}


def test_numbers_with_few_other_values_stay_numbers(tmp_path: Path) -> None:
    dice = random.Random(3)
    rows = [f"{dice.random():.4f},{number % 2}" for number in range(200)]
    result = prepared(tmp_path, "\n".join(["width,label", "unknown,0", *rows]))
    assert [(c.name, c.kind) for c in result.plan.inputs] == [("width", "number")]
    assert "not_numbers" in {w.code for w in result.warnings}
    assert result.reasons == {"no_usable_input": 1}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(("1.0", "0.0"), ["0", "1"]), (("True", "FALSE"), ["false", "true"]), (("1.5", "2.0"), ["1.5", "2"])],
)
def test_labels_are_strings(tmp_path: Path, labels: tuple[str, str], expected: list[str]) -> None:
    rows = [f"{text},{labels[label == 'yes']}" for text, label in reviews(60)]
    result = prepared(tmp_path, "\n".join(["text,label", *rows]))
    assert result.labels == expected
    assert set(result.splits["test"].column("label").to_pylist()) == set(expected)


def test_text_of_reviews(tmp_path: Path) -> None:
    result = prepared(tmp_path, reviews_csv())
    assert (result.plan.task, result.plan.target) == ("text-classification", "recommended")
    assert result.warnings == []


def test_a_measure_that_was_cut_into_the_classes_is_suspected(tmp_path: Path) -> None:
    rows = [(grams, "yes" if grams < 2_500 else "no", grams % 7) for grams in range(1_000, 4_000, 23)]
    text = "\n".join(["grams,low,other", *(f"{grams}.5,{low},{other}.5" for grams, low, other in rows)])
    codes = {w.code: w.message for w in prepared(tmp_path, text, recipe=Recipe(target="low")).warnings}
    assert codes["leak_suspected"].endswith("? grams")
