"""Register in process: a stored package in, a version's number and record out, or a refusal of changed bytes."""

import json
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.records import models, pipelines
from modelmill.core.digest import canonical_json, sha256
from modelmill.core.model.package import FILES, MANIFEST, Manifest, TamperedPackage
from tests.contract.world import MODELS, event, load_function

STATE = event("model/register")
ACCURACY = {"value": 0.9, "low": 0.8, "high": 0.95}
TEXTS = {
    "signature.json": {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}], "outputs": []},
    "labels.json": ["no", "yes"],
}


def store(card: bytes = b"# reviews") -> str:
    """Put a package and the packaging job's report where the job leaves them; the package's digest."""
    files = {name: json.dumps(TEXTS[name]).encode() if name in TEXTS else name.encode() for name in FILES}
    files["card.md"] = card
    manifest = Manifest(
        files={name: sha256(data) for name, data in files.items()},
        task="text-classification",
        dataset="reviews",
        dataset_version="3f1c5a7e9b2d4f60",
        candidate="ngram-linear",
        recipe="r",
        code_version="0",
    )
    for name, data in files.items():
        objects.put(MODELS, f"default/packages/{manifest.digest}/{name}", data)
    document = canonical_json(manifest.model_dump(mode="json"))
    objects.put(MODELS, f"default/packages/{manifest.digest}/{MANIFEST}", document)
    metrics = {"accuracy": ACCURACY, "confusion": [[1, 0], [0, 1]], "per_class": [{}, {}], "curves": [{}]}
    packaged = {"digest": manifest.digest, "metrics": metrics, "optimise": {"kept": True}, "parity": {"rows": 8}}
    objects.put(MODELS, f"default/runs/{STATE['run_id']}/package.json", json.dumps(packaged).encode())
    return manifest.digest


def run() -> dict[str, Any]:
    answer: dict[str, Any] = load_function("model/register").handler(STATE, None)
    return answer


def test_a_package_becomes_a_version_with_its_whole_story() -> None:
    digest = store()
    assert run() == {"model": "reviews", "version": "1", "digest": digest, "metrics": {"accuracy": ACCURACY}}
    version = models.get_version("default", "reviews", "1")
    assert version is not None
    sizes = [len(objects.get(MODELS, f"default/packages/{digest}/{name}")) for name in FILES]
    expected = {
        "status": "READY",
        "digest": digest,
        "candidate": "ngram-linear",
        "leaderboard": [],
        "metrics": {"accuracy": ACCURACY},
        "optimise": {"kept": True},
        "parity": {"rows": 8},
        "dataset": "reviews",
        "dataset_version": "3f1c5a7e9b2d4f60",
        "run_id": STATE["run_id"],
        "task": "text-classification",
        "signature": TEXTS["signature.json"],
        "labels": ["no", "yes"],
        "size_bytes": sum(sizes),
    }
    assert {name: version[name] for name in expected} == expected


def test_the_same_package_again_is_the_same_version() -> None:
    store()
    assert run() == run()
    assert len(models.versions("default", "reviews")) == 1
    store(b"# another")
    assert run()["version"] == "2"


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_changed_byte_is_refused(name: str) -> None:
    key = f"default/packages/{store()}/{name}"
    stored = objects.get(MODELS, key)
    changed = stored.replace(b"reviews", b"reviewS") if name == MANIFEST else stored[:-1] + b"?"
    objects.put(MODELS, key, changed)
    with pytest.raises(TamperedPackage):
        run()
    assert models.get("default", "reviews") is None


def test_a_file_that_the_manifest_does_not_name_is_refused() -> None:
    objects.put(MODELS, f"default/packages/{store()}/weights.pkl", b"x")
    with pytest.raises(TamperedPackage):
        run()


def test_a_job_that_left_nothing_is_a_fault() -> None:
    with pytest.raises(FileNotFoundError, match=r"package\.json"):
        run()
    assert pipelines.stages("default", STATE["run_id"])[-1]["status"] == "RUNNING"
