"""Numbers that people are known by: digits in, whether they can be a card, an account or an identity number out.

Sources: ISO/IEC 7812-1 (Luhn, issuer prefixes), ISO 13616 and the SWIFT IBAN registry (mod 97, lengths), GB 11643-1999
with ISO 7064 MOD 11-2 (Chinese resident identity numbers), ITU-T E.164 and national numbering plans (phones).
"""

IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FO FI GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH CR HR LI LV", 22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip

CALLING_CODES: dict[str, tuple[int, int]] = {
    "1": (11, 11), "7": (11, 11), "20": (11, 12), "27": (11, 11), "30": (12, 12), "31": (11, 11), "32": (10, 11),
    "33": (11, 11), "34": (11, 11), "36": (10, 11), "39": (10, 13), "40": (11, 11), "41": (11, 11), "43": (10, 14),
    "44": (11, 12), "45": (10, 10), "46": (9, 12), "47": (10, 10), "48": (11, 11), "49": (9, 14), "51": (10, 11),
    "52": (12, 13), "53": (10, 10), "54": (12, 13), "55": (12, 13), "56": (11, 11), "57": (11, 12), "58": (12, 12),
    "60": (10, 12), "61": (11, 11), "62": (10, 14), "63": (11, 12), "64": (10, 12), "65": (10, 10), "66": (10, 11),
    "81": (11, 12), "82": (10, 12), "84": (11, 12), "86": (11, 13), "90": (12, 12), "91": (12, 12), "92": (12, 12),
    "94": (11, 11), "95": (9, 12), "98": (12, 12), "212": (12, 12), "213": (11, 12), "216": (11, 11),
    "233": (12, 12), "234": (11, 13), "254": (12, 12), "255": (12, 12), "256": (12, 12), "351": (12, 12),
    "352": (9, 12), "353": (11, 12), "354": (10, 10), "355": (11, 12), "356": (11, 11), "357": (11, 11),
    "358": (10, 13), "359": (11, 12), "370": (11, 11), "371": (11, 11), "372": (10, 11), "375": (12, 12),
    "380": (12, 12), "381": (11, 12), "385": (11, 12), "386": (11, 11), "420": (12, 12), "421": (12, 12),
    "852": (11, 11), "853": (11, 11), "855": (11, 12), "856": (11, 12), "880": (13, 13), "886": (11, 12),
    "960": (10, 10), "961": (10, 11), "962": (11, 12), "965": (11, 11), "966": (12, 12), "968": (11, 11),
    "971": (11, 12), "972": (11, 12), "973": (11, 11), "974": (11, 11), "977": (12, 13), "994": (12, 12),
    "995": (12, 12), "996": (12, 12), "998": (12, 12),
}  # fmt: skip
"""Calling code → fewest and most digits of a whole number, code included."""

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14})),  # Diners Club
    (36, 36, frozenset({14})),
    (38, 39, frozenset({14})),
    (3528, 3589, frozenset({16})),  # JCB
    (6011, 6011, frozenset({16})),  # Discover
    (644, 659, frozenset({16})),
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (9558, 9558, frozenset({19})),
    (5018, 5018, frozenset({16})),  # Maestro
    (5020, 5020, frozenset({16})),
    (5038, 5038, frozenset({16})),
    (6304, 6304, frozenset({16})),
    (6759, 6763, frozenset({16})),
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def is_card(digits: str) -> bool:
    """True for the prefix and the length of a known card issuer."""
    return any(
        first <= int(digits[: len(str(first))]) <= last and len(digits) in lengths for first, last, lengths in _ISSUERS
    )


def passes_luhn(digits: str) -> bool:
    """The check digit of cards."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def passes_mod97(iban: str) -> bool:
    """The check digits of an IBAN without spaces, in capitals."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def passes_mod11(number: str) -> bool:
    """The check character of a Chinese identity number: 17 digits and a digit or X."""
    total = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == number[17]
