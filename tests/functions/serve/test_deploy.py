"""Deploy in process: the route leads to the run's version, once, whoever else moves it; on moto's AWS."""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from modelmill.aws import objects
from modelmill.aws.records import models, pipelines
from modelmill.core.errors import Conflict, NotFound
from modelmill.core.serve.route import Route
from tests.contract.world import MODELS, event, load_function, moto_world

RUN = event("serve/deploy")["run_id"]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with moto_world(monkeypatch):
        spec(route=True)
        for digest in ("d1", "d2"):
            models.register("default", "reviews", digest, {"status": "READY"})
        yield load_function("serve/deploy")


def spec(*, route: bool) -> None:
    document = json.dumps({"recipe": {"rollout": {"route": route}}})
    objects.put(MODELS, f"default/runs/{RUN}/spec.json", document.encode())


def run(deploy: ModuleType, version: str = "1") -> dict[str, Any]:
    state = event("serve/deploy")
    state["register"]["version"] = version
    answer: dict[str, Any] = deploy.handler(state, None)
    return answer


def stage() -> dict[str, Any]:
    return pipelines.stages("default", RUN)[-1]


def test_the_route_moves_to_the_new_version_and_the_history_says_why(deploy: ModuleType) -> None:
    assert run(deploy) == {"route": {"weights": {"1": 1.0}, "shadow": None}, "revision": 1, "skipped": False}
    assert run(deploy, "2")["route"]["weights"] == {"2": 1.0}
    history = models.route_history("default", "reviews")
    assert [(move["revision"], move["who"]) for move in history] == [(2, f"pipeline {RUN}"), (1, f"pipeline {RUN}")]
    assert (stage()["status"], stage()["message"]) == ("SUCCEEDED", "reviews answers with version 2")


def test_the_same_state_twice_moves_once(deploy: ModuleType) -> None:
    assert run(deploy) == run(deploy)
    assert len(models.route_history("default", "reviews")) == 1


def test_a_version_that_has_a_share_keeps_the_route_as_somebody_set_it(deploy: ModuleType) -> None:
    models.set_route("default", "reviews", Route({"1": 0.5, "2": 0.5}, "2"), revision=0, who="key laptop")
    assert run(deploy) == {"route": {"weights": {"1": 0.5, "2": 0.5}, "shadow": "2"}, "revision": 1, "skipped": False}


def test_a_recipe_without_rollout_leaves_the_route_alone(deploy: ModuleType) -> None:
    spec(route=False)
    assert run(deploy) == {"route": None, "revision": 0, "skipped": True}
    assert stage()["status"] == "SKIPPED"


def others(monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """Somebody moves the route `moves` times, each between the reading and the writing of another."""
    whole, left = models.set_route, iter(range(moves))

    def raced(tenant: str, model: str, route: Route, *, revision: int, who: str) -> int:
        if next(left, None) is not None:
            whole(tenant, model, Route({"2": 1.0}), revision=revision, who="key laptop")
        return whole(tenant, model, route, revision=revision, who=who)

    monkeypatch.setattr(models, "set_route", raced)


def test_a_route_that_moved_meanwhile_is_read_again(deploy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    others(monkeypatch, 1)
    answer = run(deploy)
    assert (answer["route"]["weights"], answer["revision"]) == ({"1": 1.0}, 2)


def test_a_route_that_never_rests_is_a_fault(deploy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    others(monkeypatch, 2)
    with pytest.raises(Conflict):
        run(deploy)


def test_a_model_that_was_deleted_meanwhile_is_a_fault(deploy: ModuleType) -> None:
    models.delete("default", "reviews")
    with pytest.raises(NotFound, match="reviews"):
        run(deploy)
