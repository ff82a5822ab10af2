"""Planning: what a data scientist would have chosen is what is inferred."""

from typing import Literal

import pytest

from modelmill.core.data.columns import ColumnSummary, Facts, kind_of
from modelmill.core.data.plan import make_plan
from modelmill.core.data.target import Guess, guess_target
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Evaluation, Recipe
from modelmill.core.model.spec import Column

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
        ([AGE, strings("grade", 7), strings("loan_status", 3), numbers("last_pymnt_amnt", 900, 0, 9e3)], "loan_status"),
        ([FARE, AGE, numbers("duration", 700, 1, 900), strings("channel", 3)], "channel"),
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
        ([FARE, SEX, numbers("pH", 6, 7, 8, whole=False)], "sex", ("fare", "pH")),
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
def test_a_measure_is_predicted_as_one(name: str) -> None:
    plan = make_plan([AGE, SEX, numbers(name, 900, 0, 9e5), strings("ocean", 5)], Recipe())
    assert (plan.task, plan.target) == ("tabular-regression", name)
    assert Column(name=name, kind="number") in plan.columns
    assert [column.name for column in plan.inputs] == ["age", "sex", "ocean"]


def test_a_text_can_have_a_measure() -> None:
    plan = make_plan([strings("essay", 990, 200), numbers("score", 800, 0, 100, whole=False)], Recipe())
    assert (plan.task, plan.target) == ("text-regression", "score")


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ([FARE, strings("cut", 5), strings("color", 7), strings("clarity", 8), numbers("price", 900, 3e2, 2e4),
          numbers("x", 500, 0, 9, whole=False), numbers("y", 500, 0, 9, whole=False),
          numbers("z", 500, 0, 9, whole=False)], "price"),
        ([numbers("mpg", 129, 9, 46, whole=False), numbers("cylinders", 5, 3, 8), AGE, strings("origin", 3),
          strings("name", 305, 2)], "mpg"),
        ([SEX, numbers("temp", 50, 1, 99), numbers("season", 4, 1, 4), numbers("cnt", 800, 1, 900)], "cnt"),
        ([numbers("Id", 1000, 1, 1000), SEX, FARE, numbers("SalePrice", 663, 3e4, 7e5)], "SalePrice"),
        ([AGE, SEX, strings("region", 4), numbers("charges", 990, 1e3, 6e4, whole=False)], "charges"),
        ([strings("小区", 300, 1, cjk=3.0), numbers("面积", 800, 30, 300, whole=False), numbers("房价", 900, 1e4, 9e4)],
         "房价"),
    ],
)  # fmt: skip
def test_a_measure_is_found(columns: list[ColumnSummary], target: str) -> None:
    plan = make_plan(columns, Recipe())
    assert (plan.task, plan.target) == ("tabular-regression", target)


def test_a_measure_without_a_telling_name_is_doubted() -> None:
    plan = make_plan([FARE, numbers("height", 900, 0, 9, whole=False)], Recipe())
    assert (plan.task, plan.target) == ("tabular-regression", "height")
    assert [warning.code for warning in plan.warnings] == ["target_guessed"]


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_images_and_sounds_are_what_is_read(kind: Literal["image", "audio"]) -> None:
    columns = [strings("file", 1000), strings("caption", 990, 12), strings("label", 10), AGE]
    plan = make_plan(columns, Recipe(), {"file": Facts(media=kind)})
    assert (plan.task, plan.target) == ("mixed-classification", "label")
    assert [(c.name, c.kind) for c in plan.inputs] == [("file", kind), ("caption", "text"), ("age", "number")]
    assert plan.warnings == ()
    alone = make_plan([strings("file", 1000), strings("label", 10)], Recipe(), {"file": Facts(media=kind)})
    assert (alone.task, alone.inputs) == (f"{kind}-classification", (Column(name="file", kind=kind),))
    measured = make_plan([strings("file", 1000), FARE], Recipe(target="fare"), {"file": Facts(media=kind)})
    assert measured.task == f"{kind}-regression"


