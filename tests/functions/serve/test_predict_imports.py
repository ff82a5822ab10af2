"""What predict imports is its cold start: nothing heavy may creep in."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import handler
print(" ".join(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(str(path) for path in sorted((ROOT / "layers").glob("*/python"))),
        "AWS_DEFAULT_REGION": "us-east-1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT / "functions/serve/predict")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "heavy",
    [
        "pydantic",
        "fastapi",
        "starlette",
        "mangum",
        "aws_lambda_powertools",
        "torch",
        "pyarrow",
        "onnx",
        "yaml",
        "boto3",
        "s3transfer",
        "asyncio",
        "numpy.random",
        "modelmill.core.model.recipe",
        "modelmill.training",
        "modelmill.frames",
    ],
)
def test_nothing_heavy_is_imported(imported: set[str], heavy: str) -> None:
    assert heavy not in imported


def test_what_is_needed_is_imported_while_the_function_initialises(imported: set[str]) -> None:
    assert {"onnxruntime", "numpy", "orjson", "botocore.session", "modelmill.serving.plane"} <= imported
