"""Control: an API Gateway proxy event (payload 1.0) in, the reply of the control plane out.

`event["path"]` is without the stage (`requestContext.path` has it), so no base path is taken off it.
"""

import logging
from typing import Any

from mangum import Mangum

from control_api.app import app

# The app logs every fault itself, with the request's id; Mangum would log it a second time, without.
logging.getLogger("mangum.http").disabled = True
_adapter = Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's reply: `statusCode`, `headers`, `body`."""
    return _adapter(event, context)
