"""Reads synthesised templates: resources by type, and each role with its statements."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STACKS = ("data", "serve", "watch", "model")
Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """The four templates, by phase."""

    by_stack: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Templates":
        return cls({name: json.loads((folder / f"modelmill-{name}.template.json").read_text()) for name in STACKS})

    def resources(self, kind: str = "") -> Iterator[tuple[str, Resource]]:
        """(`stack/logical id`, resource) of every resource of a type, or of a service if `kind` ends with `::`."""
        for stack, template in self.by_stack.items():
            for name, resource in template["Resources"].items():
                if resource["Type"] == kind or (kind[-2:] in ("", "::") and resource["Type"].startswith(kind)):
                    yield f"{stack}/{name}", resource

    def properties(self, kind: str) -> list[dict[str, Any]]:
        return [resource["Properties"] for _, resource in self.resources(kind)]

    def function(self, folder: str) -> dict[str, Any]:
        """The properties of the function of a folder such as `data/ingest`."""
        (found,) = (p for p in self.properties("AWS::Lambda::Function") if p["Description"] == f"modelmill {folder}")
        return found

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(role's logical id, statement) of every identity policy."""
        for stack, template in self.by_stack.items():
            for policy in template["Resources"].values():
                if policy["Type"] == "AWS::IAM::Policy":
                    for role in policy["Properties"]["Roles"]:
                        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                            yield f"{stack}/{role['Ref']}", statement

    def role_statements(self, folder: str) -> list[dict[str, Any]]:
        """The statements of a function's role."""
        role = self.function(folder)["Role"]["Fn::GetAtt"][0]
        return [statement for name, statement in self.statements() if name.split("/")[1] == role]


def listed(value: Any) -> list[Any]:
    """IAM's one-or-many as a list."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A resource as readable text: joins and references flattened."""
    if isinstance(value, dict):
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            return str(separator).join(text(part) for part in parts)
        (key, inner), *_ = value.items()
        return "${" + (".".join(inner) if isinstance(inner, list) else text(inner)) + "}" if key != "Fn::If" else "?"
    return str(value)
