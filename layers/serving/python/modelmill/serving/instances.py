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
from modelmill.serving.features.files import Media

Columns = Mapping[str, Sequence[object]]
TEXT_ALIAS = "text"
"""A model with one text column takes it under this name too; one with an image or a sound has such a name as well."""

_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """A raw input of a model: a number, a text (a category is a text, too), or an image or a sound (`media`)."""

    name: str
    is_number: bool
    media: Media | None = None

    def is_plain(self, value: object) -> bool:
        """True for what needs no reading: most values of most requests, and a tenth of the time."""
        if self.is_number:
            return type(value) is float
        if self.media:
            return value is None
        return value is None or (type(value) is str and len(value) <= TEXT_CHARACTERS)

    def read(self, value: object, where: str) -> object:
        """`value` as `Features` takes it (numbers as float, an image or a sound as an array).

        Raises ModelmillError naming `where` and what was got.
        """
        if self.media:
            if not isinstance(value, str):
                raise ModelmillError("bad_value", f"{where} must be {self.wanted}, got {json_name(value)}")
            return self.media.read(value, where)
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
        if self.media:
            return f"base64 text of an {self.media.word} file"
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
    knows is refused, and so is a row without any text for a model of texts, or any image for a model of images.
    """
    alias, word = _alias(fields, is_text=is_text)
    one_of = needs_one(fields, is_text=is_text)
    cells: list[tuple[Field, list[object]]] = [(field, []) for field in fields]
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise ModelmillError("bad_instance", f"instances[{index}] must be an object, got {json_name(instance)}")
        row = {alias: instance[word]} if alias and alias not in instance and word in instance else instance
        known = [row[field.name] for field in fields if field.name in row]
        if not known or (one_of and known.count(None) == len(known)):
            raise nothing_known(f"instances[{index}]", fields)
        for field, column in cells:
            value = row.get(field.name)
            plain = field.is_plain(value)
            column.append(value if plain else field.read(value, f"instances[{index}].{field.name}"))
    return {field.name: column for field, column in cells}


def needs_one(fields: Sequence[Field], *, is_text: bool) -> bool:
    """True for a model of texts, or of images and sounds: a row with nothing but nulls says nothing."""
    return is_text or all(field.media for field in fields)


def _alias(fields: Sequence[Field], *, is_text: bool) -> tuple[str | None, str]:
    """The only text, image or sound of a model, and the name that it can be sent under too."""
    media = fields[0].media
    return (fields[0].name if len(fields) == 1 and (is_text or media) else None), (media.word if media else TEXT_ALIAS)


def nothing_known(where: str, fields: Sequence[Field]) -> ModelmillError:
    """The refusal of a row or request that has no field of the model."""
    names = [field.name for field in fields]
    more = ", …" if len(names) > 20 else ""
    return ModelmillError(
        "no_known_field", f"{where} has no field of this model", hint=f"it knows: {', '.join(names[:20])}{more}"
    )
