"""The planner: the data's size chooses the engine, a recipe overrules it where that can work, and limits are said."""

import pytest

from modelmill.core.data.planner import choose
from modelmill.core.errors import Rejected
from modelmill.core.limits import FETCH_BYTES, GIB, LAMBDA_DATA_BYTES, LAMBDA_SECONDS, LAMBDA_TMP_BYTES, MAP_DATA_BYTES
from modelmill.core.model.recipe import Prepare

AUTO = Prepare()


@pytest.mark.parametrize(
    ("size", "engine"),
    [
        (0, "lambda"),
        (LAMBDA_DATA_BYTES, "lambda"),
        (LAMBDA_DATA_BYTES + 1, "map"),
        (MAP_DATA_BYTES, "map"),
        (MAP_DATA_BYTES + 1, "spark"),
        (1_000 * GIB, "spark"),
    ],
)
def test_the_size_chooses(size: int, engine: str) -> None:
    assert choose(size, AUTO) == engine


@pytest.mark.parametrize("engine", ["lambda", "map", "spark"])
def test_a_recipe_chooses_for_small_data(engine: str) -> None:
    assert choose(1_000, Prepare.model_validate({"engine": engine})) == engine


@pytest.mark.parametrize(("engine", "limit"), [("lambda", FETCH_BYTES), ("map", MAP_DATA_BYTES)])
def test_a_recipe_cannot_ask_for_what_does_not_fit(engine: str, limit: int) -> None:
    prepare = Prepare.model_validate({"engine": engine})
    assert choose(limit, prepare) == engine
    with pytest.raises(Rejected, match=f"too much for prepare.engine: {engine}") as refused:
        choose(limit + 1, prepare)
    assert (refused.value.code, refused.value.limit) == ("file_too_large", limit)


@pytest.mark.parametrize("engine", ["auto", "map", "spark"])
def test_what_is_packed_must_fit_on_a_disk(engine: str) -> None:
    prepare = Prepare.model_validate({"engine": engine})
    choose(FETCH_BYTES, prepare, pieces=False)
    with pytest.raises(Rejected, match="can only be read as a whole"):
        choose(FETCH_BYTES + 1, prepare, pieces=False)


def test_the_first_function_of_a_map_has_time_to_read_all_of_it_twice() -> None:
    assert 2 * MAP_DATA_BYTES / 100e6 <= LAMBDA_SECONDS / 2


def test_what_is_fetched_fits_with_all_that_is_made_of_it() -> None:
    assert 5 * FETCH_BYTES <= LAMBDA_TMP_BYTES
