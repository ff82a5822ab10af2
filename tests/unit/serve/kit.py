"""Real small model packages, registered in a moto cloud: what the tests of serving predict with."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from moto import mock_aws
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.records import models
from modelmill.core.digest import canonical_json, sha256
from modelmill.core.model.package import MANIFEST, Manifest
from modelmill.core.names import package_prefix
from modelmill.core.serve.route import Route

BUCKET = "models"
TABLE = "registry"
TENANT = "acme"
LABELS = ["no", "yes"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S3 and DynamoDB in process, with the bucket and the table of the registry."""
    monkeypatch.setenv("MODELMILL_MODELS_BUCKET", BUCKET)
    monkeypatch.setenv("MODELMILL_TABLE", TABLE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client.cache_clear()
        client("s3").create_bucket(Bucket=BUCKET)
        client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        yield
    client.cache_clear()


def text_package(good: float = 3.0, more_words: list[str] | None = None, column: str = "review") -> dict[str, bytes]:
    """A model of one text column: "good" (weighs `good`) and "好" speak for yes, "bad" for no."""
    words = ["good", "bad", "好", *(more_words or [])]
    weights = np.zeros((len(words) + 1, 2), np.float32)
    weights[1:4] = np.array([[0, good], [2, 0], [0, 2]], np.float32)
    nodes = [
        helper.make_node("Gather", ["weights", "ids"], ["found"]),
        helper.make_node("Unsqueeze", ["counts", "last"], ["times"]),
        helper.make_node("Mul", ["found", "times"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "one"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"weights": weights, "last": np.array([-1]), "one": np.array([1])}
    inputs = [("ids", TensorProto.INT64, ["B", "L"]), ("counts", TensorProto.FLOAT, ["B", "L"])]
    preprocess = {"kind": "text", "inputs": [column], "ngrams": [1, 1], "vocabulary": words}
    return _files(_onnx(nodes, inputs, constants), preprocess, [(column, "BYTES")])


def tabular_package() -> dict[str, bytes]:
    """A model of a number `age` (0 if missing) and a category `colour`, both speak for yes; 1e29 years overflow."""
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "numbers"], ["present"]),
        helper.make_node("MatMul", ["present", "slope"], ["from_numbers"]),
        helper.make_node("Gather", ["weights", "categories"], ["found"]),
        helper.make_node("ReduceSum", ["found", "one"], ["from_categories"], keepdims=0),
        helper.make_node("Add", ["from_numbers", "from_categories"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["softmax"], axis=1),
        helper.make_node("Mul", ["present", "huge"], ["large"]),
        helper.make_node("Mul", ["large", "zero"], ["nothing"]),
        helper.make_node("Add", ["softmax", "nothing"], ["probabilities"]),
    ]
    constants = {
        "huge": np.array(1e10, np.float32),
        "zero": np.array(0, np.float32),
        "slope": np.array([[0, 10]], np.float32),
        "weights": np.array([[0, 0], [0, 3], [3, 0]], np.float32),
        "one": np.array([1]),
    }
    inputs: list[tuple[str, int, list[Any]]] = [
        ("numbers", TensorProto.FLOAT, ["B", 1]),
        ("categories", TensorProto.INT64, ["B", 1]),
    ]
    preprocess = {
        "kind": "tabular",
        "numbers": ["age"],
        "categories": [{"name": "colour", "values": ["red", "1"]}],
    }
    return _files(_onnx(nodes, inputs, constants), preprocess, [("age", "FP64"), ("colour", "BYTES")])


def tensors_package() -> dict[str, bytes]:
    """A graph that gives back its inputs, one of each datatype, and the sum of a matrix's rows."""
    types = {
        "BOOL": TensorProto.BOOL,
        **{
            f"{sign}INT{bits}": getattr(TensorProto, f"{sign}INT{bits}")
            for sign in ("", "U")
            for bits in (8, 16, 32, 64)
        },
        "FP16": TensorProto.FLOAT16,
        "FP32": TensorProto.FLOAT,
        "FP64": TensorProto.DOUBLE,
        "BYTES": TensorProto.STRING,
    }
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in types]
    nodes.append(helper.make_node("ReduceSum", ["matrix", "one"], ["sums"], keepdims=0))
    ends = [helper.make_tensor_value_info(name, kind, ["N"]) for name, kind in types.items()]
    outs = [helper.make_tensor_value_info(f"{name}_out", kind, ["N"]) for name, kind in types.items()]
    ends.append(helper.make_tensor_value_info("matrix", TensorProto.FLOAT, ["B", 3]))
    outs.append(helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["B"]))
    graph = helper.make_graph(nodes, "echo", ends, outs, [numpy_helper.from_array(np.array([1]), "one")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    inputs = [{"name": name, "datatype": name, "shape": [-1]} for name in types]
    outputs = [{"name": f"{name}_out", "datatype": name, "shape": [-1]} for name in types]
    signature = {
        "inputs": [*inputs, {"name": "matrix", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [*outputs, {"name": "sums", "datatype": "FP32", "shape": [-1]}],
    }
    return text_package() | {
        "model.onnx": model.SerializeToString(),
        "signature.json": canonical_json(signature),
        "preprocess.json": canonical_json({"kind": "tensors"}),
        "labels.json": b"[]",
    }


def model_with_external_data(location: str) -> bytes:
    """A graph that adds a tensor of 64 bytes which is said to lie in the file `location`."""
    outside = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[16])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=location)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [16]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "outside"], ["y"])], "g", ends[:1], ends[1:], [outside])
    opset = helper.make_opsetid("", 18)
    data: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    return data


