"""Rows of texts in; what is counted in them, which n-grams are worth knowing and what each weighs out.

An n-gram weighs (1 + ln count) · idf · evidence, and a row's weights are L2-normalised. Evidence is that of NB-SVM
(Wang and Manning 2012), inside the norm: words that tell nothing then take no share of it. Vocabularies are those with
the most evidence times the root of the rows that hold them, as in a chi-squared test: a fifth of all n-grams then does
as well as all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modelmill.core.errors import Rejected
from modelmill.core.model.task import Answers
from modelmill.core.model.tokens import MAX_TOKENS
from modelmill.serving.features import TextFeatures
from modelmill.training.rows import Rows
from modelmill.training.run import Run
from modelmill.training.vocabulary import PIECE_SIZES, Corpus, Counted

_SMOOTHING = 1.0
_PIECE_WEIGHT = 0.3
"""A word has about ten pieces: at the root of a tenth, they weigh as much as the words in a row's norm."""
_PIECES_UP_TO = 1_000_000
"""Tokens up to which pieces are counted: in more text, words themselves are met often enough."""
_MOST_CELLS = 20_000_000
"""N-grams times outputs whose evidence is weighed."""
_SLICE = 1_024

Ints = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.float64]


class Bags(NamedTuple):
    """Counts, or weights, of n-grams in rows one after the other: row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: Tensor
    values: Tensor
    offsets: Tensor

    def batch(self, rows: Tensor) -> "Bags":
        """Those rows, in that order."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        places = torch.repeat_interleave(starts - offsets[:-1], lengths) + torch.arange(
            int(offsets[-1]), device=rows.device
        )
        return Bags(self.ids[places], self.values[places], offsets)

    def weighted(self, scale: Tensor) -> "Bags":
        """Counts as weights: the arithmetic of NgramNet.forward, on rows of any length."""
        weights = (1 + torch.log(self.values)) * scale[self.ids]
        row_of = torch.repeat_interleave(torch.arange(len(self.offsets) - 1, dtype=torch.int32), self.offsets.diff())
        norms = torch.zeros(len(self.offsets) - 1).index_add_(0, row_of, weights.square()).sqrt().clamp(min=1e-12)
        return Bags(self.ids, weights / norms[row_of], self.offsets)


@dataclass(frozen=True, slots=True)
class Texts:
    """The training rows, counted. Numbers 1 to `words` are n-grams of words, those above are pieces; 0 is none.

    `idf`, `evidence` and `share` (of rows that hold it) are float32 [numbers].
    """

    preprocess: dict[str, Any]
    bags: Bags
    words: int
    idf: Tensor
    evidence: Tensor
    share: Tensor

    @property
    def has_pieces(self) -> bool:
        """True if pieces of words are counted, too."""
        return self.words + 1 < len(self.idf)

    def scale(self, power: float, pieces: bool) -> Tensor:
        """What each n-gram weighs, with evidence to that power (0: TF-IDF alone), with or without pieces."""
        scale = self.idf * self.evidence.pow(power)
        scale[0] = 0
        scale[self.words + 1 :] *= _PIECE_WEIGHT if pieces else 0.0
        return scale


def texts_of(rows: Rows, wanted: Tensor, run: Run, *, size: int, pieces: int, min_rows: int) -> Texts:
    """Count the rows' n-grams and choose the `size` best, and as many `pieces`.

    `wanted` float32 [rows, K] is what the outputs should be: shares of classes, tags, or a standardised measure.
    Raises Rejected (`no_words`) when there is no token at all.
    """
    inputs = [column.name for column in run.spec.inputs]
    preprocess = {"kind": "text", "inputs": inputs, "ngrams": [1, 1], "max_tokens": MAX_TOKENS}
    preprocess |= {**run.spec.reading(inputs), "vocabulary": []}
    reader = TextFeatures(preprocess)
    corpus = Corpus.of(
        texts for start in range(0, len(rows), _SLICE) for texts in reader.words(rows.part(start, start + _SLICE))
    )
    longest = corpus.longest()
    counted = corpus.ngrams(longest, min_rows)
    if not len(counted.frequencies):
        counted = corpus.ngrams(longest, 1)
    if not len(counted.frequencies):
        raise Rejected("no_words", "no word is found in the training rows", hint="check which column holds the text")
    chosen = [_best(counted, wanted, run, size)]
    preprocess |= {"ngrams": [1, longest], "vocabulary": chosen[0].spelling}
    if pieces and len(corpus.words) <= _PIECES_UP_TO:
        found = corpus.pieces(min_rows)
        if len(found.frequencies):
            chosen.append(_best(found, wanted, run, pieces))
            preprocess |= {"pieces": chosen[1].spelling, "piece_sizes": list(PIECE_SIZES)}
    share = torch.from_numpy(np.concatenate([[0], *(each.frequencies for each in chosen)]) / len(rows)).float()
    idf = torch.log((1 + len(rows)) / (1 + share.double() * len(rows))).float() + 1
    evidence = torch.from_numpy(np.concatenate([[0], *(each.evidence for each in chosen)])).float()
    return Texts(preprocess, _joined(chosen, len(rows)), len(chosen[0].spelling), idf, evidence, share)


