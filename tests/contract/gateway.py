"""Requests to the control function as API Gateway makes them (payload 1.0) in, its replies as JSON out."""

import json
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.contract.world import event

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Control:
    """Calls the function in `module` as the tenant that the authoriser found."""

    module: ModuleType
    tenant: str = "default"

    def send(self, method: str, target: str, body: str | None = None, **headers: str) -> dict[str, Any]:
        """API Gateway's own view of the reply: `statusCode`, `headers`, `body`."""
        url = urlsplit(target)
        template = event("serve/control")
        context = template["requestContext"] | {"authorizer": {"tenant": self.tenant, "key_name": "laptop"}}
        sent = template["headers"] | JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        query = parse_qs(url.query)
        reply: dict[str, Any] = self.module.handler(
            template
            | {
                "httpMethod": method,
                "path": url.path,
                "headers": sent,
                "multiValueHeaders": {name: [value] for name, value in sent.items()},
                "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
                "multiValueQueryStringParameters": query or None,
                "requestContext": context,
                "body": body,
            },
            None,
        )
        return reply

    def __call__(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the reply."""
        reply = self.send(method, target, None if body is None else json.dumps(body), **headers)
        return reply["statusCode"], json.loads(reply["body"])

    def error(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        """Status, code and message of a refusal, whose shape is checked."""
        status, answer = self(method, target, body, **headers)
        error = answer["error"]
        assert list(answer) == ["error"]
        assert set(error) <= {"code", "message", "limit", "hint", "request_id"}
        assert error["request_id"] == event("serve/control")["requestContext"]["requestId"]
        return status, error["code"], error["message"]
