"""What came of a dataset's rows: a version in, its runs and the models that they trained out."""

from typing import Any

from modelmill.aws.records import models, pipelines
from modelmill.core.errors import Conflict

Trained = dict[str, Any]
"""The record of a model's version: `model`, `version`, `dataset`, `dataset_version`, …"""


def runs(
    tenant: str, dataset: str, version: str | None = None, look_back: int | None = pipelines.LOOK_BACK
) -> list[dict[str, Any]]:
    """Runs over the dataset, or those that ended with this version of it, newest first.

    They are looked for among the newest `look_back` runs of the tenant, or with None among all.
    """
    found = pipelines.latest(tenant, None, dataset=dataset, look_back=look_back)
    return [run for run in found if version in (None, run.get("dataset_version"))]


def of_runs(found: list[dict[str, Any]]) -> dict[str, Any]:
    """`runs` and `models` as the API shows them."""
    shown = [{"id": run["id"], "status": run["status"], "started": run["started"]} for run in found]
    trained = {(run["model"]["name"], run["model"]["version"]) for run in found if run.get("model")}
    return {"runs": shown, "models": [{"model": name, "version": version} for name, version in sorted(trained)]}


def trained(tenant: str, dataset: str, version: str | None = None) -> list[Trained]:
    """Every model version that was trained from the dataset (from this version of it): one query per model."""
    return [
        record
        for model in models.names(tenant)
        for record in models.versions(tenant, model["name"])
        if record.get("dataset") == dataset and version in (None, record.get("dataset_version"))
    ]


def named(record: Trained) -> dict[str, str]:
    """A model's version by its names."""
    return {"model": record["model"], "version": record["version"]}


def check_idle(tenant: str, dataset: str) -> None:
    """Raises Conflict (`dataset_in_use`) while a run is at work on the dataset."""
    running = [run["id"] for run in runs(tenant, dataset) if run["status"] == "RUNNING"]
    if running:
        raise Conflict("dataset_in_use", f"run {running[0]} is at work on it", hint="cancel the run or wait for it")


def check_unrouted(tenant: str, found: list[Trained]) -> None:
    """Raises Conflict (`version_routed`) if a route leads to one of these versions."""
    for record in found:
        model = models.get(tenant, record["model"], consistent=True)
        route = (model or {}).get("route") or {"weights": {}, "shadow": None}
        if record["version"] in {*route["weights"], route["shadow"]}:
            raise Conflict(
                "version_routed",
                f"the route of {record['model']!r} leads to version {record['version']}",
                hint="move the route first, or delete the model by force",
            )
