"""What is said about prepared data: the version record, the run's specification, the stage's reply. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelmill.core.data.sources import Source
from modelmill.core.data.version import DatasetVersion, data_recipe, version_id
from modelmill.core.digest import canonical_json
from modelmill.core.errors import Rejected
from modelmill.core.limits import KIB
from modelmill.core.model.candidates import candidates_for
from modelmill.core.model.compute import compute_of
from modelmill.core.model.recipe import Recipe
from modelmill.core.model.spec import RunSpec
from modelmill.core.names import check_name, dataset_prefix, run_prefix
from modelmill.core.version import VERSION
from modelmill.frames.finish import Prepared

_RECORD_BYTES = 350 * KIB
"""A DynamoDB item holds 400 KiB ("Quotas in Amazon DynamoDB"); some of it is for the keys and for time."""


@dataclass(frozen=True, slots=True)
class Run:
    """The pipeline run that the data is prepared for; `upload` is bucket, key, version_id and size."""

    run_id: str
    tenant: str
    dataset: str
    upload: dict[str, Any]
    sources: Sequence[Source] = ()
    """The objects that the upload consists of."""

    @property
    def prefix(self) -> str:
        """Key prefix of the run in the models bucket."""
        return run_prefix(self.tenant, self.run_id)


def describe(prepared: Prepared, recipe: Recipe, run: Run) -> tuple[DatasetVersion, RunSpec]:
    """The version and the specification; raises Rejected (`bad_recipe`, `bad_name`, `too_many_columns`)."""
    model = check_name("model", recipe.model or run.dataset)
    plan, version = prepared.plan, version_id(prepared.content, recipe, VERSION, prepared.decided())
    prefix = dataset_prefix(run.tenant, run.dataset, version)
    document = DatasetVersion(
        dataset=run.dataset,
        version=version,
        prefix=prefix,
        sources=list(run.sources),
        rows=prepared.rows,
        splits={name: counts.total() for name, counts in prepared.splits.items()},
        files=prepared.decisions.buckets,
        columns=list(plan.columns),
        inputs=list(plan.inputs),
        task=plan.task,
        target=plan.target,
        labels=prepared.labels,
        quarantine=prepared.reasons,
        warnings=prepared.warnings,
        masked={name: {**kinds} for name, kinds in prepared.masked.items()},
        recipe=data_recipe(recipe),
    )
    size = len(canonical_json(document.model_dump(mode="json", exclude={"sources"})))
    if size > _RECORD_BYTES:
        raise Rejected(
            "too_many_columns",
            f"the names of the columns and classes take {size:,} bytes",
            limit=_RECORD_BYTES,
            hint="shorten the names, or choose columns in recipe.yaml (`inputs: [COLUMN, ...]`)",
        )
    candidates = candidates_for(plan.task, recipe.candidates, recipe.preset, recipe.search, plan.inputs)
    spec = RunSpec(
        run_id=run.run_id,
        tenant=run.tenant,
        dataset=run.dataset,
        dataset_version=version,
        data_prefix=prefix,
        files=prepared.decisions.buckets,
        model=model,
        task=plan.task,
        target=plan.target,
        inputs=list(plan.inputs),
        labels=prepared.labels,
        candidates=candidates,
        recipe=recipe.model_copy(update={"compute": compute_of(recipe, candidates)}),
        mixable=_mixable(prepared),
        html=prepared.decisions.html,
    )
    return document, spec


def _mixable(prepared: Prepared) -> bool:
    """Whether training and validation rows were told apart by chance: then folds may mix them."""
    by = prepared.decisions.by
    return by in ("stratified", "random") or (by == "given" and not prepared.settled.gives_validation)


def reply(version: DatasetVersion, spec: RunSpec, models_bucket: str) -> dict[str, Any]:
    """What the workflow goes on with, at `$.preprocess`."""
    return {
        "status": "ok",
        "dataset_version": version.version,
        "task": version.task,
        "target": version.target,
        "model": spec.model,
        "rows": version.rows.model_dump(),
        "warnings": [warning.model_dump() for warning in version.warnings],
        "candidates": [candidate.name for candidate in spec.candidates],
        "compute": spec.recipe.compute.model_dump(mode="json"),
        "run_uri": f"s3://{models_bucket}/{run_prefix(spec.tenant, spec.run_id)}",
    }
