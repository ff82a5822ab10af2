"""How long a stage has taken and how much longer it takes, for people: its times and its share done in, words out."""

from datetime import UTC, datetime

from modelmill.client.types import Stage

_LEAST = 0.02
"""Below this share of the work its end cannot be told."""


def pace(stage: Stage, now: datetime | None = None) -> str:
    """`1 min 20 s`, and of a stage that runs `…, about 2 min left` if its share done tells; empty before it starts."""
    if stage.started is None:
        return ""
    until = datetime.fromisoformat(stage.ended) if stage.ended else now or datetime.now(UTC)
    elapsed = max(0.0, (until - datetime.fromisoformat(stage.started)).total_seconds())
    done = stage.fraction or 0.0
    if stage.ended or not _LEAST <= done < 1:
        return _words(elapsed)
    return f"{_words(elapsed)}, about {_words(elapsed / done * (1 - done))} left"


def _words(seconds: float) -> str:
    """The two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
