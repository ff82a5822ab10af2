"""Packages: every byte is checked before anything is used, and nothing stays on the disk."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.core.digest import canonical_json, digest_of
from modelmill.core.errors import ModelmillError
from modelmill.core.model.integrity import FILES, MANIFEST, TamperedPackage, read_manifest
from modelmill.core.names import package_prefix
from modelmill.serving import packages
from modelmill.serving.model import Model, UnusableModel
from tests.unit.serve.kit import BUCKET, TENANT, model_with_external_data, store, text_package

pytestmark = pytest.mark.usefixtures("cloud")


def load(digest: str, limit: int = 10**6) -> Model:
    with packages.verified(TENANT, digest, limit) as folder:
        return Model(folder)


def change(digest: str, name: str, at: int) -> None:
    key = package_prefix(TENANT, digest) + name
    data = bytearray(objects.get(BUCKET, key))
    data[at % len(data)] ^= 1
    objects.put(BUCKET, key, bytes(data))


def test_a_whole_package_is_verified_and_its_folder_is_gone_afterwards() -> None:
    with packages.verified(TENANT, store(text_package()), 10**6) as folder:
        assert {path.name for path in folder.iterdir()} == set(FILES)
        assert Model(folder).answers.labels == ["no", "yes"]
    assert not folder.exists()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*FILES, MANIFEST]), st.integers(0, 10_000))
def test_one_changed_bit_anywhere_is_refused(name: str, at: int) -> None:
    digest = store(text_package())
    change(digest, name, at)
    with pytest.raises(TamperedPackage) as refusal:
        load(digest)
    assert refusal.value.status == 409


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_refused(name: str) -> None:
    digest = store(text_package())
    client("s3").delete_object(Bucket=BUCKET, Key=package_prefix(TENANT, digest) + name)
    with pytest.raises(TamperedPackage):
        load(digest)


def test_another_tenants_package_is_not_found() -> None:
    digest = store(text_package(), tenant="other")
    with pytest.raises(TamperedPackage, match="not where it was registered"):
        load(digest)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", ".hidden", "a/b", MANIFEST, ""])
def test_a_manifest_cannot_name_a_file_outside_its_folder(name: str) -> None:
    manifest = {"format": 1, "files": {name: "0" * 64}}
    with pytest.raises(TamperedPackage, match="names a file"):
        read_manifest(canonical_json(manifest), digest_of(manifest))


@pytest.mark.parametrize("document", [b"", b"[", b"\xff", b"[" * 100_000, b"NaN", b'"\\ud800"', b"[]", b"1"])
def test_what_is_no_manifest_is_refused(document: bytes) -> None:
    with pytest.raises(TamperedPackage):
        read_manifest(document, "0" * 64)


def test_an_unknown_format_is_refused() -> None:
    manifest = {"format": 2, "files": {}}
    with pytest.raises(TamperedPackage, match="format 1"):
        read_manifest(canonical_json(manifest), digest_of(manifest))


def test_a_model_over_the_limit_is_refused_before_it_is_downloaded() -> None:
    with pytest.raises(ModelmillError) as refusal:
        load(store(text_package()), limit=10)
    assert (refusal.value.code, refusal.value.limit) == ("model_too_large", 10)


def test_a_verified_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(UnusableModel):
        load(store(text_package() | {"model.onnx": b"not a graph"}))


def test_labels_that_do_not_fit_the_graph_are_refused() -> None:
    with pytest.raises(UnusableModel, match=r"\[1, 2\]"):
        load(store(text_package() | {"labels.json": b'["a","b","c"]'}))


def test_the_folders_of_dead_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    dead, alive = tmp_path / "4194303-left", tmp_path / f"{os.getpid()}-used"
    for folder in (dead, alive):
        folder.mkdir()
    load(store(text_package()))
    assert [path.name for path in tmp_path.iterdir()] == [alive.name]


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "not-in-the-manifest.bin"])
def test_tensors_outside_the_package_are_refused(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packages, "ROOT", tmp_path / "packages")
    for path in (tmp_path / "packages" / "outside.bin", tmp_path / "not-in-the-manifest.bin"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(64))
    with pytest.raises(UnusableModel, match="does not load"):
        load(store(text_package() | {"model.onnx": model_with_external_data(location)}))
