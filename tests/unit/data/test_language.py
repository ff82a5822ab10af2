"""Languages: told by script and by the commonest words, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.language import language_of, language_of_text

SENTENCES = {
    "en": "The room was clean and the staff were very friendly, but it is a bit far from the station.",
    "de": "Das Zimmer war sauber und das Personal sehr freundlich, aber es ist nicht weit vom Bahnhof.",
    "fr": "La chambre était propre et le personnel très aimable, mais elle est un peu loin de la gare.",
    "es": "La habitación estaba limpia y el personal muy amable, pero está un poco lejos de la estación.",
    "it": "La camera era pulita e il personale molto gentile, ma è un po' lontana dalla stazione.",
    "pt": "O quarto estava limpo e os funcionários muito simpáticos, mas não fica perto da estação.",
    "nl": "De kamer was schoon en het personeel erg vriendelijk, maar het is niet ver van het station.",
    "pl": "Pokój był czysty i obsługa bardzo miła, ale nie jest to blisko dworca i jest za drogo.",
    "ru": "Номер был чистый, и персонал очень вежливый, но до вокзала далеко, и это не всё.",
    "uk": "Номер був чистий, і персонал дуже ввічливий, але до вокзалу далеко, і це не все, що я бачив.",
    "tr": "Oda çok temiz ve personel çok nazik ama bu otel merkeze uzak ve kahvaltı da iyi değil.",
    "zh": "房间很干净，服务员也很热情，就是离 Metro 站有点远。",
    "ja": "部屋はとても清潔で、スタッフも親切でしたが、駅から少し遠いです。",
    "ko": "방이 매우 깨끗하고 직원들도 친절했지만 역에서 조금 멀어요.",
    "ar": "كانت الغرفة نظيفة والموظفون ودودون للغاية",
    "th": "ห้องพักสะอาดมากและพนักงานเป็นมิตร",
    "el": "Το δωμάτιο ήταν καθαρό και το προσωπικό ευγενικό",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_has_its_language(language: str) -> None:
    assert language_of_text(SENTENCES[language]) == language


@pytest.mark.parametrize("text", ["", "12:30 – 45%", "Braund, Owen Harris", "SKU-4711 XL", "x", "zzz qqq www"])
def test_nothing_is_guessed(text: str) -> None:
    assert language_of_text(text) == "unknown"


def test_a_column_has_the_language_of_most_of_its_texts() -> None:
    assert language_of([SENTENCES["en"]] * 9 + [SENTENCES["de"], "4711"]) == "en"
    assert language_of([SENTENCES["en"]] * 5 + [SENTENCES["zh"]] * 5) == "mixed"
    assert language_of(["Braund, Owen Harris"] * 50 + [SENTENCES["en"]]) == "unknown"
    assert language_of([]) == "unknown"


@given(st.lists(st.text(max_size=30), max_size=10))
def test_any_texts_have_an_answer(texts: list[str]) -> None:
    assert language_of(texts)
