"""The family of pretrained encoders: texts and a folder of weights in; the encoder, fine-tuned, with a head out.

After Devlin et al. 2019, §4.1 and §A.3: a linear head on the encoder's pooled states, AdamW, warm-up and linear decay,
few epochs. The vectors of word pieces stay as they are: they are half of a small encoder's weights, most of them are in
no row that is learnt from, and those that are would move away from their synonyms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from modelmill.core.errors import Rejected
from modelmill.serving.features.wordpieces import WordpieceFeatures, unknown_id
from modelmill.training.batches import by_length
from modelmill.training.families import Fitted, Settings
from modelmill.training.loop import Loop
from modelmill.training.nets.encoder import EncoderNet
from modelmill.training.objective import Objective
from modelmill.training.pretrained import Pretrained, load
from modelmill.training.rows import Rows
from modelmill.training.run import Run

_MOST_UNKNOWN = 0.1
"""Share of pieces that the vocabulary may not know: rare signs are one in a hundred, a foreign script every second."""
_HEAD = 10.0
"""The head begins at random, the encoder near its end: it learns that much faster."""
_MOST_EPOCHS = 10
_PASS = 64
"""Rows at a time where nothing is learnt."""


class _Texts(NamedTuple):
    """Rows of pieces one after the other: row i is `ids[starts[i]:starts[i] + lengths[i]]`."""

    ids: Tensor
    starts: Tensor
    lengths: Tensor
    pad: int

    @classmethod
    def of(cls, features: WordpieceFeatures, rows: Rows, pad: int, device: torch.device) -> "_Texts":
        """The rows, cut into pieces once."""
        pieces = features.pieces(rows.columns)
        offsets = torch.from_numpy(pieces.offsets).to(device)
        return cls(torch.from_numpy(pieces.ids).to(device), offsets[:-1], offsets.diff(), pad)

    def batch(self, rows: Tensor) -> Tensor:
        """int64 [B, L]: those rows, padded to the longest of them."""
        lengths = self.lengths[rows]
        places = torch.arange(int(lengths.max()), device=rows.device)
        ids = self.ids[(self.starts[rows, None] + places).clamp(max=len(self.ids) - 1)].long()
        return torch.where(places < lengths[:, None], ids, self.pad)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder:
    """A pretrained encoder, fine-tuned; the lowest `frozen` of its layers stay as they are, too.

    Few rows are learnt more often than `epochs` times, towards `steps` steps (Mosbach et al. 2021), but not more than
    ten times. `max_length` is the most pieces of a row that are read. On a CPU no more is computed than `cpu_teraflops`
    (10^12 operations): for that, first epochs are left out, then rows are drawn.
    """

    epochs: int = 2
    steps: int = 400
    batch: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    dropout: float = 0.1
    frozen: int = 0
    max_length: int = 128
    cpu_teraflops: float = 64.0
    costly: ClassVar[bool] = True

    def fit(self, train: Rows, validation: Rows, run: Run) -> Fitted:
        """Learn with the loop; raises Rejected for weights that are not there, or do not know the texts' script."""
        if run.weights is None:
            text = f"{run.candidate.name} needs pretrained weights"
            raise Rejected("no_weights", text, hint="say in the recipe which: candidates: [{family, weights}]")
        pretrained = load(run.weights)
        preprocess = self._preprocess(pretrained, run)
        features, pad = WordpieceFeatures(preprocess), pretrained.shape.pad
        texts = _Texts.of(features, train, pad, run.device)
        _check_script(texts, pretrained.tokenizer, run)
        held_out = _Texts.of(features, validation, pad, run.device)
        target, held_out_target = (run.objective.target(rows).to(run.device) for rows in (train, validation))
        torch.manual_seed(run.seed)
        net = self._net(pretrained, run)
        epochs, rows = self._affordable(net, texts, run)

        def loss_of(index: Tensor) -> Tensor:
            chosen = rows[index]
            return run.objective.loss(net(texts.batch(chosen)).float(), target[chosen])

        def validate() -> float:
            return _calibrated_loss(_answers(net, held_out), held_out_target, run.objective)

        self._loop(epochs, run).fit(net, len(rows), loss_of, validate, run, lengths=texts.lengths[rows])
        return Fitted(preprocess, net.cpu(), _answers(net, _on_cpu(held_out)), {})

    def refit(self, rows: Rows, settings: Sequence[Settings], run: Run) -> None:
        """The fit takes minutes and stops by its validation rows, so its net stays."""

    def _preprocess(self, pretrained: Pretrained, run: Run) -> dict[str, Any]:
        inputs = [column.name for column in run.spec.inputs]
        return {
            "kind": "wordpieces",
            "inputs": inputs,
            "max_length": max(min(self.max_length, pretrained.length), 2 + len(inputs)),
            "pad": pretrained.shape.pad,
            **run.spec.reading(inputs),
            "tokenizer": pretrained.tokenizer,
        }

    def _net(self, pretrained: Pretrained, run: Run) -> EncoderNet:
        net = pretrained.net(run.objective.outputs, self.dropout)
        lower = list(net.layers)[: self.frozen]
        for part in (net.words, net.places, net.norm, *lower):
            part.requires_grad_(requires_grad=False)
        return net.to(run.device)

    def _affordable(self, net: EncoderNet, texts: _Texts, run: Run) -> tuple[int, Tensor]:
        """How many epochs, and which rows int64 [n], can be learnt from: on a GPU all."""
        rows = torch.arange(len(texts.lengths), device=run.device)
        wanted = max(self.epochs, min(math.ceil(self.steps * self.batch / len(rows)), _MOST_EPOCHS))
        if run.device.type != "cpu":
            return wanted, rows
        weights = sum(parameter.numel() for layer in net.layers for parameter in layer.parameters())
        trained = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
        # Two operations a weight and piece forward, and four backward where there is something to learn.
        epoch = int(texts.lengths.sum()) * (2 * weights + 4 * trained) / 1e12
        epochs = self.cpu_teraflops / epoch
        if epochs < 1:
            rows = torch.randperm(len(rows))[: max(math.ceil(len(rows) * epochs), 1)]
            run.progress(0.0, f"learning from {len(rows):,} of {len(texts.lengths):,} rows: all take too long on a CPU")
        return max(min(wanted, int(epochs)), 1), rows

    def _loop(self, epochs: int, run: Run) -> Loop:
        # Halves the time where the processor multiplies bf16 itself, and costs time where it does not.
        half = run.device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - there is no other way to ask
        return Loop(
            epochs=epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="linear",
            precision="bf16" if half else "auto",
            factors={"head.": _HEAD},
        )


