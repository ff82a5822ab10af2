"""The synthesised templates for `sam local`: `build/sam/` and the values that SAM cannot resolve out.

Functions in containers need one variable more than on AWS: where the emulator is. SAM sets only variables that a
template declares, so AWS_ENDPOINT_URL is added to each function; nothing else of a template is changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra_cdk.app import make_app

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "build" / "sam"
VALUES = OUTPUT / "variables.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where SAM finds a function: the template's file and the logical id in it."""

    template: Path
    logical_id: str


def synthesise() -> dict[str, Place]:
    """Write the templates for AWS; every function by its folder, such as `data/ingest`."""
    make_app({}, OUTPUT).synth()
    places = {}
    for path in sorted(OUTPUT.glob("*.template.json")):
        template = json.loads(path.read_text(encoding="utf-8"))
        functions = dict(_functions(template))
        for logical_id, function in functions.items():
            function["Properties"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = ""
            places[function["Properties"]["Description"].removeprefix("modelmill ")] = Place(path, logical_id)
        path.write_text(json.dumps(template, indent=1), encoding="utf-8")
    return places


def fill(places: Mapping[str, Place], variables: Mapping[str, Mapping[str, str]]) -> None:
    """Write what `sam --env-vars` reads: each function's variables."""
    values = {place.logical_id: variables[name] for name, place in places.items()}
    VALUES.write_text(json.dumps(values, indent=1), encoding="utf-8")


def _functions(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, resource)
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
        and str(resource["Properties"].get("Description", "")).startswith("modelmill ")
    ]
