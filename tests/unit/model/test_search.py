"""Search: trials that choose, fail, end early and are shared; what they chose is told, what they cost is bounded."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from modelmill.aws.records.studies import Journal
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Range
from modelmill.core.model.spec import Candidate
from modelmill.training.families import FAMILIES
from modelmill.training.train import Trained, train
from tests.unit.model import toy

pytestmark = pytest.mark.usefixtures("toy_family")
ROWS, VALIDATION = toy.rows_of(400), toy.rows_of(200, 1)
HOLD_OUT = {"method": "hold-out"}


@pytest.fixture
def toy_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "toy", "toy.Slope")
    monkeypatch.setitem(sys.modules, "modelmill.training.families.toy", toy)
    toy.FITS.clear()


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of one job that nobody else sees: the mocked table takes 10 ms a call."""
    monkeypatch.setattr("modelmill.training.search.JournalStorage", lambda journal: InMemoryStorage())  # noqa: ARG005


def searched(path: Path, candidates: list[Candidate], name: str = "toy", **recipe: Any) -> Trained:
    return train(ROWS, VALIDATION, toy.run_of(path, candidates, name, **recipe))


@pytest.mark.usefixtures("in_memory")
def test_trials_find_what_the_defaults_miss_and_say_so(tmp_path: Path) -> None:
    plain = searched(tmp_path, [Candidate(name="toy", family="toy")]).result
    found = searched(tmp_path, toy.study(), search={"trials": 12}).result
    assert found.loss == pytest.approx(0.32, abs=0.01)
    assert plain.loss == pytest.approx(0.36, abs=0.01)
    assert (found.trials, plain.trials) == (12, None)
    assert 1 < found.settings["slope"] < 4
    assert plain.settings == {}
    assert (found.method, found.folds, found.rows) == ("folds", 5, 600)
    low, high = found.interval or (0, 0)
    assert low < 0.32 < high


@pytest.mark.usefixtures("in_memory")
def test_the_first_trial_is_the_familys_own_and_the_rest_depends_on_the_seed_alone(tmp_path: Path) -> None:
    slopes = []
    for run in range(2):
        toy.FITS.clear()
        candidates = [candidate.model_copy(update={"study": f"s{run}", "name": f"s{run}"}) for candidate in toy.study()]
        searched(tmp_path, candidates, f"s{run}", search={"trials": 4}, selection=HOLD_OUT)
        slopes.append([fit["slope"] for fit in toy.FITS])
    assert slopes[0] == slopes[1]
    assert slopes[0][0] == toy.Slope().slope
    assert len(set(slopes[0])) == 4


@pytest.mark.usefixtures("in_memory")
def test_trials_that_are_not_among_the_best_third_end_after_some_folds(tmp_path: Path) -> None:
    searched(tmp_path, toy.study(), search={"trials": 12})
    assert 5 * 3 < len(toy.FITS) < 12 * 4


@pytest.mark.usefixtures("in_memory")
def test_with_one_fold_they_end_after_some_epochs(tmp_path: Path) -> None:
    trained = searched(tmp_path, toy.study(epochs=9), search={"trials": 12}, selection=HOLD_OUT)
    epochs = [fit["epochs"] for fit in toy.FITS]
    assert len(epochs) == 12
    assert min(epochs) == 3
    assert max(epochs) == 9
    assert trained.result.method == "hold-out"


@pytest.mark.usefixtures("in_memory")
def test_a_trial_that_crashes_is_a_failed_trial_and_not_a_failed_job(tmp_path: Path) -> None:
    found = searched(tmp_path, toy.study(fails_from=5.0), search={"trials": 10}).result
    assert found.trials == 10
    assert found.settings["slope"] < 5


@pytest.mark.usefixtures("in_memory")
def test_when_every_trial_fails_the_first_cause_is_told(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"fold 1 of 5: ValueError: slope 6\.00 is too steep") as refused:
        searched(tmp_path, toy.study(fails_from=0.0), search={"trials": 3})
    assert refused.value.code == "no_trial"


@pytest.mark.usefixtures("in_memory")
def test_a_range_of_what_the_family_has_not_is_refused(tmp_path: Path) -> None:
    (candidate,) = toy.study()
    unknown = candidate.model_copy(update={"search": {"depth": Range(choices=[1, 2])}})
    with pytest.raises(Rejected, match="'depth'"):
        searched(tmp_path, [unknown], search={"trials": 3})


