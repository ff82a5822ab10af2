"""The router: shares are kept, callers stick, bad routes are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.errors import ModelmillError
from modelmill.core.serve.route import Route

_PARTS = st.lists(st.integers(1, 100), min_size=1, max_size=6)


def _route(parts: list[int]) -> Route:
    return Route({str(index + 1): part / sum(parts) for index, part in enumerate(parts)})


@given(_PARTS)
def test_shares_are_kept_within_statistical_bounds(parts: list[int]) -> None:
    route = _route(parts)
    calls = 4_000
    seen: dict[str, int] = {}
    for caller in range(calls):
        version = route.choose(f"caller-{caller}")
        seen[version] = seen.get(version, 0) + 1
    for version, weight in route.weights.items():
        # Five standard deviations of a binomial count.
        assert abs(seen.get(version, 0) - calls * weight) <= 5 * (calls * weight * (1 - weight)) ** 0.5 + 1


@given(_PARTS, st.text())
def test_a_caller_sticks_to_a_version_of_the_route(parts: list[int], key: str) -> None:
    route = _route(parts).check({str(index + 1) for index in range(len(parts))})
    assert route.choose(key) == route.choose(key) == Route.from_dict(route.as_dict()).choose(key)
    assert route.choose(key) in route.weights


@given(st.floats(0.05, 0.9), st.floats(0.01, 0.09), st.lists(st.text(min_size=1), min_size=1))
def test_a_growing_canary_only_gains_callers(share: float, more: float, keys: list[str]) -> None:
    before, after = Route({"1": share, "2": 1 - share}), Route({"1": share + more, "2": 1 - share - more})
    for key in keys:
        assert before.choose(key) == "2" or after.choose(key) == "1"


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (Route({}), "above 0"),
        (Route({"1": 0.0, "2": 1.0}), "above 0"),
        (Route({"1": float("nan")}), "above 0"),
        (Route({"1": 1.5}), "at most 1"),
        (Route({"1": 0.5, "2": 0.4}), "sum to 0.9"),
        (Route({"9": 1.0}), "no version '9'"),
        (Route({"1": 1.0}, shadow="8"), "no version '8'"),
    ],
)
def test_a_bad_route_is_refused(route: Route, message: str) -> None:
    with pytest.raises(ModelmillError, match=message) as refusal:
        route.check({"1", "2"})
    assert refusal.value.code == "bad_route"
    assert refusal.value.status == 400
