"""The `instances` of a predict request: checked row by row, then turned into columns of raw values.

What training reads as a number, a text or a missing value is read so here (`features` decides); what it would not
read is refused with the place, the field and what was got.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import INSTANCES_PER_REQUEST, TEXT_CHARACTERS
from modelmill.serving.features import number_of

Columns = Mapping[str, Sequence[object]]
TEXT_ALIAS = "text"
"""A model with one text column takes it under this name too."""

_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """A raw input of a model: a number, or a text (a category is a text, too)."""

    name: str
    is_number: bool

    def is_plain(self, value: object) -> bool:
        """True for what needs no reading: most values of most requests, and a tenth of the time."""
        if self.is_number:
            return type(value) is float
        return value is None or (type(value) is str and len(value) <= TEXT_CHARACTERS)

    def read(self, value: object, where: str) -> object:
        """`value` as `Features` takes it (numbers as float); raises ModelmillError naming `where` and what was got."""
        if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
            raise ModelmillError(
                "text_too_long",
                f"{where} has {len(value)} characters",
                status=413,
                limit=TEXT_CHARACTERS,
                hint="send the part that matters",
            )
        if not isinstance(value, str | int | float | None):
            raise ModelmillError("bad_value", f"{where} must be {self.wanted}, got {json_name(value)}")
        if not self.is_number or value is None:
            return value
        try:
            return number_of(value, self.name)
        except ModelmillError as error:
            raise ModelmillError("bad_value", f"{where} must be a number, got {value!r:.60}", hint=error.hint) from None

    @property
    def wanted(self) -> str:
        """For messages."""
        return "a number" if self.is_number else "a string"


def json_name(value: object) -> str:
    """The JSON type of a value, with its article."""
    return _JSON_NAMES.get(type(value), "a number")


def check_instances(body: object) -> list[Any]:
    """The list under `instances` of a request body; raises ModelmillError (400, or 413 over the limit)."""
    hint = 'send {"instances": [{"FIELD": VALUE, …}, …]}'
    if not isinstance(body, dict):
        raise ModelmillError("bad_request", f"the body must be an object, got {json_name(body)}", hint=hint)
    if "instances" not in body:
        raise ModelmillError("bad_request", "the body has no 'instances'", hint=hint)
    instances = body["instances"]
    if not isinstance(instances, list):
        raise ModelmillError("bad_request", f"'instances' must be a list, got {json_name(instances)}", hint=hint)
    if not instances:
        raise ModelmillError("bad_request", "'instances' is empty", hint=hint)
    check_rows(len(instances), "instances")
    if not isinstance(body.get("parameters", {}), dict | None):
        raise ModelmillError("bad_request", f"'parameters' must be an object, got {json_name(body['parameters'])}")
    return instances


def check_rows(rows: int, what: str) -> None:
    """Raise ModelmillError (413) for more rows than one request may have."""
    if rows > INSTANCES_PER_REQUEST:
        raise ModelmillError(
            "too_many_instances",
            f"the request has {rows} {what}",
            status=413,
            limit=INSTANCES_PER_REQUEST,
            hint="send several requests",
        )


def columns_of(instances: Sequence[object], fields: Sequence[Field], *, is_text: bool) -> Columns:
    """The rows as columns, None where a row lacks a field; raises ModelmillError for a row that cannot be used.

    Fields that the model does not know are ignored, so that callers may send whole rows; a row with none that it
    knows is refused, and so is a row without any text for a model of texts.
    """
    alias = fields[0].name if is_text and len(fields) == 1 else None
    cells: list[tuple[Field, list[object]]] = [(field, []) for field in fields]
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise ModelmillError("bad_instance", f"instances[{index}] must be an object, got {json_name(instance)}")
        row = {alias: instance[TEXT_ALIAS]} if alias and alias not in instance and TEXT_ALIAS in instance else instance
        known = [row[field.name] for field in fields if field.name in row]
        if not known or (is_text and known.count(None) == len(known)):
            raise nothing_known(f"instances[{index}]", fields)
        for field, column in cells:
            value = row.get(field.name)
            plain = field.is_plain(value)
            column.append(value if plain else field.read(value, f"instances[{index}].{field.name}"))
    return {field.name: column for field, column in cells}


def nothing_known(where: str, fields: Sequence[Field]) -> ModelmillError:
    """The refusal of a row or request that has no field of the model."""
    names = [field.name for field in fields]
    more = ", …" if len(names) > 20 else ""
    return ModelmillError(
        "no_known_field", f"{where} has no field of this model", hint=f"it knows: {', '.join(names[:20])}{more}"
    )