@pytest.mark.usefixtures("cloud")
def test_jobs_share_the_trials_of_a_study(tmp_path: Path) -> None:
    candidates = toy.study(workers=3)
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(
                searched, tmp_path, candidates, each.name, search={"trials": 12, "parallel": 3}, selection=HOLD_OUT
            )
            for each in candidates
        ]
        results = [job.result(timeout=60).result for job in jobs]
    trials = {fit["checkpoint"] for fit in toy.FITS if ".trial " in fit["checkpoint"]}
    assert {name.split(".trial ")[1].split(" of")[0] for name in trials} == {str(number) for number in range(1, 13)}
    assert len(trials) == 12, "no trial was made twice"
    assert [result.candidate for result in results] == ["toy", "toy.2", "toy.3"]
    assert {result.study for result in results} == {"toy"}
    assert min(result.loss or 9 for result in results) < 0.4


@pytest.mark.usefixtures("cloud")
def test_a_job_that_comes_late_or_again_measures_the_studys_best(tmp_path: Path) -> None:
    first = searched(tmp_path, toy.study(workers=2), search={"trials": 6}, selection=HOLD_OUT).result
    made = len(toy.FITS)
    again = searched(tmp_path, toy.study(workers=2), "toy.2", search={"trials": 6}, selection=HOLD_OUT).result
    assert len(toy.FITS) == made + 1
    assert (again.settings, again.loss, again.trials) == (first.settings, first.loss, 6)


@pytest.mark.usefixtures("in_memory")
def test_the_end_of_the_time_ends_the_study_after_one_trial(tmp_path: Path) -> None:
    run = toy.run_of(tmp_path, toy.study(), "toy", time.monotonic() - 1, search={"trials": 50}, selection=HOLD_OUT)
    result = train(ROWS, VALIDATION, run).result
    assert len(toy.FITS) == 1
    assert result.trials == 1


@pytest.mark.usefixtures("in_memory")
def test_trials_leave_no_checkpoints_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = toy.Slope.fit

    def with_checkpoint(self: toy.Slope, *arguments: object) -> object:
        run = arguments[2]
        run.checkpoints.save({}, {})  # type: ignore[attr-defined]
        return fit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(toy.Slope, "fit", with_checkpoint)
    searched(tmp_path, toy.study(), search={"trials": 3})
    assert list(tmp_path.glob("*trial*")) == []


@pytest.mark.usefixtures("in_memory")
def test_nested_folds_choose_inside_and_measure_outside(tmp_path: Path) -> None:
    trained = searched(tmp_path, toy.study(), search={"trials": 9}, selection={"method": "nested", "folds": 3})
    result = trained.result
    assert (result.method, result.folds, result.rows) == ("nested", 3, 600)
    assert sorted(trained.places.tolist()) == list(range(600))
    # Inside an outer fold, nothing of its rows is learnt: a fit sees two thirds of two thirds.
    inner = [fit["rows"] for fit in toy.FITS if "outer" in fit["checkpoint"]]
    assert max(inner) <= 600 * 4 / 9 + 2
    assert len({fit["checkpoint"].split(".")[1] for fit in toy.FITS}) == 4, "three outer folds and all rows"
    assert 1 < result.settings["slope"] < 5


def test_no_search_imports_no_optuna() -> None:
    code = "import modelmill.training.train, modelmill.training.stages, sys; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.usefixtures("cloud")
def test_the_journal_keeps_every_step_once_and_in_order() -> None:
    start = threading.Barrier(2)

    def write(worker: int) -> None:
        journal = Journal("default", "r1", "s")
        start.wait()
        for step in range(20):
            journal.append_logs([{"worker": worker, "step": step}, {"worker": worker, "step": step + 0.5}])

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(write, worker) for worker in range(2)]:
            job.result(timeout=60)
    steps = list(Journal("default", "r1", "s").read_logs(0))
    assert len(steps) == 80
    for worker in range(2):
        own = [step["step"] for step in steps if step["worker"] == worker]
        assert own == sorted(own)
    assert list(Journal("default", "r1", "s").read_logs(77)) == steps[77:]
    assert list(Journal("default", "r1", "other").read_logs(0)) == []
