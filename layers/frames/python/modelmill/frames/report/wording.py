"""Words and figures for people: codes, counts and hostile strings in, plain text out (escaping is the template's)."""

import re
from datetime import UTC, datetime, timedelta

LEAKS = {
    "leak_suspected": (
        "An input gives the target away",
        "If it is only known after the target is, leave it out: list the other columns as `inputs:` in recipe.yaml.",
    ),
    "after_the_fact": (
        "An input may be known only afterwards",
        "If it is, leave it out: list the other columns as `inputs:` in recipe.yaml.",
    ),
    "label_in_text": (
        "A text names its own class",
        "If new texts will not, cut it out: the model would learn to read the answer.",
    ),
    "same_rows_on_both_sides": (
        "The same rows in training and test",
        "Take them out of one side: a model that learns by heart looks good on them.",
    ),
    "near_rows_on_both_sides": (
        "Nearly the same rows in training and test",
        "Keep copies and versions of one text on one side: a model that learns by heart looks good on them.",
    ),
    "group_on_both_sides": (
        "The same group in training and test",
        "If new rows come from new ones, split by group: otherwise the test is easier than the use.",
    ),
    "media_on_both_sides": (
        "The same, or nearly the same, files in training and test",
        "Keep what belongs together on one side: otherwise the test is easier than the use.",
    ),
    "unseen_classes": (
        "Classes that only the test has",
        "Look for another spelling of the same class, or split anew: no model can answer what it never saw.",
    ),
}
"""Like WARNINGS, of what makes a test look better, or worse, than the model is: shown first."""

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
    "rows_without_time": ("Rows without a time", "Fill in the column of times, or leave these rows out."),
    "rows_without_split": ("Rows of no split", "Write train, validation or test into the column of every row."),
    "open_quote": ("A quote is never closed", "Close each quote, and write a quote inside a quoted cell as two."),
    "column_renamed": ("Columns renamed", "Requests must use the new names; give each column a name of its own."),
    "columns_unreadable": ("Columns not read", "Save them as plain numbers or text if the model needs them."),
    "decimal_comma": (
        "Numbers with a decimal comma",
        "Look at the numbers below; if they are wrong, save the file with decimal points.",
    ),
    "bad_media": (
        "Files that cannot be used",
        "Save them anew as PNG, JPEG or WebP, WAV or FLAC, or leave them out.",
    ),
    "media_animated": ("Animated images", "Nothing to do if their first picture shows the class."),
    "media_located": ("Images that say where they were taken", "Take the metadata out if places are to stay private."),
    "media_blank": ("Images of one colour", "Look at them: there is nothing to learn from."),
    "media_silent": ("Silent sounds", "Listen to them: there is nothing to learn from."),
    "media_misnamed": ("Files with another ending", "Nothing to do: their content says what they are."),
    "few_groups": (
        "Few groups",
        "Bring more groups: with few of them the test says little about new ones.",
    ),
    "near_duplicates": (
        "Nearly equal rows",
        "Nothing to do: they are on one side. `clean: {near_duplicates: drop}` in recipe.yaml leaves them out.",
    ),
    "given_split_overlaps": (
        "The given split had rows on both sides",
        "Nothing to do: they count for the test alone. Look for where the split came from, if it was published.",
    ),
    "labels_unified": ("Spellings of a class unified", "Nothing to do, unless they are different classes."),
    "files_left_out": ("Files left out", "Upload them as a dataset of their own if they matter."),
    "few_test_rows": (
        "Too few rows to judge a class",
        "Bring more rows of it: what the test says about this class is hardly more than chance.",
    ),
    "label_shift": (
        "The sides of the split differ",
        "Find out why: a test that differs from the training rows judges something else than they teach.",
    ),
    "time_matters": (
        "The target changes over time",
        "If the model will meet later rows only, split by time, so that the test is later too.",
    ),
}
"""Code → what it is in a few words, what to do."""

