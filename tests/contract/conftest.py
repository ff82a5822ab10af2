"""Every contract test has an AWS of its own, once moto's and once that of the local cloud: both must agree."""

from collections.abc import Iterator

import pytest

from tests.contract.world import emulated_world, moto_world
from tests.functions.rie.world import running


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an emulator that all tests share."""
    with running(tmp_path_factory.mktemp("emulator")) as world:
        yield world.endpoint


@pytest.fixture(autouse=True, params=["moto", "emulator"])
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "moto":
        with moto_world(monkeypatch):
            yield
    else:
        with emulated_world(monkeypatch, request.getfixturevalue("emulator")):
            yield
