"""The page: the evaluation, the leaderboard, the gate's report and the champion's comparison in; HTML out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from modelmill.core.model.recipe import Recipe
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import RunSpec
from modelmill.frames import report as data_report
from modelmill.frames.report import charts, wording
from modelmill.training.evaluate import TITLES, is_no_better
from modelmill.training.report import plots

_CLASSES, _SLICES, _PAIRS, _WORST, _FITS = 100, 25, 15, 10, 6
_SHADES = 5
SERIOUS = {"no_better", "too_good", "gap"}
WARNINGS = {
    "no_better": ("No better than a constant answer", "Look at the data report: is there an input that can tell it?"),
    "too_good": ("Too good to be true?", "Leave out what is only known after the target; compare the splits."),
    "gap": ("The test is harder than the choice", "Ask for a split as the use will be, or for more rows."),
    "few_test_rows": ("Few test rows", "Upload more rows, or give the test a larger share."),
    "absent_classes": ("Classes without a test row", "Upload more rows of them."),
    "few_rows_of_class": ("Classes with few test rows", "Upload more rows of them."),
    "imbalanced": ("Classes of very different sizes", "Judge by balanced accuracy and macro F1."),
    "uncalibrated": ("Probabilities are off", "Use the order of answers, not the numbers."),
    "weak_slices": ("Weak on some rows", "Look at the slices; more rows like them help most."),
}
"""Code → what it is in a few words, what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run knows of its model: `board` are the candidates, best first; `optimise` is the gate's report."""

    spec: RunSpec
    candidate: str
    metrics: Mapping[str, Any]
    board: Sequence[CandidateResult] = ()
    optimise: Mapping[str, Any] | None = None
    champion: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, Any]] = ()
    """Each epoch of the candidate's fits: `part`, `epoch`, `training_loss`, `validation_loss` if there is one."""


def render(facts: Facts) -> bytes:
    """The page in UTF-8. Equal facts, equal bytes."""
    metrics = facts.metrics
    warnings = [
        {**one, "title": WARNINGS[one["code"]][0], "advice": WARNINGS[one["code"]][1], "loud": one["code"] in SERIOUS}
        for one in metrics["warnings"]
    ]
    page = _template().render(
        spec=facts.spec,
        candidate=facts.candidate,
        metrics=metrics,
        tiles=[{"title": TITLES[name], **metrics[name]} for name in metrics["headline"]],
        scores=[
            (title, metrics[name], metrics["baseline"].get(name)) for name, title in TITLES.items() if name in metrics
        ],
        verdict=_verdict(facts),
        warnings=warnings,
        board=_board(facts),
        board_range=_range(facts.board),
        matrix=_matrix(metrics),
        classes=metrics.get("per_class", [])[:_CLASSES],
        pairs=metrics.get("confused", [])[:_PAIRS],
        slices=metrics["slices"][:_SLICES],
        slice_top=max([one["score"]["high"] for one in metrics["slices"]] + [1e-12])
        if metrics["answers"] == "regression"
        else 1,
        worst=metrics["worst"][:_WORST],
        variants=_variants(facts.optimise),
        optimise=facts.optimise,
        champion=facts.champion,
        learning=_learning(facts.history),
        recipe=_said(facts.spec.recipe),
    )
    return page.encode("utf-8", "replace")


def _said(recipe: Recipe) -> str:
    """What the recipe says beside the defaults, as JSON; the type of instance is chosen where it says none."""
    found = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"compute": {"instance_type"}})
    said = {name: value for name, value in found.items() if value != {}}
    return json.dumps(said, ensure_ascii=False) if said else ""


@cache
def _template() -> Template:
    folders = [Path(__file__).parent, *(Path(folder) for folder in data_report.__path__)]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _figure,
        "percent": wording.percent,
        "shown": wording.shown,
        "bytes": wording.size,
    }
    environment.filters |= {"count": wording.number}
    environment.globals |= {"charts": charts, "plots": plots, "titles": TITLES}
    return environment.get_template("model.html")


