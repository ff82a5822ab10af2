"""The language of texts: some of a column's texts in, an ISO 639-1 code, `mixed` or `unknown` out. Pure.

The script tells Chinese, Japanese, Korean and a dozen others; the commonest words tell the languages that share Latin
or Cyrillic letters. Without enough evidence the answer is `unknown`: nothing is guessed of a column of names.
"""

import re
from collections import Counter
from collections.abc import Iterable

_SCRIPTS = {
    "kana": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3", "cyrillic": "\u0400-\u052f", "el": "\u0370-\u03ff\u1f00-\u1fff",
    "ar": "\u0600-\u06ff\u0750-\u077f", "he": "\u0590-\u05ff", "th": "\u0e00-\u0e7f", "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff", "ta": "\u0b80-\u0bff", "ka": "\u10a0-\u10ff", "hy": "\u0530-\u058f",
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}  # fmt: skip
_LETTERS = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_STOP_WORDS = {
    "en": "the and is of to in it that was for with this you on are have not be at but they from she we or an by as",
    "de": "der die das und ist nicht ein eine ich sie es mit auf für den im zu von dem auch sich war wie aber bei sehr",
    "fr": "le la les et est un une des je pas que pour dans il elle ce sur avec qui au plus du très nous mais être",
    "es": "el la los las y es un una que no en por con para se del lo su muy como más pero al me este todo está son",
    "it": "il lo la gli e è un una che non di per con sono del della molto ma questo anche come mi si alla nel più",
    "pt": "o a os as e é um uma que não de em por com para do da no na se muito mas eu mais como foi dos ao ele",
    "nl": "de het een en is niet van ik dat in op voor met zijn maar je ook er aan heb was naar bij zeer deze wel",
    "pl": "i w nie na się z jest to że do jak ale co o tak za po bardzo od przez czy dla już tego był",
    "sv": "och är det en ett att som på för med inte av jag har till den om var men så från mycket också eller",
    "tr": "ve bir bu için çok ile de da ne değil daha ama gibi var olarak ben sonra kadar en o mi",
    "vi": "và là của không có một cho được này trong những người đã với các tôi rất nhưng thì khi",
    "id": "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena bisa ada sudah sangat",
    "ru": "и в не на что я с это он а как но по она за был из у все так же его очень было для мы",
    "uk": "і в не на що я з це він а як але та у за від до був є із щоб дуже для ми й",
    "bg": "и в не на че да се е с за от са го като но по това си ще беше много този аз съм",
}
_BY_WORD: dict[str, list[str]] = {}
for _language, _words in _STOP_WORDS.items():
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_language)
_CYRILLIC = frozenset({"ru", "uk", "bg"})
_MOST, _ENOUGH = 0.8, 0.06
"""A language has most texts to be the column's; a text has so many of its words, or its language is unknown."""
_TEXTS, _CHARACTERS = 200, 1_000


def language_of(texts: Iterable[str]) -> str:
    """The language in which most of these texts are, of the first 200 of them and 1,000 characters of each."""
    found = Counter[str]()
    for number, text in enumerate(texts):
        if number >= _TEXTS:
            break
        found[language_of_text(text[:_CHARACTERS])] += 1
    unknown = found.pop("unknown", 0)
    known = found.total()
    if known < max(1, unknown // 4):
        return "unknown"
    language, count = min(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return language if count >= _MOST * known else "mixed"


def language_of_text(text: str) -> str:
    """The language of one text."""
    letters = {name: len(pattern.findall(text)) for name, pattern in _LETTERS.items()}
    total = sum(letters.values())
    if total < 2:
        return "unknown"
    # Chinese, Japanese and Korean words are of few characters, and Latin names and brands stand between them.
    asian = letters["kana"] + letters["han"] + letters["ko"]
    if asian >= 0.25 * total:
        return _asian(letters, asian)
    script = max(letters, key=lambda name: letters[name])
    if letters[script] < 0.6 * total:
        return "mixed"
    if script not in ("latin", "cyrillic"):
        return script
    return _by_words(text, among_cyrillic=script == "cyrillic")


def _asian(letters: dict[str, int], asian: int) -> str:
    if letters["ko"] >= 0.5 * asian:
        return "ko"
    # A Japanese sentence has kana in it; a few of them decorate Chinese too.
    return "ja" if letters["kana"] >= 0.15 * asian else "zh"


def _by_words(text: str, *, among_cyrillic: bool) -> str:
    words = [word.lower() for word in _WORD.findall(text)]
    scores = Counter[str]()
    for word in words:
        languages = _BY_WORD.get(word, ())
        for language in languages:
            if (language in _CYRILLIC) == among_cyrillic:
                scores[language] += 1
    if not scores:
        return "unknown"
    ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    tied = len(ranked) > 1 and ranked[1][1] == ranked[0][1]
    return "unknown" if tied or ranked[0][1] < _ENOUGH * len(words) else ranked[0][0]