def test_lists_in_the_target_are_tags() -> None:
    columns = [strings("review", 990, 60), strings("tags", 300, 2)]
    plan = make_plan(columns, Recipe(), {"tags": Facts(tags=";")})
    assert (plan.task, plan.target) == ("text-multilabel", "tags")
    assert make_plan(columns, Recipe(task="text-multilabel", target="tags")).task == "text-multilabel"


def test_dates_are_no_inputs() -> None:
    columns = [AGE, numbers("opened", 400, 20190101, 20211231), strings("signed", 900), strings("label", 2)]
    plan = make_plan(columns, Recipe(), {"opened": Facts(date="compact"), "signed": Facts(date="ymd")})
    assert [column.name for column in plan.inputs] == ["age"]
    (warning,) = plan.warnings
    assert warning.code == "dates_ignored"
    assert warning.message.endswith("opened, signed")
    assert "by: time" in warning.message


def test_dates_are_no_target() -> None:
    plan = make_plan([AGE, SEX, strings("month", 12)], Recipe(), {"month": Facts(date="month")})
    assert plan.target == "sex"


def test_booleans_are_read_as_before() -> None:
    columns = [strings("smoker", 2), numbers("married", 2, 0, 1), numbers("grade", 2, 1, 2), AGE, strings("label", 2)]
    plan = make_plan(columns, Recipe(), {"smoker": Facts(boolean=True)})
    assert [column.kind for column in plan.columns] == ["boolean", "boolean", "number", "number", "category"]
    assert [column.kind for column in plan.inputs] == ["category", "number", "number", "number"]


@pytest.mark.parametrize(
    ("recipe", "outcome"),
    [
        (Recipe(target="stars", task="tabular-regression"), "tabular-regression"),
        (Recipe(target="grams", task="tabular-classification"), "tabular-classification"),
        (Recipe(target="grams"), "tabular-regression"),
        (Recipe(target="sex", task="tabular-regression"), "not_a_measure"),
        (Recipe(target="fare", task="tabular-classification"), "too_many_classes"),
        (Recipe(task="tabular-regression"), "tabular-regression"),
        (Recipe(task="tabular-regression", inputs=["stars", "grams"]), "tabular-regression"),
    ],
)
def test_the_recipe_says_whether_the_target_measures(recipe: Recipe, outcome: str) -> None:
    columns = [AGE, SEX, strings("outcome", 3), FARE, numbers("stars", 5, 1, 5), numbers("grams", 40, 1, 9_000)]
    try:
        found: str = make_plan(columns, recipe).task
    except Rejected as rejection:
        found = rejection.code
    assert found == outcome


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


def test_text_and_the_other_columns_are_read_together() -> None:
    columns = [AGE, strings("title", 600, 3.3), strings("review", 990, 60), SEX, FARE, numbers("liked", 2, 0, 1)]
    plan = make_plan(columns, Recipe())
    assert (plan.task, plan.target) == ("mixed-classification", "liked")
    assert [column.name for column in plan.inputs] == ["age", "title", "review", "sex", "fare"]
    (guessed,) = plan.warnings
    assert (guessed.code, "sex" in guessed.message) == ("target_guessed", True)
    texts = make_plan(columns, Recipe(task="text-classification"))
    assert [column.name for column in texts.inputs] == ["title", "review"]
    assert texts.warnings[-1].message.endswith("age, sex, fare")


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
        (Recipe(evaluation=Evaluation(slices=["sex", "ages"])), "bad_recipe", "age, sex, label"),
        (Recipe(task="text-classification", inputs=["age"]), "no_usable_input", "inputs"),
    ],
)
def test_a_recipe_for_other_columns_is_refused(recipe: Recipe, code: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        make_plan([AGE, SEX, strings("label", 3)], recipe)
    assert caught.value.code == code
    assert words in str(caught.value.hint)