def _check_script(texts: _Texts, tokenizer: str, run: Run) -> None:
    """Refuse texts of which the vocabulary can spell too little: the others of the run's candidates go on."""
    unknown = unknown_id(tokenizer)
    pieces = len(texts.ids) - 2 * len(texts.lengths)
    share = 0.0 if unknown is None else int((texts.ids == unknown).sum()) / max(pieces, 1)
    if share > _MOST_UNKNOWN:
        raise Rejected(
            "foreign_text",
            f"{run.candidate.name}: its vocabulary does not know {share:.0%} of the pieces of these texts",
            limit=_MOST_UNKNOWN,
            hint="name weights of an encoder for this language",
        )


def _calibrated_loss(raw: Tensor, target: Tensor, objective: Objective) -> float:
    """The loss of what would be served: later epochs are surer of themselves, which calibration takes back."""
    scale = 1.0 if objective.answers == "regression" else objective.calibrate(raw, target).scale
    return objective.scores(raw * scale, target)[objective.measure]


@torch.no_grad()
def _answers(net: EncoderNet, texts: _Texts) -> Tensor:
    """Raw outputs float32 [rows, K]."""
    net.eval()
    batches = by_length(texts.lengths, _PASS)
    raw = torch.cat([net(texts.batch(rows)).float() for rows in batches])
    return raw[torch.cat(batches).argsort()]


def _on_cpu(texts: _Texts) -> _Texts:
    return _Texts(texts.ids.cpu(), texts.starts.cpu(), texts.lengths.cpu(), texts.pad)
