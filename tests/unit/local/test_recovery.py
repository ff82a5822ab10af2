"""What S3 holds and the records lost is registered again; what cannot be is said."""

import json
from typing import Any

from modelmill.aws import objects
from modelmill.aws.records import datasets
from modelmill.core.data.sources import Source
from modelmill.core.data.version import DatasetVersion, Rows
from modelmill.local import recovery
from tests.unit.local.conftest import Toy

VERSION = DatasetVersion(
    dataset="d",
    version="0123456789abcdef",
    prefix="default/datasets/d/0123456789abcdef/",
    sources=[Source(bucket="b", key="k", version_id="v")],
    rows=Rows(read=3, used=2, quarantined=1),
    splits={"train": 2, "validation": 0, "test": 0},
    columns=[],
    inputs=[],
    task="text-classification",
    target="y",
    labels=["no", "yes"],
    quarantine={"empty": 1},
    warnings=[],
)


def put(bucket: str, key: str, document: Any) -> None:
    objects.put(bucket, key, json.dumps(document).encode())


def test_datasets_and_models_come_back_from_s3(toy: Toy, aws: Any) -> None:
    data, models = toy.cloud["data_bucket"], toy.cloud["models_bucket"]
    put(data, f"{VERSION.prefix}version.json", VERSION.model_dump(mode="json"))
    run: dict[str, Any] = {"run_id": "r", "tenant": "default", "dataset": "d", "model": "m"}
    run |= {"candidates": [{"name": "a"}], "recipe": {"compute": {}}}
    for digest, name in (("kept", "r"), ("deleted", "s")):
        put(models, f"default/runs/{name}/spec.json", {**run, "run_id": name})
        put(models, f"default/runs/{name}/package.json", {"digest": digest})
    put(models, "default/packages/kept/MANIFEST.json", {})
    assert recovery.repair(toy.cloud) == [
        "dataset d version 0123456789abcdef was registered again",
        "model m version 7 was registered again",
    ]
    assert datasets.get_version("default", "d", "0123456789abcdef") is not None
    assert aws("s3").meta.endpoint_url == toy.cloud["s3_endpoint"]
