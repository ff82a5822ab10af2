"""predict: the hot path. A request over API Gateway in, the answer of the model's routed version out.

No web framework: what is imported here is the cold start. Clients are made while Lambda initialises the function.
"""

from typing import Any

from modelmill.aws.clients import client
from modelmill.serving.gateway import answer
from modelmill.serving.plane import DataPlane
from modelmill.serving.registry import AwsRegistry

for service in ("dynamodb", "s3"):
    client(service)
PLANE = DataPlane(AwsRegistry())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """API Gateway's proxy event (format 1.0) → its response."""
    return answer(PLANE, event)