def _figure(value: float) -> str:
    """Four decimals of what is below 10, else four digits."""
    return (
        f"{value:z.4f}".replace("-", "−")
        if abs(value) < 10 and (value == 0 or abs(value) >= 1e-3)
        else wording.number(value)
    )


def _verdict(facts: Facts) -> str:
    """One or two plain sentences."""
    metrics = facts.metrics
    name = metrics["headline"][0]
    score, baseline = metrics[name], metrics["baseline"][name]
    if metrics["answers"] == "regression":
        against = f"errors of {_figure(metrics['rmse']['value'])} against {_figure(metrics['baseline']['rmse'])}"
        said = f"It explains {wording.percent(max(0.0, score['value']))} of the variance of the test rows ({against})."
    elif metrics["answers"] == "multilabel":
        said = f"Its tags have a micro F1 of {score['value']:.3f}; always the same tags would reach {baseline:.3f}."
    else:
        right, constant = wording.percent(score["value"]), wording.percent(baseline)
        said = f"It is right in {right} of the test rows; always answering the most frequent class in {constant}."
    if is_no_better(metrics):
        return said + " The test rows do not show that it is better than that constant answer."
    if facts.champion and facts.champion.get("verdict") == "worse":
        return said + f" But version {facts.champion['version']}, which serves now, is better."
    if any(one["code"] in SERIOUS for one in metrics["warnings"]):
        return said + " Before trusting this, read the warnings below."
    return said + " It is clearly better than that constant answer."


def _board(facts: Facts) -> list[dict[str, Any]]:
    """Candidates with their loss as value, low and high."""
    return [
        {
            "name": one.candidate,
            "chosen": one.candidate == facts.candidate,
            "measure": one.measure.replace("_", " "),
            "score": {
                "value": one.loss,
                "low": (one.interval or (one.loss, 0))[0],
                "high": (one.interval or (0, one.loss))[1],
            },
            "scores": one.scores,
            "parameters": one.parameters,
            "seconds": one.cpu_seconds or one.train_seconds,
            "failure": one.failure,
        }
        for one in facts.board
    ]


def _learning(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Losses by epoch of each fit that has more than one epoch, at most `_FITS` of them."""
    fits: dict[str, list[Mapping[str, Any]]] = {}
    for epoch in history:
        fits.setdefault(str(epoch["part"]), []).append(epoch)
    found = []
    for name, epochs in fits.items():
        lines = [
            [[one["epoch"] for one in epochs if key in one], [one[key] for one in epochs if key in one]]
            for key in ("training_loss", "validation_loss")
        ]
        if len(epochs) > 1 and all(isfinite(loss) for line in lines for loss in line[1]):
            found.append({"name": name, "lines": [line for line in lines if line[0]]})
    return found[:_FITS]


def _range(board: Sequence[CandidateResult]) -> tuple[float, float]:
    bounds = [bound for one in board if one.loss is not None for bound in (one.loss, *(one.interval or ()))]
    return (min(bounds) - 0.1 * (max(bounds) - min(bounds)), max(bounds)) if bounds else (0.0, 1.0)


def _matrix(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the confusion matrix with shares of their class, and a tone for each cell."""
    rows = []
    for place, counts in enumerate(metrics.get("confusion", [])):
        total = sum(counts) or 1
        cells = [
            {"rows": count, "share": count / total, "tone": _tone(count / total, right=place == other)}
            for other, count in enumerate(counts)
        ]
        rows.append({"label": metrics["per_class"][place]["label"], "cells": cells, "rows": sum(counts)})
    return rows


def _tone(share: float, *, right: bool) -> str:
    step = round(share * _SHADES) or (1 if share > 0.01 else 0)
    return f"{'p' if right else 'n'}{step}" if step else "zero"


def _variants(optimise: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Forms of the model with their measures, as far as the gate has them."""
    found = [
        {"name": name, "chosen": optimise.get("chosen") == name, **one}
        for name, one in (optimise or {}).items()
        if optimise and isinstance(one, Mapping) and "bytes" in one
    ]
    known = ("accuracy", "score", "micro_f1", "r2")
    return [{**one, "kept": next((one[name] for name in known if name in one), None)} for one in found]
