"""Inline SVG: numbers in, small pictures out. They take numbers only, so that nothing of the data is in the markup.

What a picture says is always in the text beside it too, so screen readers pass over it, or read its label.
"""

import re
from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _GAP = 240, 56, 1.0
_STEPS = 5
_HISTOGRAM = Markup(
    '<svg class="hist" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
    '<path class="bars" d="{}"/></svg>'
)
_BAR = Markup(
    '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    '<rect class="track" width="100" height="1"/><rect class="{}" width="{:.2f}" height="1"/></svg>'
)
_STACK = Markup('<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>')
_PART = Markup('<rect class="part{}" x="{:.2f}" width="{:.2f}" height="1"/>')
_WAVE = Markup(
    '<svg class="wave" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="Waveform">'
    '<path class="line" d="{}"/></svg>'
)
_IMAGE = Markup('<img src="{}" alt="{}" width="64" height="64">')
_PNG = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")
_PATH = re.compile(r"[MmLlHhVvZz0-9 .,-]+")
_LARGEST_PICTURE = 49_152
WAVE = (96, 32)
"""The box that `media.audio.waveform` draws in; said here too, so that drawing needs no decoder."""


def histogram(counts: Sequence[int]) -> Markup:
    """Bars of equal width on a base line, the highest as high as the picture; a bar is never invisible."""
    top, width = max(counts, default=0) or 1, _WIDTH / max(1, len(counts))
    gap = _GAP if len(counts) > 1 else 0.0
    path = "".join(
        f"M{index * width:.1f} {_HEIGHT}v-{max(1.0, count / top * (_HEIGHT - 2)):.1f}h{width - gap:.1f}V{_HEIGHT}z"
        for index, count in enumerate(counts)
        if count
    )
    label = f"Histogram of {len(counts)} bars; the highest stands for {top} rows"
    return _HISTOGRAM.format(_WIDTH, _HEIGHT, label, path)


def wave(path: str) -> Markup:
    """A sound over its time, of the `d` of a path in a box of WAVE; nothing for what is none or too long."""
    fits = len(path) <= _LARGEST_PICTURE and _PATH.fullmatch(path)
    return _WAVE.format(*WAVE, path) if fits else Markup("")


def image(uri: str, alt: str) -> Markup:
    """A thumbnail of the data URI of a PNG; nothing for what is none or too large."""
    fits = len(uri) <= _LARGEST_PICTURE and _PNG.fullmatch(uri)
    return _IMAGE.format(uri, alt) if fits else Markup("")


def bar(share: float, tone: str = "bars") -> Markup:
    """A bar of this share (0 to 1) of its width; `tone` is one of our own CSS classes."""
    return _BAR.format(tone, 0.0 if share <= 0 else min(100.0, max(0.6, 100 * share)))


def stack(counts: Sequence[int]) -> Markup:
    """One bar divided by counts; the tones of its parts are `part0`, `part1` and so on."""
    total, start, parts = sum(counts) or 1, 0.0, []
    for index, count in enumerate(counts):
        parts.append(_PART.format(index, start, 100 * count / total))
        start += 100 * count / total
    return _STACK.format(Markup("").join(parts))


def tone(correlation: float | None) -> str:
    """The CSS class of a cell of the heat map: `p1` to `p5` for positive, `n1` to `n5` for negative, `zero`, `none`."""
    if correlation is None:
        return "none"
    step = round(abs(correlation) * _STEPS)
    return f"{'p' if correlation > 0 else 'n'}{step}" if step else "zero"
