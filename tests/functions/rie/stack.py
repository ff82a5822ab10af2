"""What the stacks give a function: its folder in, the names of its environment variables, memory and timeout out."""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra_cdk.app import make_app
from infra_cdk.bundling import TARGETS, build

_ABOUT = "modelmill "


@dataclass(frozen=True, slots=True)
class Deployed:
    """A function's settings in the synthesised templates; a value that a deployment fills in is None."""

    variables: dict[str, str | None]
    memory: int
    seconds: int


@cache
def deployed() -> dict[str, Deployed]:
    """Every function of the stacks by its folder, such as `data/ingest`."""
    with tempfile.TemporaryDirectory() as folder:
        assembly = make_app({"target": "local"}, Path(folder), build(TARGETS["local"])).synth()
        templates = [stack.template for stack in assembly.stacks]
    resources = [resource for template in templates for resource in template["Resources"].values()]
    found = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::Function"]
    return {
        properties["Description"].removeprefix(_ABOUT): _settings(properties)
        for properties in found
        if properties.get("Description", "").startswith(_ABOUT)
    }


def _settings(properties: dict[str, Any]) -> Deployed:
    variables = properties.get("Environment", {}).get("Variables", {})
    known = {name: value if isinstance(value, str) else None for name, value in variables.items()}
    return Deployed(known, properties["MemorySize"], properties["Timeout"])