ACTIONS = {
    "whitespace": "spaces around it removed",
    "missing": "a mark of a missing value became empty",
    "none": "None became empty",
    "unicode": "written in one Unicode form",
    "control": "invisible characters removed",
    "html": "tags and entities of HTML removed",
    "formula": "looks like a formula; kept as it is",
    "label": "spelling of a class unified",
    "outlier": "far from all others; kept as it is",
}
"""Cleaning action → what was done to a cell."""

SPLITS = {
    "stratified": "by content, so that every class has the same share on each side",
    "random": "by content, as if by chance",
    "group": "by group: rows with the same value are on one side",
    "time": "by time: the latest rows are the test",
    "given": "as given with the upload",
}

LANGUAGES = {
    "en": "English", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "de": "German", "fr": "French",
    "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "ru": "Russian", "ar": "Arabic",
    "mixed": "mixed languages", "unknown": "",
}  # fmt: skip

GLOSSARY = (
    ("Target", "the column that a model learns to tell"),
    ("Input", "a column that the model reads to tell the target"),
    ("Training, validation, test", "rows to learn from, to choose a model by, and to judge it by, once, at the end"),
    ("Leak", "something in the data by which a model looks better in the test than it will be in use"),
    ("Quarantine", "rows that cannot be used; they are kept apart with their number and reason"),
    ("Masked", "personal data replaced by a mark such as `<email:3f9a…>`; the same person has the same mark"),
    ("Version", "these rows, unchangeable, under a name made of their content: equal content, equal name"),
    ("Missing", "an empty cell, or one that says so, such as NA, null or ?"),
    ("Outlier", "a number far from nearly all others in its column: more than three times the middle half away"),
    ("Identifier", "a column that names a row or a thing, such as a key; models do not read it"),
)
"""Term → what it means in plain words."""

REASONS = {
    "ragged_row": "a different number of cells than the header",
    "bad_json": "not a JSON object",
    "missing_file": "the file that it names is not in the upload",
    "bad_media": "an image or a sound that cannot be read",
    "missing_target": "the target is empty",
    "no_usable_input": "all inputs are empty",
    "cell_too_long": "a cell is longer than the limit",
    "duplicate": "the same as an earlier row",
    "rare_class": "its class has too few rows",
}
"""Quarantine reason → the rest of the sentence "left out because …"."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FURTHEST = 60_000_000_000
"""Seconds from 1970 to the years that a calendar has, nearly."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters, marks that turn the direction of the text around them, halves of surrogates."""


def shown(text: str, characters: int) -> str:
    """Text in one line, cut with an ellipsis; what cannot be seen, or would disturb its neighbours, is U+FFFD."""
    line = _UNSEEN.sub("\ufffd", " ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters and len(text) <= 4 * characters else line[: characters - 1] + "…"


def spaced(text: str, characters: int) -> str:
    """Like `shown`, with white space at either end and what cannot be seen made visible: `␣` and U+FFFD."""
    bare = text.strip()
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :] if bare else ""
    return "␣" * min(3, len(before)) + shown(bare, characters) + "␣" * min(3, len(after))


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


def day(seconds: float) -> str:
    """A moment, given in seconds since 1970, as date, with its time if the time is not midnight."""
    if not abs(seconds) < _FURTHEST:
        return number(seconds)
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%d" if seconds % 86_400 == 0 else "%Y-%m-%d %H:%M").rjust(10, "0")


def size(count: float) -> str:
    """Bytes in a unit that fits."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1_024:
            return f"{number(count)} {unit}"
        count /= 1_024
    return f"{number(count)} GiB"


def correlation(value: float | None) -> str:
    """Two decimals with a sign of minus; a dash for none."""
    return "–" if value is None else f"{value:z.2f}".replace("-", "−")


def listed_rows(numbers: list[int], count: int) -> str:
    """The first row numbers, and an ellipsis if there are more."""
    return ", ".join(f"{row:,}" for row in numbers) + (", …" if count > len(numbers) else "")
