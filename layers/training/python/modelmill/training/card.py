"""The model card: what was trained on what, how good it is and where it ends, as Markdown for people.

Headings after Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from typing import Any

from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import reads_of
from modelmill.training.evaluate import is_no_better

_SCORES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss (nats)",
}
_MOST_CLASSES = 50


def card(spec: RunSpec, family: str, metrics: dict[str, Any], precision: str) -> str:
    """`card.md` of a package; `precision` is float32 or int8."""
    intervals = {name: metrics[name] for name in _SCORES}
    scores = [
        f"| {_SCORES[name]} | {m['value']:.4f} | {m['low']:.4f} – {m['high']:.4f} |" for name, m in intervals.items()
    ]
    classes = [
        f"| {_cell(row['label'])} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in metrics["per_class"][:_MOST_CLASSES]
    ]
    return "\n".join(
        [
            f"# {spec.model}",
            "",
            f"- Task: {spec.task}, {len(spec.labels)} classes of `{spec.target}`",
            f"- Inputs: {', '.join(f'`{column.name}` ({column.kind})' for column in spec.inputs)}",
            f"- Data: dataset `{spec.dataset}`, version `{spec.dataset_version}`",
            f"- Model: `{family}`, {precision}, chosen by validation log loss; seed {spec.recipe.seed}",
            "",
            "## Metrics",
            "",
            f"On {metrics['test_rows']:,} test rows that neither training nor selection saw, with 95 % intervals by",
            "bootstrap over rows. Always answering the most frequent class is right for the share",
            f"{metrics['majority_baseline']:.4f} of them.",
            *(
                ["", "**The test rows do not show that this model is better than that.**"]
                if is_no_better(metrics)
                else []
            ),
            "",
            "| metric | value | 95 % interval |",
            "|---|---|---|",
            *scores,
            "",
            "| class | precision | recall | F1 | rows |",
            "|---|---|---|---|---|",
            *classes,
            *(
                [f"The other {len(spec.labels) - _MOST_CLASSES} classes are in metrics.json."]
                if len(spec.labels) > _MOST_CLASSES
                else []
            ),
            "",
            "## Limits",
            "",
            *_limits(spec),
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:80]


def _limits(spec: RunSpec) -> list[str]:
    own = (
        "- It counts words and short runs of words: it knows no longer order and no word that it did not see."
        if reads_of(spec.task) == "text"
        else "- Numbers far outside those of the training rows are cut; categories never seen count as missing."
    )
    return [
        own,
        "- The metrics hold for data like the uploaded rows; on other data, or later, they may not.",
        "- No metric by group of people was computed: check fairness before it decides about people.",
        "- Scores are calibrated on the validation rows only.",
    ]
