"""The emulator's process: `python -m modelmill.local.launcher --home FOLDER --port N` serves until SIGTERM.

Everything that the emulator reads from the environment is set here, before it is imported: loopback only, no Docker,
state in `--home`. `running` in that folder marks a process that has not ended cleanly.
"""

import argparse
import faulthandler
import os
import shutil
import sys
import traceback
from pathlib import Path

from modelmill.local import emulator, gateway, jobs, plugin
from modelmill.local.snapshots import Snapshots

MARKER = "running"


def environment(home: Path, port: int) -> dict[str, str]:
    """What the emulator, and the functions and jobs that inherit it, see of the world."""
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # these two would listen on all interfaces
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",  # leave the user's containers alone
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "TMPDIR": str(home / "tmp"),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }


def main() -> None:
    """Serve, then kill what is left and exit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    home = arguments.home.resolve()
    os.environ.update(environment(home, arguments.port))
    # Functions must find our code in their layers, not in a developer's path; jobs get sys.path explicitly.
    os.environ.pop("PYTHONPATH", None)
    for folder in ("tmp", "jobs"):  # what a killed process left
        shutil.rmtree(home / folder, ignore_errors=True)
        (home / folder).mkdir(parents=True)
    _serve(home)


def _serve(home: Path) -> None:
    try:
        emulator.check()
    except emulator.ContractBroken as broken:
        sys.exit(str(broken))
    faulthandler.enable()
    plugin.install(home)
    save = emulator.part("ministack.core.persistence", "save_state")
    snapshots = Snapshots(emulator.part("ministack.app", "_build_persistence_save_dict"), save)
    emulator.replace("ministack.core.persistence", "save_state", snapshots.save)
    app = emulator.part("ministack.app", "app")
    emulator.replace("ministack.app", "app", gateway.guarded(app, snapshots, str(home)))
    snapshots.start()
    marker = home / MARKER
    marker.write_text(str(os.getpid()), encoding="utf-8")
    sys.argv = ["ministack"]
    try:
        emulator.part("ministack.app", "main")()  # saves all state when SIGTERM ends it
        marker.unlink(missing_ok=True)
    except BaseException:
        traceback.print_exc()  # the exit below would say nothing
        raise
    finally:
        jobs.stop_all()
        sys.stdout.flush()
        sys.stderr.flush()
        # Threads of unfinished executions would keep the interpreter from ending.
        os._exit(0 if not marker.exists() else 1)


if __name__ == "__main__":
    main()
