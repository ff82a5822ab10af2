"""Studies: the journal of a search's trials, which all jobs that share the trials append to and read.

Steps are JSON documents numbered from 0 without gaps, so that "from a number on" says what is new. A number is taken
by a conditional put: whoever comes second tries the next one. Reads are consistent: a job must see its own step.
"""

from collections.abc import Iterable
from typing import Any

from modelmill.aws.records import table

Step = dict[str, Any]


class Journal:
    """One study's journal; the methods are those that Optuna's `JournalStorage` asks of a back end."""

    def __init__(self, tenant: str, run_id: str, study: str) -> None:
        self._pk = f"{tenant}#study#{run_id}#{study}"
        self._next = 0
        """No step before this number is free."""

    def append_logs(self, logs: list[Step]) -> None:
        """Add steps, in this order; others' steps may come between them."""
        for step in logs:
            while not self._put(step):
                self._next += 1
            self._next += 1

    def read_logs(self, log_number_from: int) -> Iterable[Step]:
        """The steps from that number on."""
        items = table.query(self._pk, start=f"{log_number_from:08}", consistent=True)
        steps = [table.body_of(item) for item in items]
        self._next = max(self._next, log_number_from + len(steps))
        return steps

    def _put(self, step: Step) -> bool:
        try:
            table.put(self._pk, f"{self._next:08}", step, new=True)
        except table.ConditionFailed:
            return False
        return True
