"""Inline SVG: numbers in, small pictures out. They take numbers only, so that nothing of the data is in the markup."""

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _GAP = 240, 56, 1.0
_STEPS = 5
_HISTOGRAM = Markup(
    '<svg class="hist" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
    '<path class="bars" d="{}"/></svg>'
)
_BAR = Markup(
    '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    '<rect class="track" width="100" height="1"/><rect class="{}" width="{:.2f}" height="1"/></svg>'
)
_STACK = Markup('<svg class="stack" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{}</svg>')
_PART = Markup('<rect class="part{}" x="{:.2f}" width="{:.2f}" height="1"/>')


def histogram(counts: Sequence[int]) -> Markup:
    """Bars of equal width on a base line, the highest as high as the picture; a bar is never invisible."""
    top, width = max(counts, default=0) or 1, _WIDTH / max(1, len(counts))
    gap = _GAP if len(counts) > 1 else 0.0
    path = "".join(
        f"M{index * width:.1f} {_HEIGHT}v-{max(1.0, count / top * (_HEIGHT - 2)):.1f}h{width - gap:.1f}V{_HEIGHT}z"
        for index, count in enumerate(counts)
        if count
    )
    return _HISTOGRAM.format(_WIDTH, _HEIGHT, path)


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
