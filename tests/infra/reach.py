"""What a function's code can reach in `modelmill.aws`: source in, IAM actions and environment variables out.

A call graph by name, without running anything: a module of ours that is imported counts whole, a function of
`modelmill.aws` counts when something that counts names it. It can name too much, never too little, as long as
`modelmill.aws` calls services in the three ways that `_leaves` knows (a test holds it to that).
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
AWS = "modelmill.aws"

ACTIONS: dict[str, set[str]] = {
    "batch_write_item": {"dynamodb:BatchWriteItem"},
    "delete_item": {"dynamodb:DeleteItem"},
    "get_item": {"dynamodb:GetItem"},
    "put_item": {"dynamodb:PutItem"},
    "query": {"dynamodb:Query"},
    "update_item": {"dynamodb:UpdateItem"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "complete_multipart_upload": {"s3:PutObject"},
    "copy": {"s3:GetObject", "s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "delete_objects": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "list_objects_v2": {"s3:ListBucket"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "list_parts": {"s3:ListMultipartUploadParts"},
    "put_object": {"s3:PutObject"},
    "upload_file": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
    "get_metric_data": {"cloudwatch:GetMetricData"},
    "start_execution": {"states:StartExecution"},
    "stop_execution": {"states:StopExecution"},
}
"""botocore's method → what IAM must allow for it."""


@dataclass(frozen=True)
class Reach:
    """What a function needs."""

    actions: frozenset[str]
    settings: frozenset[str]
    calls: frozenset[str]
    """Methods of botocore's clients."""


@cache
def _module(name: str) -> ast.Module | None:
    for layer in (ROOT / "layers").glob("*/python"):
        for file in (layer / (name.replace(".", "/") + ".py"), layer / name.replace(".", "/") / "__init__.py"):
            if file.exists():
                return ast.parse(file.read_text(encoding="utf-8"))
    return None


def _imports(tree: ast.AST) -> dict[str, str]:
    """Name in the file → dotted name of the module or `module.member` that it stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("modelmill"):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _named(node: ast.AST, names: dict[str, str], home: str) -> Iterator[str]:
    """Dotted names of `modelmill` that a piece of code mentions."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in names:
            yield f"{names[part.value.id]}.{part.attr}"
        elif isinstance(part, ast.Name):
            yield names.get(part.id, f"{home}.{part.id}")


def _leaves(node: ast.AST) -> Iterator[str]:
    """Service calls: `_call("x")`, `client("s").x(…)`, `….get_paginator("x")`, `….generate_presigned_url("x")`."""
    for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ("_call", "get_paginator", "generate_presigned_url"):
            first = call.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)
        elif isinstance(call.func, ast.Attribute) and is_client(call.func.value):
            yield name


def is_client(node: ast.AST) -> bool:
    """True for `client("service")` itself."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "client"


def _definitions(tree: ast.Module, module: str) -> dict[str, ast.AST]:
    return {
        f"{module}.{node.name}": node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }  # fmt: skip


def reach(sources: list[Path]) -> Reach:
    """What the code in these files can do to AWS."""
    return _reach(tuple(sources))


@cache
def _reach(sources: tuple[Path, ...]) -> Reach:
    todo: list[tuple[ast.AST, dict[str, str], str]] = []
    for file in sources:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        todo.append((tree, _imports(tree), ""))
    seen: set[str] = set()
    walked: set[ast.AST] = set()
    calls: set[str] = set()
    settings: set[str] = set()
    while todo:
        node, names, home = todo.pop()
        if node in walked:  # a module that counts whole has many names
            continue
        walked.add(node)
        calls |= set(_leaves(node))
        settings |= set(_settings(node))
        for name in set(_named(node, names, home)) | (set(names.values()) if isinstance(node, ast.Module) else set()):
            if name not in seen:
                seen.add(name)
                todo += _code_of(name)
    actions = {action for call in calls for action in ACTIONS[call]}
    return Reach(frozenset(actions), frozenset(f"MODELMILL_{name.upper()}" for name in settings), frozenset(calls))


def _settings(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "settings()":
            yield part.attr


def _code_of(name: str) -> Iterator[tuple[ast.AST, dict[str, str], str]]:
    """The code behind a dotted name: one function of `modelmill.aws`, or a whole module of ours elsewhere."""
    module = name.rpartition(".")[0]
    if module.startswith(AWS):
        tree = _module(module)
        definition = _definitions(tree, module).get(name) if tree else None
        if tree and definition:
            yield definition, _imports(tree), module
    elif not name.startswith(AWS):
        for whole in (name, module):
            tree = _module(whole) if whole.startswith("modelmill.") else None
            if tree:
                yield tree, _imports(tree), whole
                return
