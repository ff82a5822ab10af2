"""A converted model and all that belongs to it in; a content-addressed folder in the models bucket out."""

import json
from typing import Any

from modelmill.aws import objects
from modelmill.core.digest import canonical_json, digest_of, sha256
from modelmill.core.model.package import FILES, MANIFEST, Manifest
from modelmill.core.model.signature import Signature, Tensor
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of
from modelmill.core.names import package_prefix
from modelmill.core.version import VERSION


def signature_of(spec: RunSpec) -> Signature:
    """Raw columns in; out come `label` and `probabilities`, or `labels` (joined tags) and those, or `value`."""
    inputs = [
        Tensor(name=column.name, datatype="FP64" if column.kind == "number" else "BYTES", shape=[-1])
        for column in spec.inputs
    ]
    scores = Tensor(name="probabilities", datatype="FP32", shape=[-1, len(spec.labels)])
    outputs = {
        "classification": [Tensor(name="label", datatype="BYTES", shape=[-1]), scores],
        "multilabel": [Tensor(name="labels", datatype="BYTES", shape=[-1]), scores],
        "regression": [Tensor(name="value", datatype="FP32", shape=[-1])],
    }
    return Signature(inputs=inputs, outputs=outputs[answers_of(spec.task)])


def assemble(
    spec: RunSpec,
    *,
    model: bytes,
    preprocess: dict[str, Any],
    metrics: dict[str, Any],
    profile: bytes,
    card: str,
) -> dict[str, bytes]:
    """The package's files without the manifest. Nothing in them depends on the clock or on the run's id."""
    files = {
        "model.onnx": model,
        "signature.json": canonical_json(signature_of(spec).model_dump(mode="json")),
        "preprocess.json": canonical_json(preprocess),
        "labels.json": canonical_json(spec.labels),
        "metrics.json": json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False).encode(),
        "profile.bin": profile,
        "card.md": card.encode(),
    }
    return {name: files[name] for name in FILES}


def manifest_of(spec: RunSpec, candidate: str, files: dict[str, bytes]) -> Manifest:
    """The manifest; its digest is the package's name."""
    return Manifest(
        files={name: sha256(data) for name, data in files.items()},
        task=spec.task,
        dataset=spec.dataset,
        dataset_version=spec.dataset_version,
        candidate=candidate,
        recipe=digest_of(spec.recipe.model_dump(mode="json")),
        code_version=VERSION,
    )


def store(bucket: str, tenant: str, manifest: Manifest, files: dict[str, bytes]) -> str:
    """Upload the package, its manifest last, so that a folder with a manifest is whole. Returns the digest."""
    digest = manifest.digest
    for name, data in files.items():
        objects.put(bucket, package_prefix(tenant, digest) + name, data)
    objects.put(
        bucket,
        package_prefix(tenant, digest) + MANIFEST,
        canonical_json(manifest.model_dump(mode="json")),
        "application/json",
    )
    return digest
