"""The model card: what was trained on what, how good it is and where it ends, as Markdown for people.

Headings after Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from typing import Any

from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of
from modelmill.training.evaluate import TITLES, is_no_better

_MOST_CLASSES, _MOST_SLICES = 50, 20
_ENDS = {
    "text": "It reads text as it was trained on: other languages, topics and styles are beyond what was measured.",
    "number": "Numbers far outside those of the training rows are answered as those at the edge, or by guess.",
    "category": "Categories never seen count as missing.",
    "image": "Images from other cameras, in other light or of other things are beyond what was measured.",
    "audio": "Sounds from other microphones, rooms or speakers are beyond what was measured.",
}


def card(spec: RunSpec, family: str, metrics: dict[str, Any], form: str) -> str:
    """`card.md` of a package; `form` is the form of the model that is served: float32, int8, …."""
    return "\n".join(
        [
            f"# {spec.model}",
            "",
            "## Model details",
            "",
            f"- Task: {spec.task}, {_target(spec)}",
            f"- Inputs: {', '.join(f'`{column.name}` ({column.kind})' for column in spec.inputs)}",
            f"- Model: `{family}`, {form}, chosen on rows that it had not learnt from; seed {spec.recipe.seed}",
            "",
            "## Intended use",
            "",
            f"To answer `{spec.target}` for rows like the uploaded ones. It was not judged for other uses.",
            "",
            "## Training and evaluation data",
            "",
            f"Dataset `{spec.dataset}`, version `{spec.dataset_version}`; its report tells how it was split.",
            f"Measured on {metrics['test_rows']:,} test rows that neither training nor selection saw.",
            "",
            "## Metrics",
            "",
            "Intervals are of 95 %, by bootstrap over rows. The baseline answers the same for every row.",
            *(["", f"**{_plain(metrics)}**"] if is_no_better(metrics) else []),
            "",
            *_scores(metrics),
            "",
            *_classes(metrics),
            *_slices(metrics),
            "## Caveats",
            "",
            *[f"- {one['message'][:1].upper() + one['message'][1:]}." for one in metrics["warnings"]],
            *_limits(spec),
            "",
        ]
    )


def _target(spec: RunSpec) -> str:
    what = {"classification": "classes", "multilabel": "tags"}.get(answers_of(spec.task))
    return f"{len(spec.labels)} {what} of `{spec.target}`" if what else f"the measure `{spec.target}`"


def _plain(metrics: dict[str, Any]) -> str:
    message: str = next(one["message"] for one in metrics["warnings"] if one["code"] == "no_better")
    return message[:1].upper() + message[1:] + "."


def _scores(metrics: dict[str, Any]) -> list[str]:
    lines = ["| metric | value | 95 % interval | baseline |", "|---|---|---|---|"]
    for name, title in TITLES.items():
        if name in metrics:
            score, baseline = metrics[name], metrics["baseline"].get(name)
            constant = "" if baseline is None else f"{baseline:.4g}"
            lines.append(f"| {title} | {score['value']:.4g} | {score['low']:.4g} – {score['high']:.4g} | {constant} |")
    return lines


def _classes(metrics: dict[str, Any]) -> list[str]:
    rows = metrics.get("per_class", [])
    if not rows:
        return []
    listed = [
        f"| {_cell(row['label'])} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in rows[:_MOST_CLASSES]
    ]
    more = len(rows) - _MOST_CLASSES
    rest = ["", f"The other {more} are in metrics.json."] if more > 0 else []
    return ["| class | precision | recall | F1 | rows |", "|---|---|---|---|---|", *listed, *rest, ""]


def _slices(metrics: dict[str, Any]) -> list[str]:
    """Mitchell's disaggregated evaluation: the slices with the worst scores."""
    found = metrics["slices"][:_MOST_SLICES]
    if not found:
        return []
    lines = [f"By parts of the test rows ({metrics['slice_measure'].replace('_', ' ')}), the worst first:", ""]
    lines += ["| column | value | rows | score | 95 % interval |", "|---|---|---|---|---|"]
    for one in found:
        score = one["score"]
        bounds = f"{score['low']:.3g} – {score['high']:.3g}"
        where = f"| {_cell(one['column'])} | {_cell(one['value'])} | {one['rows']} "
        lines.append(where + f"| {score['value']:.3g}{' (weak)' if one['weak'] else ''} | {bounds} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:80]


def _limits(spec: RunSpec) -> list[str]:
    kinds = {"boolean": "category", "date": "number"}
    ends = dict.fromkeys(_ENDS.get(kinds.get(column.kind, column.kind)) for column in spec.inputs)
    groups = (
        "- Scores by group are those of the slices above: do they hold for those it decides on?"
        if spec.recipe.evaluation.slices
        else "- No column of groups of people was named (`evaluation: {slices: […]}`): check fairness before it decides"
        " about people."
    )
    return [
        *[f"- {end}" for end in ends if end],
        "- The metrics hold for data like the uploaded rows; on other data, or later, they may not.",
        groups,
    ]
