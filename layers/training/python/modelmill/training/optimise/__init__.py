"""The gate of smaller forms: a trained model in, the smallest form that is as good, quick and small as asked, out.

Every form is measured on the same validation rows and on this processor; the report lists all of them with their
numbers, and why each was refused. The test rows choose nothing. Results of int8 differ a little between processors,
which is why the gate has a margin (`recipe.optimise.max_loss`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from modelmill.core.digest import canonical_json
from modelmill.core.errors import Rejected
from modelmill.core.model.recipe import Optimise
from modelmill.core.model.spec import RunSpec
from modelmill.serving.features import Features
from modelmill.training.convert import TOLERANCE
from modelmill.training.nets import Model
from modelmill.training.optimise import quantise
from modelmill.training.optimise.measured import measured
from modelmill.training.rows import Rows

_WORTH = 0.9
"""A smaller form must be at most this share of the original's size: for less, rounding is not worth having."""
_KEPT = (0.5, 0.25)
"""Shares of the vocabulary that pruned forms keep."""
_CALIBRATION = 256
_ROWS = 5_000
"""So many validation rows judge a form."""


class Form(NamedTuple):
    """One way to serve the model."""

    name: str
    model: bytes
    preprocess: dict[str, Any]


def optimise(  # noqa: PLR0917 - a model and its conversion, then what judges them
    model: Model,
    converted: bytes,
    preprocess: dict[str, Any],
    rows: Rows,
    spec: RunSpec,
    students: Sequence[tuple[Model, dict[str, Any]]] = (),
) -> tuple[Form, dict[str, Any]]:
    """The form to serve, and the report: sizes (bytes), scores, milliseconds a row, why. `rows` are not the test's.

    `students` are smaller models that learnt the model's answers, with their preprocessing.

    Raises Rejected (`gate`) if no form is as quick and small as the recipe demands.
    """
    rule = spec.recipe.optimise
    rows = rows if len(rows) <= _ROWS else rows.take(np.arange(_ROWS))
    original = Form("float32", converted, preprocess)
    base = measured(original.model, Features(preprocess), rows, model.objective)
    base["total_bytes"] = _bytes(original)
    report: dict[str, Any] = {"max_loss": rule.max_loss, "rows": len(rows), "float32": base}
    passed, refusals = [], {}
    if (refusal := _too_slow_or_large(base, rule)) is None:
        passed.append((base["total_bytes"], original))
    else:
        refusals["float32"] = refusal
    taught = [Form("distilled", student.onnx(), learnt) for student, learnt in students]
    distilled = (form for each in taught for form in (each, *_named(each, _rounded(each, rows, rule))))
    for form in (*_forms(model, original, rows, rule), *distilled):
        found = measured(form.model, Features(form.preprocess), rows, model.objective) | {"total_bytes": _bytes(form)}
        report[form.name] = found
        refusal = _refusal(base, found, rule)
        if refusal is None:
            passed.append((found["total_bytes"], form))
        else:
            report[form.name]["refused"] = refusals[form.name] = refusal
    if not passed:
        listed = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        hint = "allow more: optimise.max_ms, optimise.max_mb and optimise.max_loss"
        raise Rejected("gate", f"no form of the model passes: {listed}", hint=hint)
    chosen = min(passed, key=lambda each: each[0])[1]
    return chosen, report | {"chosen": chosen.name, "why": _why(chosen, report, refusals, rule)}


def _forms(model: Model, original: Form, rows: Rows, rule: Optimise) -> Iterator[Form]:
    """The smaller forms that the recipe allows, those that round before those that leave something out."""
    yield from _rounded(original, rows, rule)
    for share in _KEPT if rule.prune else ():
        pruned = model.net.pruned(share, original.preprocess)
        if pruned is None:
            return
        net, preprocess = pruned
        smaller = Model(net, model.objective, model.calibration)
        form = Form(f"pruned-{share:g}", smaller.onnx(), preprocess)
        yield form
        yield from _named(form, _rounded(form, rows, rule))


def _named(form: Form, rounded: Iterable[Form]) -> Iterator[Form]:
    for each in rounded:
        yield each._replace(name=f"{form.name}-{each.name}")


def _rounded(form: Form, rows: Rows, rule: Optimise) -> Iterator[Form]:
    if rule.float16 and (half := quantise.float16(form.model)):
        yield form._replace(name="float16", model=half)
    if rule.int8:
        for name, operators in quantise.DYNAMIC.items():
            if smaller := quantise.dynamic(form.model, operators):
                yield form._replace(name=name, model=smaller)
    if rule.static_int8:
        sample = rows.take(np.arange(min(len(rows), _CALIBRATION)))
        if smaller := quantise.static(form.model, Features(form.preprocess), sample):
            yield form._replace(name="int8-static", model=smaller)


def _refusal(base: dict[str, Any], found: dict[str, Any], rule: Optimise) -> str | None:
    loss = base["score"] - found["score"]
    if found["total_bytes"] > _WORTH * base["total_bytes"]:
        return f"not smaller than {_WORTH:.0%} of float32"
    if found["neighbours"] > TOLERANCE:
        return f"answers depend on the other rows of a request, by up to {found['neighbours']:.1e}"
    if loss > rule.max_loss:
        return f"loses {loss:.4f} of {base['measure']}, more than {rule.max_loss:g}"
    return _too_slow_or_large(found, rule)


def _too_slow_or_large(found: dict[str, Any], rule: Optimise) -> str | None:
    if rule.max_ms is not None and found["row_ms"] > rule.max_ms:
        return f"takes {found['row_ms']:.2f} ms a row, more than {rule.max_ms:g}"
    if rule.max_mb is not None and found["total_bytes"] > rule.max_mb * 1e6:
        return f"has {found['total_bytes'] / 1e6:.1f} MB, more than {rule.max_mb:g}"
    return None


def _why(chosen: Form, report: dict[str, Any], refusals: dict[str, str], rule: Optimise) -> str:
    if chosen.name == "float32":
        asked = rule.int8 or rule.static_int8 or rule.float16 or rule.prune
        said = "; ".join(f"{name}: {why}" for name, why in refusals.items())
        return said or ("it has nothing to make smaller" if asked else "the recipe asks for no smaller form")
    base, found = report["float32"], report[chosen.name]
    times, loss = base["total_bytes"] / found["total_bytes"], max(base["score"] - found["score"], 0.0)
    return f"{chosen.name} is {times:.1f} times smaller and loses {loss:.4f} of {base['measure']}"


def _bytes(form: Form) -> int:
    """What a server holds and downloads: the graph, and the vocabulary or tokenizer beside it."""
    return len(form.model) + len(canonical_json(form.preprocess))
