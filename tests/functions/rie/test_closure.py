"""What a function imports comes from its zip, its layers or Python itself, and is no heavier than its stage allows."""

import sysconfig
from pathlib import Path

import pytest

from infra_cdk.layers import FUNCTION_LAYERS
from modelmill.core.limits import LAMBDA_UNZIPPED_BYTES
from tests.functions.rie.life import Life
from tests.functions.rie.probe import Imported, imported
from tests.functions.rie.runtime import Unpacked
from tests.functions.rie.world import World
from tests.perf.budgets import BUDGETS

STANDARD = Path(sysconfig.get_path("stdlib")).resolve()
HEAVY = {"torch", "onnx", "onnxruntime", "pyarrow", "fastapi", "numpy", "datasketches"}
MAY_IMPORT = {
    "data/preprocess": {"pyarrow", "numpy", "datasketches"},
    "serve/predict": {"onnxruntime", "numpy"},
    "serve/control": {"fastapi"},
}
KEPT_OFF_THE_HOT_PATH = {"pydantic", "aws_lambda_powertools", "yaml", "starlette", "mangum"}


@pytest.fixture(params=sorted(FUNCTION_LAYERS))
def function(request: pytest.FixtureRequest, life: Life) -> Unpacked:
    return life.unpacked(request.param)


@pytest.fixture
def found(function: Unpacked, aws: World) -> Imported:
    return imported(function, aws.variables(function.name))


def test_every_module_comes_from_the_zips_or_from_python(function: Unpacked, found: Imported) -> None:
    roots = (STANDARD, function.opt.resolve(), function.task.resolve())
    files = {name: Path(file).resolve() for name, file in found.files.items() if file}
    strangers = {name: str(file) for name, file in files.items() if not any(map(file.is_relative_to, roots))}
    assert strangers == {}
    assert "modelmill.core" in found.packages


def test_no_heavy_library_comes_in_unasked(function: Unpacked, found: Imported) -> None:
    assert found.packages & HEAVY <= MAY_IMPORT.get(function.name, set())
    assert not found.packages & {"modelmill.training", "modelmill.client", "modelmill.local"}


def test_the_hot_path_is_bare(life: Life, aws: World) -> None:
    found = imported(life.unpacked("serve/predict"), aws.variables("serve/predict"))
    assert not found.packages & KEPT_OFF_THE_HOT_PATH
    assert "onnxruntime" in found.packages


def test_the_unzipped_size_is_within_its_budget(function: Unpacked) -> None:
    assert function.size <= BUDGETS[function.name].unzipped_bytes <= LAMBDA_UNZIPPED_BYTES


def test_every_function_has_a_budget() -> None:
    assert set(BUDGETS) == set(FUNCTION_LAYERS)
