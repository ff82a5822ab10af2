"""Words and figures for people: codes, counts and hostile strings in, plain text out (escaping is the template's)."""

import re

WARNINGS = {
    "columns_ignored": (
        "Columns left out",
        "Fine if the model should not see them. Otherwise set `inputs:` (columns) or `task:` in recipe.yaml.",
    ),
    "identifiers_ignored": ("Keys left out", "Nothing to do: a key names a row and says nothing about new rows."),
    "constants_ignored": ("Columns without information", "Nothing to do, unless you expected values there."),
    "not_numbers": (
        "Words among numbers",
        "Look at these columns at their source; write the odd values as empty cells or as numbers.",
    ),
    "target_guessed": (
        "The target is a guess",
        "If it is the wrong column, name yours in recipe.yaml: `target: COLUMN`.",
    ),
    "unlabelled_rows": (
        "Rows without a target",
        "Fill the target in and upload again; if an empty cell is a class of its own, write it as a word.",
    ),
    "repeated_rows_kept": (
        "Many equal rows",
        "Nothing to do if they are different cases. Otherwise remove the copies: they make the test look too good.",
    ),
    "label_conflicts": (
        "Equal inputs, different classes",
        "No model can be right about these rows. Look for labelling mistakes or for an input that is missing.",
    ),
    "leak_suspected": (
        "An input gives the target away",
        "If it is only known after the target is, leave it out: list the other columns as `inputs:` in recipe.yaml.",
    ),
    "masked": (
        "Personal data masked",
        "Nothing to do: a model reads what kind of datum stood there. `mask:` in recipe.yaml says otherwise.",
    ),
    "masked_columns": (
        "Columns of personal data",
        "Nothing to do, unless the model should read them: `mask: {columns: {COLUMN: keep}}` in recipe.yaml.",
    ),
    "personal_target": (
        "Personal data in the target",
        "The classes are shown and answered as they are: give them names that tell of no person.",
    ),
    "encoding_guessed": (
        "Text encoding guessed",
        "Look at the rows below; if letters are wrong, save the file as UTF-8.",
    ),
    "column_renamed": ("Columns renamed", "Requests must use the new names; give each column a name of its own."),
    "columns_unreadable": ("Columns not read", "Save them as plain numbers or text if the model needs them."),
    "decimal_comma": (
        "Numbers with a decimal comma",
        "Look at the numbers below; if they are wrong, save the file with decimal points.",
    ),
}
"""Code → what it is in a few words, what to do."""

REASONS = {
    "ragged_row": "a different number of cells than the header",
    "bad_json": "not a JSON object",
    "missing_target": "the target is empty",
    "no_usable_input": "all inputs are empty",
    "cell_too_long": "a cell is longer than the limit",
    "duplicate": "the same as an earlier row",
    "rare_class": "its class has too few rows",
}
"""Quarantine reason → the rest of the sentence "left out because …"."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters, marks that turn the direction of the text around them, halves of surrogates."""


def shown(text: str, characters: int) -> str:
    """Text in one line, cut with an ellipsis; what cannot be seen, or would disturb its neighbours, is U+FFFD."""
    line = _UNSEEN.sub("\ufffd", " ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters and len(text) <= 4 * characters else line[: characters - 1] + "…"


def number(value: float) -> str:
    """Four significant digits or all digits of a whole number; thousands apart; powers of ten where they are needed."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e12:
        return f"{value:.3e}".replace("e+", "e").replace("-", "−")
    if value == int(value):
        return f"{int(value):,}".replace("-", "−")
    digits = 0 if size >= 1_000 else 1 if size >= 100 else 2 if size >= 1 else 4
    text = f"{value:z,.{digits}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share of 0 to 1 in per cent with one decimal; what is not all or nothing is not written as such."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"


def correlation(value: float | None) -> str:
    """Two decimals with a sign of minus; a dash for none."""
    return "–" if value is None else f"{value:z.2f}".replace("-", "−")


def listed_rows(numbers: list[int], count: int) -> str:
    """The first row numbers, and an ellipsis if there are more."""
    return ", ".join(f"{row:,}" for row in numbers) + (", …" if count > len(numbers) else "")
