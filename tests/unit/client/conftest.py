"""The fake API, served, with the environment pointing at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.fake_api import TOKEN, FakeApi, serving


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeApi]:
    fake = FakeApi()
    monkeypatch.setenv("MODELMILL_HOME", str(tmp_path / "home"))
    with serving(fake) as url:
        monkeypatch.setenv("MODELMILL_URL", url)
        monkeypatch.setenv("MODELMILL_TOKEN", TOKEN)
        yield fake
