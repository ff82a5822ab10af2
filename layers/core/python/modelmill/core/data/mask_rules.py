"""The rules of masking, one per kind: a view of a text in, (start, end, normal form) of each find out. Pure `re`.

A view has the length of its text, with full-width letters, digits, spaces and dashes as ASCII, and BLANK where
something was found before. No rule may match BLANK, not even around what it finds. Every pattern begins where a run
of its characters begins and has bounded repeats, so that time grows with the text's length only.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date
from ipaddress import IPv6Address
from string import ascii_letters, digits, hexdigits
from typing import Literal

from modelmill.core.data.mask_numbers import (
    CALLING_CODES,
    IBAN_LENGTHS,
    is_card,
    passes_luhn,
    passes_mod11,
    passes_mod97,
)

Kind = Literal["email", "phone", "id", "card", "iban", "ip", "credentials"]
BLANK = "\0"
Span = tuple[int, int, str]
"""Start, end and normal form."""


def _view() -> dict[int, str]:
    """Characters that NFKC makes one ASCII character, and dashes: one for one, so that places stay."""
    ranges = (range(0xFF01, 0xFF5F), range(0x1D400, 0x1D800), range(0x2000, 0x200B), (0xA0, 0x3000, 0x202F))
    table = {code: unicodedata.normalize("NFKC", chr(code)) for codes in ranges for code in codes}
    table = {code: text for code, text in table.items() if len(text) == 1 and text.isascii()}
    return table | dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE63), "-")


VIEW = _view()

# Cheap tests before a rule: they begin with a plain set of characters, which `re` looks for fast.
_ELEVEN_DIGITS = re.compile(r"[0-9](?:[ ().-]{0,2}[0-9]){10}")
_ELEVEN_LETTERS = re.compile(r"[0-9]{2}(?:[ -]?[A-Za-z0-9]){11}")
_FOUR_PARTS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")


def _any_of(plain: str) -> str:
    """A class of characters for RE2: those of `plain`, and those that a view shows as one of them."""
    codes = sorted({*map(ord, plain), *(code for code, text in VIEW.items() if text in plain)})
    return "[" + "".join(rf"\x{{{code:x}}}" for code in codes) + "]"


_DIGIT, _LETTER = _any_of("0123456789"), _any_of(ascii_letters + digits)
_POINT, _GAP, _COLON = _any_of("."), _any_of(" ().-"), _any_of(":")
CANDIDATE = "|".join(
    (
        _any_of("@<"),
        f"{_COLON}{{2}}",
        f"(?:{_any_of(hexdigits)}{{0,4}}{_COLON}){{6}}",
        f"{_DIGIT}(?:{_GAP}{{0,2}}{_DIGIT}){{10}}",
        f"{_any_of(ascii_letters)}{{2}}{_DIGIT}{{2}}(?:{_any_of(' -')}?{_LETTER}){{11}}",
        f"{_any_of('+')}{_any_of('123456789')}{_GAP}{{0,2}}{_DIGIT}",
        f"(?:{_DIGIT}{{1,3}}{_POINT}){{3}}{_DIGIT}",
    )
)
"""What may hold personal data or a pseudonym, for RE2: true of every text in which a rule finds something."""
_CREDENTIALS = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,15}://"
    r"((?:[A-Za-z0-9._~%!$&*+=-]{1,64}|(?=:.))(?::[!-.0-;=>@-~]{0,128})?)@(?=[A-Za-z0-9\[])"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]{1,64})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9@])"
)
_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "css", "js", "ts", "html", "json", "md",
                    "py", "txt", "xml", "yaml", "yml", "zip", "pdf", "mp", "wav", "php", "exe", "dll"})  # fmt: skip
_PLAIN_EMAIL = re.compile(
    r"([A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*)@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.){1,4}([A-Za-z]{2,24})", re.ASCII
)
_LONGEST_PLAIN = 64
_NOBODY = frozenset({"git", "svn", "hg"})
_IBAN = re.compile(r"[0-9](?<=(?<![A-Za-z0-9])[A-Za-z]{2}[0-9])[0-9](?=[ -]?[A-Za-z0-9])")
_IBAN_BODY = {
    length: re.compile(rf"(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9])") for length in set(IBAN_LENGTHS.values())
}
_ID = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9A-Za-z]-)([1-9][0-9]{5})([ -]?)((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9])"
    r"\2([0-9]{3}[0-9Xx])(?![0-9A-Za-z])(?!-[0-9A-Za-z])"
)
_PROVINCES = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
_LATEST_BIRTH = 2035
_EDGE = r"(?<![0-9A-Za-z_.+])(?<![0-9A-Za-z_]-)(?:(?<!/)|(?<=[0-9]/))"
_NO_MORE = r"(?![0-9A-Za-z_])(?![.-][0-9]|-[A-Za-z])"
_CARD = re.compile(
    _EDGE + r"(?:[2-69][0-9]{12,18}"
    r"|[2-69][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}|[69][0-9]{5}[ -][0-9]{10,13})" + _NO_MORE
)
_MOBILE = re.compile(
    _EDGE + r"(?:(?:\+|00)?86[ -]?|[(]\+?86[)][ -]?)?"
    r"(1[3-9](?:[0-9]{9}|[0-9]([ -])[0-9]{4}\2[0-9]{4}|[0-9]([ -])[0-9]{3}\3[0-9]{5}|[0-9]{2}([ -])[0-9]{3}\4[0-9]{4}))"
    + _NO_MORE
)
_AREA = r"0(?:10|2[0-57-9]|[3-9][0-9]{2})"
_LANDLINE = re.compile(
    rf"{_EDGE}(?:(?:\+|00)?86[ -]?)?"
    rf"(?:[(]({_AREA})[)][ -]?|({_AREA})[ -]|({_AREA}))([2-8][0-9]{{2,3}}[ -]?[0-9]{{4}})"
    r"(?:-[0-9]{1,5})?" + _NO_MORE
)
_INTERNATIONAL = re.compile(r"(?<![0-9A-Za-z_+)])[+]([1-9](?:[ .-]?(?:[(][0-9]{1,5}[)]|[0-9])){6,16})(?![0-9A-Za-z])")
_IPV4 = re.compile(
    r"(?<![0-9A-Za-z._-])(?:(?<=//)|(?<!/))((?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9]))(?![0-9A-Za-z_])(?!\.[0-9]|[-+][0-9A-Za-z])"
)
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])((?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{0,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}))(?![0-9A-Za-z:])"
)
_REACH = 40
"""Characters before a find that may say what it is."""
_THING = re.compile(
    r"(?:(?<![A-Za-z])(?:order|invoice|tracking|parcel|shipment|waybill|sku|isbn|issn|imei|ean|upc|asin|serial|model|part"
    r"|ref|reference|ticket|case|batch|lot|item|product|article|transaction|trace|session|request|barcode|id|uid|sn|no"
    r"|code)s?\.?|订单|运单|快递|快递单|流水|工单|发票|商品|产品|货|批|条|条形|序列|物流|交易|设备|合同|版本|会员"
    r"|单|编|型|料|件|第)"
    r"(?:[ ]?(?:no|number|num|id|code|nr|#|编号|号码|号|码)\.?)?[ \t]*(?:is|was|为|是)?[ \t:#=]*[#]?$",
    re.IGNORECASE,
)
_PERSONAL = re.compile(r"(?:card|卡|phone|mobile|tel|cell|whatsapp|手机|电话)[a-z]*[ ]?(?:no|num|nr|号码|号)\.?"
                       r"[ \t]*(?:is|was|为|是)?[ \t:#=]*$", re.IGNORECASE)  # fmt: skip
_CALL = re.compile(
    r"(?:tel|telephone|phone|call|fax|dial|电话|座机|固话|传真|致电|拨打|联系方式|热线)[ \t.:#=]*(?:is|为|是)?[ \t:]*$",
    re.IGNORECASE,
)
_MONEY_BEFORE, _MONEY_AFTER = (
    re.compile(r"[$£€¥₩₹￥][ ]?$|(?:RMB|USD|CNY|EUR)[ ]?$"),
    re.compile(r"[ ]?(?:元|万|亿|円|块|%|USD|CNY|RMB|dollars|bytes)"),
)
_VERSION = re.compile(
    r"(?:(?<![A-Za-z])(?:v|ver|version|firmware|release|build|driver|section|chapter|clause|update|upgraded? to|rev"
    r"|sdk|kernel|patch|app|chrome|ios)|版本|版本号|固件|第|章|节|升级到|更新到|驱动|系统)\.?"
    r"[ \t]*(?:is|was|为|是)?[ \t:=]*$",
    re.IGNORECASE,
)


def _before(pattern: re.Pattern[str], view: str, start: int) -> bool:
    return pattern.search(view[max(0, start - _REACH) : start]) is not None


def _is_thing(view: str, start: int, end: int) -> bool:
    """True if the words around a number say that it counts or names a thing, not a person."""
    if _before(_MONEY_BEFORE, view, start) or _MONEY_AFTER.match(view, end):
        return True
    return _before(_THING, view, start) and not _before(_PERSONAL, view, start)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _credentials(view: str) -> Iterator[Span]:
    for found in _CREDENTIALS.finditer(view) if "://" in view else ():
        yield *found.span(1), found[1]


def _email(view: str) -> Iterator[Span]:
    for found in _EMAIL.finditer(view):
        local = found[1].lstrip(".%+-")
        labels = found[2].lower().split(".")
        if not local or local[-1] == "." or local in _NOBODY or labels[-1] in _FILES:
            continue
        if any(label[0] == "-" or label[-1] == "-" for label in labels):
            continue
        yield found.end(1) - len(local), found.end(), f"{local}@{found[2]}".lower()


def plain_email(text: str) -> str | None:
    """The normal form of a text that is one e-mail address without any oddity, as most are: the short way to a find."""
    if "@" not in text or len(text) > _LONGEST_PLAIN or not (found := _PLAIN_EMAIL.fullmatch(text)):
        return None
    return None if found[1] in _NOBODY or found[2].lower() in _FILES else text.lower()


def _iban(view: str) -> Iterator[Span]:
    position = 0
    while found := _IBAN.search(view, position):
        position = found.end()
        start = found.start() - 2
        length = IBAN_LENGTHS.get(view[start : start + 2].upper())
        body = _IBAN_BODY[length].match(view, found.end()) if length else None
        if body is not None:
            value = re.sub("[ -]", "", view[start : body.end()]).upper()
            if passes_mod97(value):
                position = body.end()
                yield start, position, value


def _identity(view: str) -> Iterator[Span]:
    for found in _ID.finditer(view):
        region, _, year, month, day, rest = found.groups()
        value = f"{region}{year}{month}{day}{rest}".upper()
        if _PROVINCES.match(region) and _is_date(int(year), int(month), int(day)) and passes_mod11(value):
            yield *found.span(), value


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day).year <= _LATEST_BIRTH
    except ValueError:
        return False


def _card(view: str) -> Iterator[Span]:
    for found in _CARD.finditer(view):
        value = _digits(found[0])
        if is_card(value) and passes_luhn(value) and not _is_thing(view, *found.span()):
            yield *found.span(), value


def _mobiles(view: str) -> Iterator[Span]:
    for found in _MOBILE.finditer(view):
        if not _is_thing(view, *found.span()):
            yield *found.span(), "+86" + _digits(found[1])


def _landlines(view: str) -> Iterator[Span]:
    for found in _LANDLINE.finditer(view):
        area = found[1] or found[2] or found[3]
        number = _digits(found[4])
        joined = found[3] is not None and not _before(_CALL, view, found.start())
        if not joined and not _is_thing(view, *found.span()):
            yield *found.span(), f"+86{area[1:]}{number}"


def _internationals(view: str) -> Iterator[Span]:
    for found in _INTERNATIONAL.finditer(view):
        number = _digits(found[0])
        shortest, longest = _lengths(number)
        end = found.end()
        # Digits after the longest number of the country are something else: cut there where a group ends.
        while len(number) > longest and (space := max(view.rfind(mark, found.start(), end) for mark in " .-")) > 0:
            end, number = space, _digits(view[found.start() : space])
        if shortest <= len(number) <= longest and (number[0] != "1" or number[1] in "23456789"):
            yield found.start(), end, "+" + number


def _lengths(digits: str) -> tuple[int, int]:
    """Fewest and most digits of a number of this country, its code included (ITU-T E.164: at most 15)."""
    for size in (3, 2, 1):
        if digits[:size] in CALLING_CODES:
            return CALLING_CODES[digits[:size]]
    return 99, 99


def _ipv4s(view: str) -> Iterator[Span]:
    for found in _IPV4.finditer(view):
        if not _before(_VERSION, view, found.start()):
            yield *found.span(), found[1]


def _ipv6s(view: str) -> Iterator[Span]:
    for found in _IPV6.finditer(view):
        value = _ipv6(found[1])
        if value:
            yield *found.span(), value


def _ipv6(text: str) -> str | None:
    groups = [group for group in text.split(":") if group]
    if not any(c.isdigit() for c in text) or (len(groups) < 2 and not text.startswith("::")):
        return None
    # Eight pairs of hexadecimal digits are a hardware address (EUI-64).
    if "::" not in text and all(len(group) <= 2 for group in groups):
        return None
    try:
        return str(IPv6Address(text))
    except ValueError:
        return None


Rule = Callable[[str], Iterator[Span]]
RULES: tuple[tuple[Callable[[str], object], tuple[tuple[Kind, Rule], ...]], ...] = (
    (lambda view: "@" in view, (("credentials", _credentials), ("email", _email))),
    (_ELEVEN_LETTERS.search, (("iban", _iban),)),
    (_ELEVEN_DIGITS.search, (("id", _identity), ("card", _card), ("phone", _mobiles), ("phone", _landlines))),
    (lambda view: "+" in view, (("phone", _internationals),)),
    (lambda view: "::" in view or view.count(":") >= 6, (("ip", _ipv6s),)),
    (_FOUR_PARTS.search, (("ip", _ipv4s),)),
)
"""A cheap test, and the kinds and rules that can find something only where it is true, the stricter first.

What a rule finds is BLANK for the next. Its finds are in order, without overlaps.
"""
