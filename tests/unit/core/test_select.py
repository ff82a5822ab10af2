"""Selection: the best candidate wins, failures lose, and no candidate at all is a stated reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult, leaderboard, select

RESULTS = st.lists(
    st.builds(
        CandidateResult,
        candidate=st.sampled_from(["a", "b", "c", "d"]),
        loss=st.one_of(st.none(), st.floats(0, 10)),
        parameters=st.integers(0, 100),
        error=st.one_of(st.none(), st.just("failed")),
    ),
    max_size=6,
)


def usable(result: CandidateResult) -> bool:
    return result.error is None and result.loss is not None


@given(RESULTS)
def test_the_winner_is_no_worse_than_any_other(results: list[CandidateResult]) -> None:
    assert sorted(map(str, leaderboard(results))) == sorted(map(str, results))
    if not any(map(usable, results)):
        with pytest.raises(Rejected):
            select(results)
        return
    best = select(results)
    assert usable(best)
    assert all(best.loss <= other.loss for other in results if usable(other))  # type: ignore[operator]


def test_when_all_fail_the_reason_names_the_cause() -> None:
    with pytest.raises(Rejected, match="out of memory"):
        select([CandidateResult(candidate="mlp", error="out of memory")])
