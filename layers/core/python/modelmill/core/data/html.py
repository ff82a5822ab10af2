"""HTML in cells: a text with tags and entities in, the text that a reader of the page sees out. Pure.

Only elements that HTML knows are tags: `a < b`, `<3`, `<unk>` and the pseudonym `<email:…>` are text. Time is linear
in the length of any text: that is why this is neither `html.parser` nor a pattern with nested repeats.
"""

import html
import re

from modelmill.core.data.cells import visible

_BLOCKS = (
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 head header hr html iframe img input legend li link main meta nav ol option p pre"
    " section select summary table tbody td textarea tfoot th thead title tr ul video audio source object embed"
)
_INLINE = (
    "a abbr acronym b bdi bdo big button cite code data del dfn em font i ins kbd label mark q s samp small span strike"
    " strong sub sup time tt u var wbr"
)
_HIDDEN = "script style noscript template"
_TAG = re.compile(rf"<(/?)({'|'.join(f'{_BLOCKS} {_INLINE} {_HIDDEN}'.split())})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_DECLARATION = re.compile(r"<(?:!doctype|!\[|\?xml)[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LOOKS = re.compile(f"{_TAG.pattern}|{_ENTITY.pattern}", re.IGNORECASE)
_ROUNDS = 8
_GAPS = re.compile(r" {2,}")
_BLOCK_NAMES = frozenset(_BLOCKS.split())
_HIDDEN_NAMES = frozenset(_HIDDEN.split())


def has_html(text: str) -> bool:
    """True if a text has a tag or an entity."""
    return ("<" in text or "&" in text) and _LOOKS.search(text) is not None


def strip_html(text: str) -> str:
    """The text without tags, comments, scripts and styles, with a space for each block, and entities as characters.

    A text without `<` and `&` is returned as it is. What comes out has no more HTML in it (escaped tags, `&amp;lt;`),
    so that stripping it again changes nothing, up to eight times escaped. Never raises.
    """
    for _ in range(_ROUNDS):
        if "<" not in text and "&" not in text:
            break
        stripped = _without_tags(text) if "<" in text else text
        if "&" in stripped:
            stripped = _with_characters(stripped)
        if stripped == text:
            break
        text = stripped
    return text


def _with_characters(text: str) -> str:
    decoded = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return text if decoded == text else visible(decoded).strip()


def _without_tags(text: str) -> str:
    pieces: list[str] = []
    end_of_hidden: dict[str, int] = {}
    place = 0
    while (start := text.find("<", place)) >= 0:
        pieces.append(text[place:start])
        gap, place = _step(text, start, end_of_hidden)
        pieces.append(gap)
    stripped = "".join([*pieces, text[place:]])
    return stripped if len(stripped) == len(text) else _GAPS.sub(" ", stripped).strip()


def _step(text: str, start: int, missing: dict[str, int]) -> tuple[str, int]:
    """What stands for the `<` at `start`, and where to go on. `missing` keeps what was looked for in vain."""
    if text.startswith("<!--", start):
        after = _find(text, "-->", start + 4, missing)
        return (" ", after) if after else (" ", start + 4)
    found = _TAG.match(text, start)
    if found is None:
        declared = _DECLARATION.match(text, start)
        return (" ", declared.end()) if declared else ("<", start + 1)
    closing, name = found[1], found[2].lower()
    if name in _HIDDEN_NAMES:
        after = 0 if closing else _find(text, f"</{name}", found.end(), missing)
        return " ", _past_tag(text, after) if after else found.end()
    return (" " if name in _BLOCK_NAMES else ""), found.end()


def _find(text: str, mark: str, place: int, missing: dict[str, int]) -> int:
    """The end of the next `mark` in any case, 0 if there is none; a vain search is made once a text."""
    if mark in missing:
        return 0
    found = re.compile(re.escape(mark), re.IGNORECASE).search(text, place)
    if found is None:
        missing[mark] = 1
        return 0
    return found.end()


def _past_tag(text: str, place: int) -> int:
    end = text.find(">", place)
    return end + 1 if end >= 0 else place
