"""Bundling with real pip, offline: a small tree of one layer, one function and one wheel."""

import hashlib
import importlib.util
import os
import zipfile
from pathlib import Path

import pytest

from infra_cdk import bundling
from infra_cdk.archive import Weight, append, tree
from infra_cdk.bundling import Bundles, BundlingError, Target, build
from infra_cdk.prune import is_needed

LOCAL = bundling.TARGETS["local"]


def make_wheel(folder: Path) -> str:
    """A wheel `tiny` with a module, a test and a stub; returns its lock."""
    folder.mkdir()
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/__init__.py", "ANSWER = 42\n")
        archive.writestr("tiny/tests/test_tiny.py", "")
        archive.writestr("tiny/__init__.pyi", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    (root / "layers/core/python/modelmill/core").mkdir(parents=True)
    (root / "layers/core/python/modelmill/core/own.py").write_text("OWN = 1\n")
    (root / "layers/core/requirements.txt").write_text(make_wheel(tmp_path / "wheels"))
    (root / "functions/data/ingest").mkdir(parents=True)
    (root / "functions/data/ingest/handler.py").write_text("def handler(event, context): ...\n")
    monkeypatch.setattr(bundling, "ROOT", root)
    monkeypatch.setattr(bundling, "LAYERS", ("core",))
    monkeypatch.setattr(bundling, "FUNCTION_LAYERS", {"data/ingest": ("core",)})
    monkeypatch.setattr(bundling, "SPARK_LAYERS", ("core",))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return root


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return set(archive.namelist())


def third_party(root: Path) -> list[Path]:
    return sorted((root / "build/local/third-party").glob("*.zip"))


def test_a_layer_holds_pruned_libraries_and_our_code(root: Path) -> None:
    bundles = build(LOCAL)
    held = names(bundles.layer("core"))
    assert {"python/tiny/__init__.py", "python/modelmill/core/own.py"} <= held
    assert not {name for name in held if "tests" in name or name.endswith((".pyi", "RECORD"))}
    assert "handler.py" in names(bundles.function("data/ingest"))
    assert len(third_party(root)) == 1


def test_the_spark_job_carries_its_layers_for_emr_and_our_code_alone_for_this_machine(root: Path) -> None:
    own = "python/modelmill/core/own.py"
    here = names(build(LOCAL).spark)
    assert own in here
    assert "python/tiny/__init__.py" not in here, "it is where this process has it"
    there = build(Target("there", "3.99", ("manylinux_2_28_x86_64",), 1))
    assert {own, "python/tiny/__init__.py"} <= names(there.spark)
    assert (root / "build/there/third-party").is_dir()


def test_bytecode_is_shipped_for_this_python_and_taken_unchecked(root: Path) -> None:
    bundles = build(LOCAL)
    cached = importlib.util.cache_from_source("python/tiny/__init__.py")
    with zipfile.ZipFile(bundles.layer("core")) as archive:
        header = archive.read(cached)[:8]
    assert header[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(header[4:], "little") == 1, "PEP 552: hash-based, not checked against the source"
    other = build(Target("other", "3.99", (), 1))
    assert not {name for name in names(other.layer("core")) if name.endswith(".pyc")}
    assert root.exists()


def test_nothing_is_made_again_when_nothing_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles = build(LOCAL)
    before = {path: path.stat().st_mtime_ns for path in bundles.folder.rglob("*.zip")}
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "nowhere"))  # what is built needs no index
    build(LOCAL)
    assert {path: path.stat().st_mtime_ns for path in bundles.folder.rglob("*.zip")} == before


def test_a_change_of_our_code_installs_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles = build(LOCAL)
    installed, function = third_party(root), bundles.function("data/ingest").stat().st_mtime_ns
    (root / "layers/core/python/modelmill/core/own.py").write_text("OWN = 2\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "nowhere"))
    build(LOCAL)
    with zipfile.ZipFile(bundles.layer("core")) as archive:
        assert archive.read("python/modelmill/core/own.py") == b"OWN = 2\n"
    assert third_party(root) == installed
    assert bundles.function("data/ingest").stat().st_mtime_ns == function


def test_a_changed_lock_installs_again(root: Path) -> None:
    build(LOCAL)
    lock = root / "layers/core/requirements.txt"
    lock.write_text(lock.read_text() + "# changed\n")
    build(LOCAL)
    assert len(third_party(root)) == 2


def test_what_is_not_as_locked_is_refused_with_the_way_out(root: Path) -> None:
    (root / "layers/core/requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(BundlingError, match=r"python -m infra_cdk\.bundling --target local"):
        build(LOCAL)
    assert not third_party(root)
    assert not Bundles(root / "build/local").layer("core").exists()


def test_a_function_without_a_handler_is_named(root: Path) -> None:
    (root / "functions/data/ingest/handler.py").unlink()
    with pytest.raises(BundlingError, match=r"functions/data/ingest/handler\.py"):
        build(LOCAL)


def test_weights_add_up_and_too_much_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles = build(LOCAL)
    weights = bundling.report(bundles)
    parts = Weight.of(bundles.layer("core")), Weight.of(bundles.function("data/ingest"))
    assert weights["functions"]["data/ingest"].unzipped == sum(part.unzipped for part in parts)
    assert bundling.over_limit(weights) == []
    monkeypatch.setattr(bundling, "LAMBDA_UNZIPPED_BYTES", 10)
    assert bundling.over_limit(weights) == ["data/ingest"]
    assert root.exists()


def test_a_zip_depends_on_its_content_alone(tmp_path: Path) -> None:
    zips = []
    for attempt, mode in enumerate((0o600, 0o755)):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        for name in ("b.py", "a.py") if attempt else ("a.py", "b.py"):
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (attempt * 1e9, attempt * 1e9))
        append(tmp_path / f"{attempt}.zip", reversed(tree(folder)), 9)
        zips.append((tmp_path / f"{attempt}.zip").read_bytes())
    assert zips[0] == zips[1]


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("numpy/__init__.py", True),
        ("numpy/linalg/tests/test_linalg.py", False),
        ("numpy/testing/__init__.py", True),
        ("numpy/f2py/f2py2e.py", False),
        ("numpy-2.4.6.dist-info/METADATA", True),
        ("numpy-2.4.6.dist-info/RECORD", False),
        ("pyarrow/libarrow.so.2600", True),
        ("pyarrow/libarrow_substrait.so.2600", True),
        ("pyarrow/libarrow_flight.so.2600", False),
        ("pyarrow/include/arrow/api.h", False),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/s3control/2018-08-20/service-2.json.gz", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("botocore/data/endpoints.json", True),
        ("onnxruntime/capi/onnxruntime_inference_collection.py", True),
        ("onnxruntime/quantization/quantize.py", False),
        ("bin/f2py", False),
        ("orjson/__init__.pyi", False),
    ],
)
def test_pruning_takes_what_serving_never_imports(path: str, needed: bool) -> None:
    assert is_needed(path) is needed
