"""One private local cloud for the end-to-end tests: its own folder, its own port, gone afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelmill.local import cloud as local
from tests.e2e.steps import Steps


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a running cloud."""
    folder = tmp_path_factory.mktemp("cloud")
    local.up(print, folder)
    yield folder
    local.down(print, folder)


@pytest.fixture(scope="session")
def steps(home: Path) -> Steps:
    """A person with a key of the default tenant."""
    cloud = local.status(home)
    return Steps(cloud, token=cloud["token"])
