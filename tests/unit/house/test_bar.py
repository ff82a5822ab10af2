"""The house's bar for the shape of the code: small functions, small files, thin handlers, no pickle."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path
    for top in ("layers", "functions", "infra_cdk", "tests")
    for path in (ROOT / top).rglob("*.py")
    if not {"build", "pb"} & set(path.parts) and path.stat().st_size
)
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def p90(values: list[int]) -> float:
    return statistics.quantiles(values, n=10)[-1]


def test_functions_are_small() -> None:
    sizes = dict(entry for path in SOURCES for entry in functions(path))
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert p90(list(sizes.values())) <= 25


def test_files_are_small() -> None:
    sizes = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 400} == {}
    assert p90(list(sizes.values())) <= 250


def test_handlers_are_thin() -> None:
    handlers = {path: path.read_text(encoding="utf-8").count("\n") for path in SOURCES if path.name == "handler.py"}
    assert handlers
    assert {str(path): size for path, size in handlers.items() if size > 60} == {}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"torch.save", "torch.load"}:
            yield "pickle"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_pickles(path: Path) -> None:
    assert not set(imports(path)) & UNSAFE


def test_every_module_says_what_flows_in_and_out() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if "tests" not in path.parts and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
