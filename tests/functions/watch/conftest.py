"""Every test here has an AWS of its own."""

from collections.abc import Iterator

import pytest

from tests.contract.world import moto_world


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moto_world(monkeypatch):
        yield
