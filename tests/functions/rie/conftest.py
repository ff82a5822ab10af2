"""Fixtures: the built functions, a small AWS, and the state of one run after each stage of the life cycle."""

import hashlib
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.functions.rie import tools, world
from tests.functions.rie.life import SAMPLE, Life, Run
from tests.functions.rie.runtime import Emulated

ROWS = 600
Start = Callable[[str], Emulated]

if not tools.supported():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.World]:
    with world.running(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def life(aws: world.World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with Life(aws, tmp_path_factory.mktemp("lambda")) as made:
        yield made


@pytest.fixture(scope="session")
def start(life: Life) -> Start:
    """Get a function by its folder, such as `data/ingest`; it is started once for all tests."""
    return life.start


@pytest.fixture(scope="session")
def uploaded(life: Life) -> Run:
    return life.upload(b"".join(SAMPLE.read_bytes().splitlines(keepends=True)[: ROWS + 1]))


@pytest.fixture(scope="session")
def ingested(life: Life, uploaded: Run) -> Run:
    return life.ingest(uploaded)


@pytest.fixture(scope="session")
def preprocessed(life: Life, ingested: Run) -> Run:
    return life.stage("data/preprocess", ingested)


@pytest.fixture(scope="session")
def trained(life: Life, preprocessed: Run) -> Run:
    return life.train(preprocessed, 2)


@pytest.fixture(scope="session")
def selected(life: Life, trained: Run) -> Run:
    return life.stage("model/select", trained)


@pytest.fixture(scope="session")
def packaged(life: Life, selected: Run) -> Run:
    return life.package(selected)


@pytest.fixture(scope="session")
def registered(life: Life, packaged: Run) -> Run:
    return life.stage("model/register", packaged)


@pytest.fixture(scope="session")
def deployed(life: Life, registered: Run) -> Run:
    return life.stage("serve/deploy", registered)


@pytest.fixture
def create_key(aws: world.World) -> Callable[[str], str]:
    """Make a key named `test` for a tenant, as the table holds one, and return what its owner sends."""

    def created(tenant: str) -> str:
        key = f"mm_{tenant}-{secrets.token_urlsafe(16)}"
        aws.put_record(f"key#{hashlib.sha256(key.encode()).hexdigest()}", "key", {"tenant": tenant, "name": "test"})
        return key

    return created
