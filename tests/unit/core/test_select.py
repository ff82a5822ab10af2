"""Selection: the best candidate wins, failures lose, no candidate is a stated reason; studies, budgets, prices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.errors import Rejected
from modelmill.core.limits import TRAINING_JOBS
from modelmill.core.model.budget import seconds_of_job, spent
from modelmill.core.model.candidates import candidates_for
from modelmill.core.model.prices import SPOT_SHARE, priced
from modelmill.core.model.recipe import Choice, Compute, Range, Search, parse_recipe
from modelmill.core.model.select import CandidateResult, leaderboard, runner_up, select, verdict

RESULTS = st.lists(
    st.builds(
        CandidateResult,
        candidate=st.sampled_from(["a", "b", "c", "d"]),
        loss=st.one_of(st.none(), st.floats(0, 10)),
        parameters=st.integers(0, 100),
        study=st.sampled_from([None, "a", "b"]),
        error=st.one_of(st.none(), st.just("failed")),
    ),
    max_size=6,
)


def usable(result: CandidateResult) -> bool:
    return result.error is None and result.loss is not None


@given(RESULTS)
def test_the_winner_is_no_worse_than_any_other(results: list[CandidateResult]) -> None:
    ranked = leaderboard(results)
    assert sorted(map(str, ranked)) == sorted(map(str, results))
    if not any(map(usable, results)):
        with pytest.raises(Rejected):
            select(results)
        return
    best, second = select(results), runner_up(ranked)
    assert usable(best)
    assert all((best.loss or 0) <= (other.loss or 0) for other in results if usable(other))
    others = [each for each in ranked[1:] if usable(each) and (each.study is None or each.study != best.study)]
    assert second == (others[0] if others else None)


def test_when_all_fail_the_reason_names_the_cause() -> None:
    with pytest.raises(Rejected, match="out of memory"):
        select([CandidateResult(candidate="mlp", error="out of memory")])


def test_the_verdict_names_the_runner_up_if_there_is_one() -> None:
    first, second = (CandidateResult(candidate=name, loss=loss) for name, loss in (("a", 0.3), ("b", 0.4)))
    assert verdict(first, None) == "a wins with a validation log loss of 0.3000"
    assert verdict(first, second).endswith("before b with 0.4000")


def test_trials_are_shared_by_jobs_of_one_study() -> None:
    own = Choice(family="ngram-embedding", hyperparameters={"dim": 32}, search={"epochs": Range(low=3, high=9)})
    jobs = candidates_for("text-classification", ["ngram-linear", own], "balanced", Search(trials=9, parallel=3))
    assert [job.name for job in jobs if job.study] == ["ngram-embedding", "ngram-embedding.2", "ngram-embedding.3"]
    assert {job.study for job in jobs if job.search} == {"ngram-embedding"}
    # The recipe's own ranges join the family's; what it sets is not searched.
    assert set(jobs[-1].search) == {"epochs", "dropout"}
    few = candidates_for("text-classification", [own], "balanced", Search(trials=2, parallel=9))
    assert len(few) == 2


def test_without_trials_each_candidate_is_one_job_and_ranges_are_refused() -> None:
    assert all(job.study is None and not job.search for job in candidates_for("text-classification", None))
    own = Choice(family="ngram-embedding", search={"epochs": Range(low=3, high=9)})
    with pytest.raises(Rejected, match="no trials") as refused:
        candidates_for("text-classification", [own])
    assert "search" in (refused.value.hint or "")


def test_too_many_jobs_are_refused() -> None:
    many = [Choice(family="ngram-embedding", name=f"n{number}") for number in range(6)]
    with pytest.raises(Rejected) as refused:
        candidates_for("text-classification", many, "balanced", Search(trials=40, parallel=20))
    assert refused.value.limit == TRAINING_JOBS


def test_the_budget_is_shared_evenly_and_the_smaller_of_both_counts() -> None:
    assert seconds_of_job(parse_recipe(None), 4) is None
    assert seconds_of_job(parse_recipe({"budget": {"seconds": 600}}), 4) == 150
    compute = {"engine": "sagemaker", "instance_type": "ml.m5.xlarge", "spot": False}
    dollar = parse_recipe({"budget": {"dollars": 0.23, "seconds": 99_999}, "compute": compute})
    assert seconds_of_job(dollar, 2) == pytest.approx(1_800)
    twice = parse_recipe({"budget": {"dollars": 0.23}, "compute": compute | {"instances": 2, "spot": True}})
    assert seconds_of_job(twice, 2) == pytest.approx(900 / SPOT_SHARE)


def test_money_without_a_price_is_refused_with_a_way_out() -> None:
    document = {"budget": {"dollars": 1}, "compute": {"instance_type": "ml.zz9.huge"}}
    with pytest.raises(Rejected, match=r"budget\.seconds") as refused:
        parse_recipe(document)
    assert priced()[0] in refused.value.message
    assert parse_recipe({"compute": document["compute"]}).budget.dollars is None


def test_what_was_spent_is_told_where_the_price_is_known() -> None:
    results = [CandidateResult(candidate="a", train_seconds=3_000), CandidateResult(candidate="b", train_seconds=600)]
    told = spent(
        [*results, CandidateResult(candidate="c", error="x")], Compute(instance_type="ml.m5.xlarge", spot=False)
    )
    assert told == {"seconds": 3_600, "dollars": 0.23}
    assert spent(results, Compute(instance_type="ml.zz9.huge"))["dollars"] is None