def bags_of(rows: Rows, preprocess: dict[str, Any]) -> Bags:
    """Counts of the rows' n-grams, as they are counted when a model is served."""
    features = TextFeatures(preprocess)
    parts = [features.sparse(rows.part(start, start + _SLICE)) for start in range(0, len(rows), _SLICE)]
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Bags(
        torch.from_numpy(np.concatenate([part.ids for part in parts]).astype(np.int32)),
        torch.from_numpy(np.concatenate([part.counts for part in parts])),
        torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
    )


def wanted_of(target: Tensor, outputs: int) -> Tensor:
    """Float32 [rows, K]: what the outputs should be, of an objective's target."""
    if target.dtype == torch.int64:
        return functional.one_hot(target, outputs).float()
    return target.view(-1, outputs)


class _Chosen(NamedTuple):
    """The n-grams that were chosen, by number; `counted` has those of all."""

    counted: Counted
    new: NDArray[np.int32]
    """The place of each n-gram among the chosen, or -1."""
    spelling: list[str]
    frequencies: Ints
    evidence: Floats


def _best(counted: Counted, wanted: Tensor, run: Run, size: int) -> _Chosen:
    """Those of most evidence (ties by number), in the order of their frequency, then their spelling."""
    answers, outputs = run.objective.answers, wanted.shape[1]
    frequencies = counted.frequencies
    most = max(_MOST_CELLS // outputs, size)
    weighed = np.argsort(-frequencies, kind="stable")[:most] if len(frequencies) > most else np.arange(len(frequencies))
    new = np.full(len(frequencies), -1, dtype=np.int32)
    new[weighed] = np.arange(len(weighed))
    evidence = _evidence(new[counted.ids], counted.rows, frequencies[weighed], wanted, answers)
    worth = evidence * np.sqrt(frequencies[weighed])
    kept = np.argsort(-worth, kind="stable")[:size]
    named = sorted(
        (-int(frequencies[place]), counted.spell(int(place)), int(at))
        for at, place in zip(kept, weighed[kept], strict=True)
    )
    order = np.array([at for _, _, at in named], dtype=np.int64)
    new[:] = -1
    new[weighed[order]] = np.arange(len(order))
    return _Chosen(counted, new, [ngram for _, ngram, _ in named], frequencies[weighed[order]], evidence[order])


def _evidence(ids: Ints, rows: Ints, frequencies: Ints, wanted: Tensor, answers: Answers) -> Floats:
    """How much an n-gram tells [n-grams]: root mean square over outputs of ln(its share in the class / in the others).

    For a measure, the mean deviation of the rows that hold it, drawn to zero by one row more. `ids` below zero count
    nowhere.
    """
    known = ids >= 0
    ids, rows = ids[known], rows[known]
    values = wanted.numpy()
    total = np.zeros(len(frequencies))
    for output in range(values.shape[1] - (answers == "classification" and values.shape[1] == 2)):
        column = values[:, output].astype(np.float64)
        inside: Floats = np.bincount(ids, column[rows], minlength=len(frequencies)).astype(np.float64)
        if answers == "regression":
            deviation: Floats = np.abs(inside) / (frequencies + _SMOOTHING)
            return deviation
        within, without = inside + _SMOOTHING, frequencies - inside + _SMOOTHING
        total += np.square(np.log(within / within.sum()) - np.log(without / without.sum()))
    evidence: Floats = np.sqrt(total / values.shape[1])
    return evidence


def _joined(chosen: Sequence[_Chosen], rows: int) -> Bags:
    """The chosen ones' counts, n-grams and pieces of a row beside each other; numbers begin at 1."""
    ids, counts, row_of, first = [], [], [], 1
    for each in chosen:
        new = each.new[each.counted.ids]
        known = new >= 0
        ids.append(new[known] + np.int32(first))
        counts.append(each.counted.counts[known])
        row_of.append(each.counted.rows[known])
        first += len(each.spelling)
    held_by = np.concatenate(row_of)
    order = np.argsort(held_by, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(held_by, minlength=rows))])
    return Bags(
        torch.from_numpy(np.concatenate(ids)[order]),
        torch.from_numpy(np.concatenate(counts)[order]),
        torch.from_numpy(offsets),
    )
