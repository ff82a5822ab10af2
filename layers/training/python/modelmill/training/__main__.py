"""The image's entry point: a job's parameters in, exit code 0, or 1 with the cause where SageMaker and S3 expect it.

Where there are several devices or machines, this process starts one for each (torch.distributed.run), which come back
here with a rank, and waits for them. A job that has no use for them is done by the first machine; the others end.

`/opt/ml/output/failure` gets the text, `failure.json` in the run's folder gets `{"code", "message"}`. A SIGTERM (spot
interruption, stop) ends the process at once: the checkpoint of the last epoch is whole and the next attempt goes on
from there.
"""

import os
import signal
import subprocess
import sys
import traceback
from types import FrameType
from typing import Any

from modelmill.core.digest import canonical_json
from modelmill.core.errors import ModelmillError
from modelmill.training.job import Hosts, Job, hosts_of, ml_root, parse_job

_TERMINATED = 128 + signal.SIGTERM
_PORT = "29500"


def main(arguments: list[str]) -> int:
    """Run one job; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    job: Job | None = None
    try:
        job = parse_job(arguments)
        return _run(job, arguments)
    except ModelmillError as error:
        return _failed(job, error.as_dict())
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever it was, the run must learn the cause
        traceback.print_exc()
        return _failed(job, {"code": "job_failed", "message": f"{type(error).__name__}: {error}"[:500]})


def _run(job: Job, arguments: list[str]) -> int:
    """Import torch only now: a wrong parameter is told at once, and SIGTERM is handled from the start."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA needs to be deterministic
    import torch

    from modelmill.training import parallel, stages

    # Sums depend on the number of threads; one is also right where candidates share few cores.
    torch.set_num_threads(int(os.environ.get("MODELMILL_THREADS", "1")))
    # use_deterministic_algorithms(True) without its import of torch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    spec = stages.read_spec(job)
    if "RANK" not in os.environ:
        hosts = hosts_of(job.root, os.environ)
        processes = int(os.environ.get("MODELMILL_PROCESSES") or torch.cuda.device_count() or 1)
        if job.stage == "package" or not stages.spreads(job, spec):
            if hosts.index:
                return 0
        elif hosts.count * processes > 1:
            return _launch(job, hosts, processes, arguments)
    parallel.join()
    if job.stage == "train":
        stages.train(job, spec)
        parallel.leave()
    else:
        from modelmill.training.packaging import package

        package(job, spec)
    return 0


def _launch(job: Job, hosts: Hosts, processes: int, arguments: list[str]) -> int:
    """Start this machine's processes and wait for them; they write the cause of a failure, unless they were killed."""
    meet = ["--standalone"]
    if hosts.count > 1:
        meet = [f"--nnodes={hosts.count}", f"--node-rank={hosts.index}"]
        meet += [f"--master-addr={hosts.first}", f"--master-port={_PORT}"]
    start = [sys.executable, "-m", "torch.distributed.run", *meet, f"--nproc-per-node={processes}"]
    with subprocess.Popen([*start, "-m", "modelmill.training", *arguments]) as process:  # noqa: S603 - ourselves
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = process.wait()
    signal.signal(signal.SIGTERM, _terminate)
    if -code in (signal.SIGTERM, signal.SIGINT) or code == _TERMINATED:
        raise SystemExit(_TERMINATED)
    if code and not job.failure_file.exists():
        raise RuntimeError("a process of the training was killed; most often it had not enough memory")
    return code


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
