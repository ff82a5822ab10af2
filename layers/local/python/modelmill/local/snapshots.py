"""Saves the emulator's state while it runs, so that a crash loses seconds: by itself it saves on a clean stop only.

Records and runs are saved every few seconds when something changed; functions, stacks and the rest (large, and
changed by a deploy only) when the deployer asks. Each service's file is replaced atomically.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

INTERVAL_SECONDS = 10.0
_OFTEN = frozenset({"cloudwatch", "dynamodb", "eventbridge", "s3", "sqs", "stepfunctions"})
_ATTEMPTS = 5

States = Callable[[], dict[str, Callable[[], Any]]]


class Snapshots:
    """`states` gives the loaded services by name, each with a function that copies its state; `save` writes one."""

    def __init__(self, states: States, save: Callable[[str, Any], None], interval: float = INTERVAL_SECONDS) -> None:
        self._states = states
        self._save_unlocked = save
        self._interval = interval
        self._changed = threading.Event()
        self._lock = threading.Lock()

    def save(self, service: str, data: Any) -> None:
        """Write one service's state; the emulator's own saving at its end must use this too (one temporary file)."""
        with self._lock:
            self._save_unlocked(service, data)

    def start(self) -> None:
        """Save regularly until the process ends."""
        threading.Thread(target=self._run, daemon=True, name="snapshots").start()

    def note_change(self) -> None:
        """Something may have changed."""
        self._changed.set()

    def save_all(self) -> None:
        """Save every service now."""
        self._write(None)

    def _run(self) -> None:
        pause = self._interval
        while True:
            self._changed.wait()
            time.sleep(pause)
            self._changed.clear()
            started = time.monotonic()
            self._write(_OFTEN)
            # A state that has grown large is saved less often: at most a twentieth of the time.
            pause = max(self._interval, 20 * (time.monotonic() - started))

    def _write(self, only: frozenset[str] | None) -> None:
        for name, state in self._states().items():
            if only is None or name in only:
                copied = _copy(state)
                if copied is not None:
                    self.save(name, copied)


def _copy(state: Callable[[], Any]) -> Any:
    """A service's state. Copying a dictionary that another thread changes raises RuntimeError: then again."""
    for attempt in range(_ATTEMPTS):
        try:
            return state()
        except RuntimeError:
            if attempt == _ATTEMPTS - 1:
                return None
    return None
