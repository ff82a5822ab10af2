"""One mixed CSV: quoted newlines, ragged rows, copies, personal data, Chinese; enough of it for several parts."""

import random


def mixed_csv(rows: int = 900, seed: int = 5) -> bytes:
    """Reviews in English and Chinese with a rating, a date, a city and an answer."""
    dice = random.Random(seed)
    words = [
        "the",
        "room",
        "was",
        "clean",
        "and",
        "we",
        "liked",
        "breakfast",
        "late",
        "很好",
        "酒店",
        "干净",
        "满意",
        "失望",
    ]
    lines = ["id,review,city,stars,visited,answer"]
    for number in range(rows):
        text = " ".join(dice.choices(words, k=dice.randint(4, 14)))
        if number % 11 == 0:
            text += f'\nsecond line, "quoted", of row {number}'.replace('"', '""')
        if number % 7 == 0:
            text += f" write to guest{number % 40}@example.com or +44 20 7946 0{number % 900:03}"
        stars = dice.choice(["1", "2", "3.5", "4", "5", "", "n/a"])
        answer = "" if number % 97 == 0 else dice.choice(["Yes", "yes", "no", "No ", "perhaps"])
        city, visited = dice.choice(["York", "上海", "Bath"]), f"2026-0{1 + number % 9}-11"
        lines.append(f'r{number},"{text}",{city},{stars},{visited},{answer}')
        if number % 53 == 0:
            lines.append(f"ragged row {number}")
        if number % 29 == 0:
            lines.append(lines[-1])
    return ("\n".join(lines) + "\n").encode()
