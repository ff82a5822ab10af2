"""The typed Python client of modelmill, and the command line on top of it: httpx, typer and rich, no more.

from modelmill.client import Modelmill

with Modelmill() as mill:                      # MODELMILL_URL and MODELMILL_TOKEN, else the local cloud
    run = mill.wait(mill.upload("reviews", "reviews.csv").key)
    mill.predict(run.model["name"], [{"text": "lovely"}])
"""

from typing import TYPE_CHECKING, Any

from modelmill.client.types import Run, Stage, Upload
from modelmill.core.errors import ModelmillError

if TYPE_CHECKING:
    from modelmill.client.api import Modelmill

__all__ = ["Modelmill", "ModelmillError", "Run", "Stage", "Upload"]


def __getattr__(name: str) -> Any:
    """`Modelmill`, when it is first wanted: the command line's help need not wait for httpx."""
    if name == "Modelmill":
        from modelmill.client.api import Modelmill

        return Modelmill
    raise AttributeError(name)