def _onnx(
    nodes: list[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, Sequence[str | int]]],
    constants: dict[str, NDArray[Any]],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _files(model: bytes, preprocess: dict[str, Any], inputs: list[tuple[str, str]]) -> dict[str, bytes]:
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]},
    ]
    signature = {
        "inputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in inputs],
        "outputs": outputs,
    }
    return {
        "model.onnx": model,
        "signature.json": canonical_json(signature),
        "preprocess.json": canonical_json(preprocess),
        "labels.json": canonical_json(LABELS),
        "metrics.json": b"{}",
        "profile.bin": b"\x00",
        "card.md": b"# small\n",
    }


def store(files: dict[str, bytes], tenant: str = TENANT) -> str:
    """Put a package where serving looks for it; its digest."""
    manifest = manifest_of(files)
    documents = files | {MANIFEST: canonical_json(manifest.model_dump(mode="json"))}
    for name, data in documents.items():
        objects.put(BUCKET, package_prefix(tenant, manifest.digest) + name, data)
    return manifest.digest


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Put a package into a folder, the manifest last as a copy would."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST).write_bytes(canonical_json(manifest_of(files).model_dump(mode="json")))


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The manifest of a package."""
    return Manifest(
        files={name: sha256(data) for name, data in files.items()},
        task="text-classification",
        dataset="small",
        dataset_version="0" * 16,
        candidate="ngram-linear",
        recipe="0" * 64,
        code_version="0",
    )


def publish(model: str, files: dict[str, bytes], *, tenant: str = TENANT, routed: bool = True) -> str:
    """Store and register a package and (unless told otherwise) send all traffic to it; its digest."""
    digest = store(files, tenant)
    version, _ = models.register(tenant, model, digest, {})
    record = models.get(tenant, model)
    assert record
    if routed:
        models.set_route(tenant, model, Route({version: 1.0}), revision=record["revision"], who="test")
    return digest


def event(
    path: str, body: object = None, *, method: str = "POST", tenant: str | None = TENANT, **headers: str
) -> dict[str, Any]:
    """API Gateway's REST proxy event of a call; `body` is JSON unless it is a string already."""
    return {
        "resource": "/v1/models/{model}/predict",
        "path": path,
        "httpMethod": method,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {
            "requestId": "request-1",
            "authorizer": {"tenant": tenant, "key_name": "test"} if tenant else None,
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
