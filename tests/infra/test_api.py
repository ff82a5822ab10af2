"""The HTTP API in the template: who may call what, and how the gateway itself refuses."""

import json
import re
from typing import Any

from tests.infra.templates import Templates


def routes(templates: Templates) -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path) → the method's properties."""
    resources = templates.by_stack["serve"]["Resources"]

    def path(reference: dict[str, Any]) -> str:
        if "Ref" not in reference:
            return ""
        properties = resources[reference["Ref"]]["Properties"]
        return f"{path(properties['ParentId'])}/{properties['PathPart']}"

    return {(m["HttpMethod"], path(m["ResourceId"])): m for m in templates.properties("AWS::ApiGateway::Method")}


def test_only_the_two_health_probes_need_no_key(templates: Templates) -> None:
    found = routes(templates)
    free = {route for route, method in found.items() if method["AuthorizationType"] == "NONE"}
    assert free == {("GET", "/v2/health/live"), ("GET", "/v2/health/ready")}
    assert {method["AuthorizationType"] for route, method in found.items() if route not in free} == {"CUSTOM"}


def test_every_path_that_is_known_answers(templates: Templates) -> None:
    """API Gateway does not try a greedy path when a node in the way exists without a method."""
    paths = {path for _, path in routes(templates)}
    prefixes = {path[: match.start()] for path in paths for match in re.finditer("/", path)}
    silent = prefixes - paths
    assert silent == {"", "/v1", "/v2/health"}


def test_predict_and_the_protocol_go_to_predict_and_the_rest_of_v1_to_control(templates: Templates) -> None:
    for (_, path), method in routes(templates).items():
        target = "Live" if path.startswith("/v2") or path.endswith("/predict") else "Control"
        assert target in json.dumps(method["Integration"]["Uri"]), path


def test_the_gateways_refusals_have_our_shape(templates: Templates) -> None:
    found = {p["ResponseType"]: p for p in templates.properties("AWS::ApiGateway::GatewayResponse")}
    expected = {
        "UNAUTHORIZED": "401",
        "ACCESS_DENIED": "403",
        "MISSING_AUTHENTICATION_TOKEN": "404",
        "THROTTLED": "429",
    }
    for kind, status in expected.items():
        assert found[kind]["StatusCode"] == status
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "REQUEST_TOO_LARGE"} <= set(found)
    for response in found.values():
        rendered = response["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"words"')
        error = json.loads(rendered)["error"]
        assert {"code", "message", "request_id"} <= set(error)
    assert "Retry-After" in str(found["THROTTLED"]["ResponseParameters"])


def test_the_stage_is_throttled_and_logs_no_addresses(templates: Templates) -> None:
    (stage,) = templates.properties("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "api"
    (settings,) = stage["MethodSettings"]
    assert settings["ThrottlingRateLimit"] > 0
    assert settings["ThrottlingBurstLimit"] > 0
    assert "$context.identity.sourceIp" not in stage["AccessLogSetting"]["Format"]


def test_a_revoked_key_stops_within_minutes(templates: Templates) -> None:
    (authorizer,) = templates.properties("AWS::ApiGateway::Authorizer")
    assert 60 <= authorizer["AuthorizerResultTtlInSeconds"] <= 300
    assert re.fullmatch(authorizer["IdentityValidationExpression"], "bearer mm_abc-_1")
    assert not re.fullmatch(authorizer["IdentityValidationExpression"], "Basic YTpi")
