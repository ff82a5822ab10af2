"""Lists of tags in one cell: cells in, what separates their tags out; a cell in, its tags out. Pure.

`news|sport`, `news; sport` and `["news", "sport"]` are lists. They are told from words with punctuation by tags that
come back in other combinations.
"""

import json
from collections import Counter
from collections.abc import Sequence

from modelmill.core.model.task import TAG_SEPARATOR

JSON = "json"
"""The separator of cells that are JSON lists of texts."""
SEPARATORS = ("|", ";", ",", "；", "，", "、")
_SHARE, _COMBINED, _CHARACTERS, _MOST = 0.1, 0.6, 40, 500


def separator_of(values: Sequence[str]) -> str | None:
    """What separates the tags in these different cells of a column; None if they are no lists."""
    if sum(value.startswith("[") and value.endswith("]") for value in values) == len(values) > 1:
        return JSON if all(_listed(value) is not None for value in values) else None
    return next((separator for separator in SEPARATORS if _are_lists(values, separator)), None)


def tags_of(value: str, separator: str) -> list[str]:
    """The tags of a cell, each once, in order of spelling; one that holds `TAG_SEPARATOR` gets a slash for it."""
    found = _listed(value) if separator == JSON else value.split(separator)
    tags = {" ".join(tag.replace(TAG_SEPARATOR, "/").split()) for tag in ([value] if found is None else found)}
    return sorted(tags - {""})


def _listed(value: str) -> list[str] | None:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, list) and all(isinstance(tag, str) for tag in parsed) else None


def _are_lists(values: Sequence[str], separator: str) -> bool:
    """Enough cells have several parts, and most parts stand in several different cells."""
    if sum(separator in value for value in values) < max(3, _SHARE * len(values)):
        return False
    cells = [tags_of(value, separator) for value in values]
    found = Counter(tag for cell in cells for tag in cell)
    if not found or len(found) > _MOST or len(found) > len(values) or max(map(len, found)) > _CHARACTERS:
        return False
    return sum(count > 1 for count in found.values()) >= _COMBINED * len(found)
