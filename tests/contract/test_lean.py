"""The lean clients read what botocore's read, in the same shapes, with the same errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from modelmill.aws import clients, objects
from modelmill.aws.records import keys, models, table
from modelmill.core.serve.route import Route
from tests.contract.world import MODELS, TABLE

# moto answers inside botocore, which the lean clients do not use.
pytestmark = pytest.mark.parametrize("aws", ["emulator"], indirect=True)


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator's world, read by the lean clients from here on."""
    for number in range(3):
        models.register("default", "评论", f"digest{number}", {"size": number})
    models.set_route("default", "评论", Route({"1": 1.0}), revision=0, who="test")
    objects.put(MODELS, "default/packages/评论 1/model.onnx", b"bytes")
    monkeypatch.setenv("MODELMILL_LEAN_CLIENTS", "1")
    clients.client.cache_clear()
    yield
    clients.client.cache_clear()


def to_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("dynamodb", "s3"):
        clients.client(service).close()
    monkeypatch.delenv("MODELMILL_LEAN_CLIENTS", raising=False)
    clients.client.cache_clear()


def read_all(folder: Path) -> list[Any]:
    objects.download(MODELS, "default/packages/评论 1/model.onnx", folder / "model.onnx")
    return [
        (folder / "model.onnx").read_bytes(),
        models.get("default", "评论"),
        models.get("default", "none"),
        models.get_version("default", "评论", "2"),
        models.versions("default", "评论", limit=2),
        models.route_history("default", "评论"),
        table.get_item("default#models", "评论", consistent=True),
        keys.find("mm_unknown"),
        objects.get(MODELS, "default/packages/评论 1/model.onnx"),
        objects.find(MODELS, "default/none"),
        [objects.head(MODELS, "default/packages/评论 1/model.onnx")[name] for name in ("ContentLength", "ETag")],
    ]


@pytest.mark.usefixtures("lean")
def test_reads_are_those_of_botocore(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = read_all(tmp_path)
    assert type(clients.client("s3")).__module__ == "modelmill.aws.lean"
    to_botocores(monkeypatch)
    assert ours == read_all(tmp_path)
    assert ours[1]["route"]["weights"] == {"1": 1.0}
    assert ours[0] == ours[8] == b"bytes"


@pytest.mark.usefixtures("lean")
def test_faults_are_those_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = []
    for _ in range(2):
        with pytest.raises(ClientError) as fault:
            clients.client("dynamodb").get_item(TableName=TABLE + "x", Key=table.key("a", "b"))
        codes.append(fault.value.response["Error"]["Code"])
        with pytest.raises(ClientError) as fault:
            clients.client("s3").get_object(Bucket="no-such-bucket", Key="a")
        codes.append(fault.value.response["Error"]["Code"])
        with pytest.raises(FileNotFoundError):
            objects.head(MODELS, "default/none")
        to_botocores(monkeypatch)
    assert codes[:2] == codes[2:] == ["ResourceNotFoundException", "NoSuchBucket"]
