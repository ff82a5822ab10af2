"""The image's entry point: a job's parameters in, exit code 0, or 1 with the cause where SageMaker and S3 expect it.

`/opt/ml/output/failure` gets the text, `failure.json` in the run's folder gets `{"code", "message"}`. A SIGTERM (spot
interruption, stop) ends the process at once: the checkpoint of the last epoch is whole and the next attempt goes on
from there.
"""

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any

from modelmill.core.digest import canonical_json
from modelmill.core.errors import ModelmillError
from modelmill.training.job import Job, ml_root, parse_job

_TERMINATED = 128 + signal.SIGTERM


def main(arguments: list[str]) -> int:
    """Run one job; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    job: Job | None = None
    try:
        job = parse_job(arguments)
        _run(job)
    except ModelmillError as error:
        return _failed(job, error.as_dict())
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever it was, the run must learn the cause
        traceback.print_exc()
        return _failed(job, {"code": "job_failed", "message": f"{type(error).__name__}: {error}"[:500]})
    return 0


def _run(job: Job) -> None:
    """Import torch only now: a wrong parameter is told at once, and SIGTERM is handled from the start."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA needs to be deterministic
    import torch

    from modelmill.training import stages

    # Sums depend on the number of threads; one is also right where candidates share few cores.
    torch.set_num_threads(int(os.environ.get("MODELMILL_THREADS", "1")))
    # use_deterministic_algorithms(True) without its import of torch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    {"train": stages.train, "package": stages.package}[job.stage](job, stages.read_spec(job))


def _failed(job: Job | None, reason: dict[str, Any]) -> int:
    """Write the cause to the failure file and, when the run is known, to S3."""
    sys.stderr.write(f"{reason['code']}: {reason['message']}\n")
    file = ml_root() / "output/failure"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{reason['code']}: {reason['message']}"[:1024], encoding="utf-8")
    if job is not None:
        from modelmill.aws import objects

        objects.put(job.bucket, job.failure_key, canonical_json(reason), "application/json")
    return 1


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
