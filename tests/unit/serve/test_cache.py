"""The caches: freshness, the last good value, one load at a time, a bound in bytes."""

import threading
import time
from dataclasses import dataclass

import pytest

from modelmill.core.errors import Unavailable
from modelmill.serving.cache import Fresh, Loaded


class Down(Exception):
    """The source does not answer."""


class Source:
    """A registry that can be changed, broken and slowed; counts its readings."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {"a": "1"}
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.reads = 0
        self.now = 0.0

    def read(self, key: str) -> str | None:
        self.reads += 1
        self.gate.wait(10)
        if self.error:
            raise self.error
        return self.values.get(key)

    def fresh(self, capacity: int = 10) -> Fresh[str]:
        return Fresh(self.read, (Down,), ttl=5, patience=0.05, capacity=capacity, clock=lambda: self.now)


def test_a_value_is_read_again_only_when_it_is_old() -> None:
    source = Source()
    fresh = source.fresh()
    assert [fresh.get("a"), fresh.get("a"), source.reads] == ["1", "1", 1]
    source.values["a"] = "2"
    source.now = 4.9
    assert fresh.get("a") == "1"
    source.now = 5.0
    assert fresh.get("a") == "2"


def test_the_last_good_value_stands_while_the_source_is_down_and_is_not_asked_at_every_call() -> None:
    source = Source()
    fresh = source.fresh()
    fresh.get("a")
    source.error, source.now = Down(), 6
    assert [fresh.get("a") for _ in range(3)] == ["1"] * 3
    assert source.reads == 2
    source.error, source.now, source.values["a"] = None, 12, "2"
    assert fresh.get("a") == "2"


def test_a_slow_source_keeps_nobody_waiting_who_has_a_last_good_value() -> None:
    source = Source()
    fresh = source.fresh()
    fresh.get("a")
    source.gate.clear()
    source.now = 6
    started = time.perf_counter()
    assert fresh.get("a") == "1"
    assert time.perf_counter() - started < 5
    source.gate.set()


def test_without_a_last_good_value_a_fault_is_unavailable_and_other_errors_are_themselves() -> None:
    source = Source()
    source.error = Down()
    with pytest.raises(Unavailable):
        source.fresh().get("a")
    source.error = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        source.fresh().get("a")


def test_what_does_not_exist_is_not_remembered_and_what_was_removed_is_forgotten() -> None:
    source = Source()
    fresh = source.fresh()
    assert fresh.get("b") is None
    source.values["b"] = "1"
    assert fresh.get("b") == "1"
    del source.values["b"]
    source.now = 6
    assert fresh.get("b") is None
    source.error = Down()
    with pytest.raises(Unavailable):
        fresh.get("b")


def test_the_oldest_values_leave_a_full_cache() -> None:
    source = Source()
    source.values = {str(key): str(key) for key in range(5)}
    fresh = source.fresh(capacity=2)
    for key in source.values:
        fresh.get(key)
    assert (fresh.get("4"), source.reads) == ("4", 5)
    assert (fresh.get("0"), source.reads) == ("0", 6)


@dataclass
class Blob:
    size: int


def test_callers_who_come_together_share_one_load() -> None:
    gate, loads, got = threading.Event(), [], []

    def load(key: str) -> Blob:
        loads.append(key)
        gate.wait(10)
        return Blob(1)

    loaded = Loaded(load, budget=10, rest=5)
    callers = [threading.Thread(target=lambda: got.append(loaded.get("a"))) for _ in range(8)]
    for caller in callers:
        caller.start()
    while not loads:
        time.sleep(0.001)
    gate.set()
    for caller in callers:
        caller.join(10)
    assert loads == ["a"]
    assert len({id(value) for value in got}) == 1
    assert len(got) == 8


def test_a_failed_load_is_told_to_everybody_who_waits() -> None:
    gate, begun = threading.Event(), threading.Event()
    told: list[type[BaseException]] = []

    def load(_: str) -> Blob:
        begun.set()
        gate.wait(10)
        raise Down

    def ask() -> None:
        try:
            loaded.get("a")
        except Down as error:
            told.append(type(error))

    loaded = Loaded(load, budget=10, rest=5)
    callers = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    callers[0].start()
    begun.wait(10)
    for caller in callers[1:]:
        caller.start()
    time.sleep(0.05)
    gate.set()
    for caller in callers:
        caller.join(5)
    assert told == [Down] * 3


def test_a_failed_load_is_tried_again_after_a_rest() -> None:
    attempts: list[str] = []
    now = [0.0]

    def load(key: str) -> Blob:
        attempts.append(key)
        if len(attempts) == 1:
            raise Down
        return Blob(1)

    loaded = Loaded(load, budget=10, rest=5, clock=lambda: now[0])
    for moment in (0.0, 1.0, 4.9):
        now[0] = moment
        with pytest.raises(Down):
            loaded.get("a")
    assert attempts == ["a"]
    assert loaded.get("b") == Blob(1)
    now[0] = 5.0
    assert loaded.get("a") == Blob(1)


def test_the_least_recently_used_leave_when_the_budget_is_full() -> None:
    loaded = Loaded(lambda key: Blob(int(key)), budget=10, rest=5)
    for key in ("4", "5", "4", "3"):
        loaded.get(key)
    assert [key for key in ("3", "4", "5") if loaded.peek(key)] == ["3", "4"]
    loaded.get("99")
    assert loaded.peek("99")
    assert not loaded.peek("4")
