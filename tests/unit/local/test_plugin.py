"""The plug-in's edges: the emulator's contract, EMF lines, failing deploys, jobs that outlive nobody, saving."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.watch.emf import dimension_value, emf_line
from modelmill.local import deploy, emulator
from modelmill.local.connect import connected
from modelmill.local.emf import Datum, metrics_in
from modelmill.local.problems import LocalProblem
from modelmill.local.snapshots import Snapshots
from tests.unit.local.conftest import Toy
from tests.unit.local.toy import write_assembly


def test_another_emulator_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.check()
    monkeypatch.setattr(metadata, "version", lambda _: "1.6.0")
    with pytest.raises(emulator.ContractBroken, match=r"pip install ministack==1\.5\.33"):
        emulator.check()


def test_a_private_name_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = emulator.part("ministack.services.stepfunctions", "_execute_task").__module__
    monkeypatch.delattr(sys.modules[module], "_execute_task")
    with pytest.raises(emulator.ContractBroken, match=r"no ministack\.services\.stepfunctions\._execute_task"):
        emulator.check()
    monkeypatch.setattr(sys.modules[module], "_execute_task", lambda state: state, raising=False)
    with pytest.raises(emulator.ContractBroken, match="does not take"):
        emulator.check()


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.text(max_size=20))
def test_what_our_functions_write_is_read_back(value: float, tenant: str) -> None:
    line = emf_line(1_700_000_000_000, {"tenant": tenant}, {"Latency": (value, "Milliseconds"), "N": (1, "Count")})
    dimensions = {"tenant": dimension_value(tenant)}
    for prefix in ("", "2026-11-24T00:00:00Z\t"):
        assert list(metrics_in(prefix + line)) == [
            Datum("modelmill", "Latency", dimensions, 1_700_000_000.0, "Milliseconds", (value,)),
            Datum("modelmill", "N", dimensions, 1_700_000_000.0, "Count", (1.0,)),
        ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        '{"_aws": 1}',
        '{"_aws": {"Timestamp": 1}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "n", "Metrics": [{"Name": "absent"}]}]}}',
        '{"_aws": {"Timestamp": "x", "CloudWatchMetrics": [{}]}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "n", "Metrics": [{"Name": "a"}]}]}, "a": NaN}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": 3}}',
        '{"_aws"',
    ],
)
def test_what_is_not_emf_is_a_log_line(line: str) -> None:
    assert list(metrics_in(line)) == []


def test_a_failed_deploy_says_which_resource_and_why(toy: Toy, tmp_path: Path) -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": "m"}], "EvaluationPeriods": 1}}
    broken = write_assembly(tmp_path / "cdk.out", {"Bad": alarm})
    with connected(toy.cloud), pytest.raises(LocalProblem, match=r"Bad \(AWS::CloudWatch::Alarm\): .*metric math"):
        deploy.deploy(broken, tmp_path / "stamps.json", print)
    # The stack is as it was, and the next deploy works.
    with connected(toy.cloud):
        outputs, _ = deploy.deploy(toy.assembly, tmp_path / "stamps.json", print)
    assert outputs["TableName"] == toy.cloud["table"]


def test_a_job_dies_with_its_launcher(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from modelmill.local.jobs import Job, run\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "command = ('python', '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)')\n"
        "run(Job('j', command, {}, 60.0, folder, folder / 'job.log'), lambda: False)\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    log = tmp_path / "job.log"
    end = time.monotonic() + 20
    while not (log.is_file() and log.read_text(encoding="utf-8").strip()):
        assert time.monotonic() < end
        time.sleep(0.05)
    job = int(log.read_text(encoding="utf-8"))
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    while _runs(job):
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """A zombie, which nobody in a container may reap, does not run."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_job_that_ignores_sigterm_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelmill.local import jobs

    monkeypatch.setattr(jobs, "GRACE_SECONDS", 0.3)
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    job = jobs.Job("j", ("python", "-c", code), {}, 0.8, tmp_path, tmp_path / "job.log")
    outcome = jobs.run(job, lambda: False)
    assert (outcome.status, outcome.exit_code) == ("timed_out", -signal.SIGKILL)
    child = int((tmp_path / "job.log").read_text(encoding="utf-8"))
    end = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_more_jobs_than_cores_run_at_once(tmp_path: Path) -> None:
    from modelmill.local import jobs

    code = "import time; print(time.time(), flush=True); time.sleep(0.5); print(time.time(), flush=True)"
    count = jobs.CORES + 2
    made = [jobs.Job(f"j{n}", ("python", "-c", code), {}, 60, tmp_path, tmp_path / f"{n}.log") for n in range(count)]
    threads = [threading.Thread(target=jobs.run, args=(job, lambda: False)) for job in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = [[float(line) for line in job.log.read_text(encoding="utf-8").split()] for job in made]
    assert len(spans) == count
    assert max(sum(a <= start < b for a, b in spans) for start, _ in spans) <= jobs.CORES


def test_a_state_that_changes_while_it_is_copied_is_copied_again() -> None:
    saved: dict[str, Any] = {}
    attempts: list[int] = []

    def state() -> dict[str, int]:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("dictionary changed size during iteration")
        return {"a": 1}

    snapshots = Snapshots(lambda: {"dynamodb": state, "none": lambda: None}, saved.__setitem__, interval=0.01)
    snapshots.save_all()
    assert saved == {"dynamodb": {"a": 1}}


def test_small_state_is_saved_after_a_change_and_large_state_is_not() -> None:
    saved: list[str] = []
    snapshots = Snapshots(lambda: {"dynamodb": dict, "lambda": dict}, lambda name, _: saved.append(name), interval=0.01)
    snapshots.start()
    time.sleep(0.1)
    assert saved == []
    snapshots.note_change()
    end = time.monotonic() + 5
    while not saved:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert saved == ["dynamodb"]


def test_the_environment_of_jobs_has_no_surprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelmill.local import jobs

    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    job = jobs.Job("j", ("python", "-c", code), {"GIVEN": "1"}, 60, tmp_path, tmp_path / "job.log")
    assert jobs.run(job, lambda: False).status == "succeeded"
    seen = json.loads((tmp_path / "job.log").read_text(encoding="utf-8"))
    assert seen["GIVEN"] == "1"
    assert seen["MODELMILL_ML_ROOT"] == str(tmp_path)
    assert seen["OMP_NUM_THREADS"] == str(max(1, (os.cpu_count() or 1) // 2))
