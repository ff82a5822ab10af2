"""The app, synthesised once with placeholder zips: what the templates say does not depend on what zips hold."""

import os
import zipfile
from pathlib import Path

import pytest

from infra_cdk.app import make_app
from infra_cdk.bundling import Bundles
from infra_cdk.layers import FUNCTION_LAYERS, LAYERS
from tests.infra.templates import Templates


def placeholder(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("placeholder.py"), f"{path.stem} {content}")


def placeholders(folder: Path) -> Bundles:
    bundles = Bundles(folder)
    for layer in LAYERS:
        placeholder(bundles.layer(layer))
    for function in FUNCTION_LAYERS:
        placeholder(bundles.function(function))
    placeholder(bundles.spark)
    return bundles


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return placeholders(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def assembly(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cdk.out")
    make_app({"target": "aws"}, folder, bundles).synth()
    return folder


@pytest.fixture(scope="session")
def templates(assembly: Path) -> Templates:
    return Templates.read(assembly)


@pytest.fixture(scope="session", autouse=True)
def _no_command_line_context() -> None:
    """A context that the CDK command line left in the environment would win over the tests'."""
    os.environ.pop("CDK_CONTEXT_JSON", None)
    os.environ.pop("CDK_OUTDIR", None)
