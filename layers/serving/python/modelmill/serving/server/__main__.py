"""`python -m modelmill.serving.server --folder PACKAGES`: one process, or a parent of as many as `--workers` says."""

import os
import signal
import subprocess
import sys
import time

from modelmill.serving.server.options import Options, parse

_WORKER = "MODELMILL_WORKER"


def main() -> int:
    """Serve; the exit status."""
    options = parse()
    if options.workers > 1 and _WORKER not in os.environ:
        return _supervise(options)
    from modelmill.serving.server.process import run

    return run(options)


def _supervise(options: Options) -> int:
    """Start the workers, pass on SIGTERM; if one ends by itself, end all (who runs the container starts it again)."""
    command = [sys.executable, "-m", "modelmill.serving.server", *sys.argv[1:]]
    environment = os.environ | {_WORKER: "1"}
    workers = [subprocess.Popen(command, env=environment) for _ in range(options.workers)]  # noqa: S603 - ourselves
    told = [False]

    def stop(*_: object) -> None:
        told[0] = True
        for worker in workers:
            worker.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while all(worker.poll() is None for worker in workers):
        time.sleep(0.1)
    expected = told[0]
    if not expected:  # told twice, a worker that is ending already would be killed
        stop()
    codes = [worker.wait() for worker in workers]
    return 0 if expected and not any(codes) else 1


if __name__ == "__main__":
    sys.exit(main())
