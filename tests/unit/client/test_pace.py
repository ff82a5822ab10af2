"""What `show` says of the time that a stage takes."""

from datetime import UTC, datetime

import pytest

from modelmill.client.cli.pace import pace
from modelmill.client.types import Stage

START, NOW = "2026-11-24T10:00:00.000Z", datetime(2026, 11, 24, 10, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fraction", "ended", "words"),
    [
        (0.4, None, "1 min 20 s, about 2 min 0 s left"),
        (0.01, None, "1 min 20 s"),
        (None, None, "1 min 20 s"),
        (1.0, "2026-11-24T10:00:05.200Z", "5 s"),
        (None, "2026-11-24T12:30:00.000Z", "2 h 30 min"),
    ],
)
def test_time_taken_and_time_left(fraction: float | None, ended: str | None, words: str) -> None:
    assert pace(Stage("train", "RUNNING", "mlp", fraction, "", START, ended), NOW) == words


def test_a_stage_that_has_not_begun_has_no_time() -> None:
    assert pace(Stage("train", "SKIPPED"), NOW) == ""
