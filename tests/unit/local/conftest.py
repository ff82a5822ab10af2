"""A running emulator with the toy stacks, shared by the tests of one module, in a folder of its own."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelmill.local import cloud
from modelmill.local.connect import connected
from tests.unit.local.toy import write_assembly


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Toy:
    """The toy cloud: `up` and `down` as a user would, AWS clients as our code makes them."""

    def __init__(self, home: Path, assembly: Path) -> None:
        self.home, self.assembly, self.said = home, assembly, list[str]()
        home.mkdir(parents=True)
        (home / "cloud.json").write_text(f'{{"port": {free_port()}}}', encoding="utf-8")

    def up(self) -> dict[str, Any]:
        self.said.clear()
        self.cloud = cloud.up(self.said.append, self.home, self.assembly)
        return self.cloud

    def down(self) -> bool:
        return cloud.down(self.said.append, self.home)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    folder = tmp_path_factory.mktemp("toy")
    toy = Toy(folder / "home", write_assembly(folder / "cdk.out"))
    try:
        toy.up()
        yield toy
    finally:
        toy.down()


@pytest.fixture
def aws(toy: Toy) -> Iterator[Any]:
    """`modelmill.aws.clients.client`, connected."""
    from modelmill.aws.clients import client

    with connected(toy.cloud):
        yield client
