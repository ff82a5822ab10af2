"""modelmill.aws.records.models: versions by number, one per package; the route moves atomically, with a history."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from modelmill.aws.records import models
from modelmill.core.errors import Conflict
from modelmill.core.serve.route import Route


def test_a_package_has_one_version_and_versions_count_up() -> None:
    assert models.register("default", "m", "d1", {"metrics": 1}) == ("1", True)
    assert models.register("default", "m", "d2", {}) == ("2", True)
    assert models.register("default", "m", "d1", {"metrics": 9}) == ("1", False)
    version = models.get_version("default", "m", "1")
    assert version is not None
    assert (version["digest"], version["metrics"]) == ("d1", 1)
    assert [each["version"] for each in models.versions("default", "m")] == ["2", "1"]


def test_parallel_registrations_never_share_a_number() -> None:
    digests = [f"d{index % 6}" for index in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda digest: models.register("default", "m", digest, {})[0], digests))
    number_of = dict(zip(digests, results, strict=True))
    assert [number_of[digest] for digest in digests] == results
    assert len(set(number_of.values())) == 6
    assert sum(version["digest"] in number_of for version in models.versions("default", "m")) == 6


def test_what_is_no_number_is_no_version() -> None:
    models.register("default", "m", "d1", {})
    assert all(models.get_version("default", "m", text) is None for text in ("", "x", "²", "-1", "9" * 50, "2"))


def test_a_route_moves_from_the_revision_that_was_read() -> None:
    models.register("default", "m", "d1", {})
    assert models.set_route("default", "m", Route({"1": 1.0}), revision=0, who="a") == 1
    assert models.set_route("default", "m", Route({"1": 1.0}, "1"), revision=1, who="b") == 2
    with pytest.raises(Conflict, match="changed meanwhile"):
        models.set_route("default", "m", Route({"1": 1.0}), revision=1, who="c")
    model = models.get("default", "m")
    assert model is not None
    assert (model["route"], model["revision"]) == ({"weights": {"1": 1.0}, "shadow": "1"}, 2)
    assert [(move["revision"], move["who"]) for move in models.route_history("default", "m")] == [(2, "b"), (1, "a")]


def test_of_parallel_moves_one_wins() -> None:
    models.register("default", "m", "d1", {})

    def move(index: int) -> bool:
        try:
            models.set_route("default", "m", Route({"1": 1.0}), revision=0, who=str(index))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1
    assert len(models.route_history("default", "m")) == 1


def test_a_model_that_was_never_registered_cannot_be_routed() -> None:
    with pytest.raises(Conflict):
        models.set_route("default", "ghost", Route({"1": 1.0}), revision=0, who="a")
    assert models.get("default", "ghost") is None


def test_routed_models_of_all_tenants_are_found_without_a_scan() -> None:
    for tenant in ("a", "b"):
        models.register(tenant, "m", "d", {})
        models.set_route(tenant, "m", Route({"1": 1.0}), revision=0, who="a")
    models.register("a", "unrouted", "d", {})
    assert models.routed() == [("a", "m"), ("b", "m")]


def test_a_deleted_model_is_gone_and_its_numbers_are_not_given_again() -> None:
    for digest in ("d1", "d2"):
        models.register("default", "m", digest, {})
    models.set_route("default", "m", Route({"2": 1.0}), revision=0, who="a")
    models.put_traffic("default", "m", {"requests": 1})
    models.delete("default", "m")
    assert models.get("default", "m") is None
    assert models.names("default") == models.versions("default", "m") == models.route_history("default", "m") == []
    assert models.routed() == []
    assert models.get_traffic("default", "m") is None
    assert models.register("default", "m", "d1", {}) == ("3", True)
    model = models.get("default", "m")
    assert model is not None
    assert model["route"] is None
    assert models.set_route("default", "m", Route({"3": 1.0}), revision=model["revision"], who="a") == 2


def test_traffic_is_kept_with_its_time() -> None:
    models.put_traffic("default", "m", {"last_hour": {"requests": 3}})
    traffic = models.get_traffic("default", "m")
    assert traffic is not None
    assert traffic["last_hour"] == {"requests": 3}
    assert traffic["observed"].endswith("Z")
    assert models.get_traffic("other", "m") is None
