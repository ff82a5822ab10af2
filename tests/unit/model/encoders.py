"""Small pretrained encoders, drawn at random and written as Hugging Face and sentence-transformers write theirs."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

WORDS = ["good", "bad", "fine", "poor", "room", "food", "staff", "very", "the", "was", "a", "##s", "."]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
WIDTH, HEADS, INNER, LAYERS, PLACES = 32, 4, 48, 2, 40


def bert(folder: Path, **config: Any) -> dict[str, Tensor]:
    """A BERT in `folder`; returns its tensors."""
    tensors = _tensors("", "encoder.layer.", _BERT) | {"embeddings.token_type_embeddings.weight": _drawn(2, WIDTH)}
    sizes = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
    }
    _write(folder, tensors, {"model_type": "bert", "pad_token_id": 0, **sizes, **config})
    return tensors


def roberta(folder: Path) -> dict[str, Tensor]:
    """A RoBERTa with a language model's prefix: positions begin after the padding's number, 3 here."""
    tensors = _tensors("roberta.", "encoder.layer.", _BERT)
    tensors["roberta.embeddings.token_type_embeddings.weight"] = _drawn(1, WIDTH)
    sizes = {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
    }
    _write(folder, tensors, {"model_type": "roberta", "pad_token_id": 0, **sizes})
    return tensors


def distilbert(folder: Path) -> dict[str, Tensor]:
    """A DistilBERT: other names, no segments."""
    tensors = _tensors("distilbert.", "transformer.layer.", _DISTILBERT)
    sizes = {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": INNER, "activation": "gelu"}
    _write(folder, tensors, {"model_type": "distilbert", "pad_token_id": 0, **sizes})
    return tensors


_BERT = {
    "attention.self.query": (WIDTH, WIDTH),
    "attention.self.key": (WIDTH, WIDTH),
    "attention.self.value": (WIDTH, WIDTH),
    "attention.output.dense": (WIDTH, WIDTH),
    "attention.output.LayerNorm": (WIDTH,),
    "intermediate.dense": (INNER, WIDTH),
    "output.dense": (WIDTH, INNER),
    "output.LayerNorm": (WIDTH,),
}
_DISTILBERT = {
    "attention.q_lin": (WIDTH, WIDTH),
    "attention.k_lin": (WIDTH, WIDTH),
    "attention.v_lin": (WIDTH, WIDTH),
    "attention.out_lin": (WIDTH, WIDTH),
    "sa_layer_norm": (WIDTH,),
    "ffn.lin1": (INNER, WIDTH),
    "ffn.lin2": (WIDTH, INNER),
    "output_layer_norm": (WIDTH,),
}


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape) * 0.3


def _tensors(prefix: str, layers: str, modules: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    torch.manual_seed(3)
    tensors = {
        "embeddings.word_embeddings.weight": _drawn(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": _drawn(PLACES, WIDTH),
        "embeddings.LayerNorm.weight": 1 + _drawn(WIDTH),
        "embeddings.LayerNorm.bias": _drawn(WIDTH),
    }
    for layer in range(LAYERS):
        for name, shape in modules.items():
            scale = 1.0 if len(shape) == 1 else 0.0
            tensors[f"{layers}{layer}.{name}.weight"] = scale + _drawn(*shape)
            tensors[f"{layers}{layer}.{name}.bias"] = _drawn(shape[0])
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _write(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    sizes = {"vocab_size": len(VOCABULARY), "max_position_embeddings": PLACES, "layer_norm_eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(sizes | config))
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.enable_padding(length=16)  # as some folders say: ours must not heed it
    tokenizer.save(str(folder / "tokenizer.json"))


def pooled_by(folder: Path, mode: str) -> None:
    """Say in `folder`, as sentence-transformers does, how states are pooled."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    config = {f"pooling_mode_{known}": known == mode for known in ("cls_token", "mean_tokens", "max_tokens")}
    (folder / "1_Pooling/config.json").write_text(json.dumps(config))
