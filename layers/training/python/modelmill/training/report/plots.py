"""Inline SVG with axes: numbers in, pictures out. Names are not drawn here: they stand in the text beside a picture."""

from collections.abc import Sequence
from math import floor, log10

from markupsafe import Markup

from modelmill.frames.report.wording import number

_SIZE, _LEFT, _BOTTOM, _TOP, _RIGHT = 320, 52, 40, 10, 12
_SVG = Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
_TICKS = 5
_TONES = 10
Point = Sequence[float]


class Frame:
    """A square with axes from `low` to `high` in both directions; `parts` are drawn into it."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], labels: tuple[str, str]) -> None:
        self.x, self.y = x, y
        self.width, self.height = _LEFT + _SIZE + _RIGHT, _TOP + _SIZE + _BOTTOM
        self.parts: list[Markup] = []
        self._axes(labels)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture; what is outside lies on the edge."""
        across, up = (
            min(1.0, max(0.0, (value - low) / (high - low))) for value, (low, high) in ((x, self.x), (y, self.y))
        )
        return _LEFT + _SIZE * across, _TOP + _SIZE * (1 - up)

    def line(self, xs: Sequence[float], ys: Sequence[float], tone: str) -> None:
        """A line through points."""
        places = (self.place(x, y) for x, y in zip(xs, ys, strict=True))
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
        self.parts.append(Markup('<path class="curve {}" d="M{}"/>').format(tone, path))

    def dots(self, points: Sequence[Point], radius: float, tone: str) -> None:
        """A dot for each point."""
        for x, y in points:
            across, down = self.place(x, y)
            dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>')
            self.parts.append(dot.format(tone, across, down, radius))

    def picture(self, label: str) -> Markup:
        """The whole."""
        return _SVG.format(self.width, self.height, label, Markup("").join(self.parts))

    def _axes(self, labels: tuple[str, str]) -> None:
        grid, text = (
            Markup('<path class="grid-line" d="{}"/>'),
            Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>'),
        )
        for value in ticks(*self.x):
            across, _ = self.place(value, self.y[0])
            self.parts.append(grid.format(f"M{across:.1f} {_TOP}V{_TOP + _SIZE}"))
            self.parts.append(text.format(across, _TOP + _SIZE + 15, "tick middle", short(value)))
        for value in ticks(*self.y):
            _, down = self.place(self.x[0], value)
            self.parts.append(grid.format(f"M{_LEFT} {down:.1f}H{_LEFT + _SIZE}"))
            self.parts.append(text.format(_LEFT - 6, down + 4, "tick end", short(value)))
        self.parts.append(text.format(_LEFT + _SIZE / 2, _TOP + _SIZE + 34, "tick middle", labels[0]))
        upright = Markup('<text transform="translate(11 {:.1f}) rotate(-90)" class="tick middle">{}</text>')
        self.parts.append(upright.format(_TOP + _SIZE / 2, labels[1]))


def ticks(low: float, high: float) -> list[float]:
    """A few round numbers from `low` to `high`."""
    rough = (high - low) / _TICKS
    power = 10 ** floor(log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = -floor(-low / step + 1e-9)
    return [(first + place) * step for place in range(int(floor(high / step + 1e-9) - first) + 1)]


def short(value: float) -> str:
    """A number of an axis: thousands and millions by letter."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return number(round(value / (1e3 if letter == "k" else size), 3)) + letter
    return number(round(value, 10))


def curve(lines: Sequence[Sequence[Sequence[float]]], labels: tuple[str, str], *, diagonal: bool) -> Markup:
    """Lines in the unit square, in tones `tone0` and on."""
    frame = Frame((0, 1), (0, 1), labels)
    if diagonal:
        frame.line([0, 1], [0, 1], "guide")
    for place, (xs, ys) in enumerate(lines):
        frame.line(xs, ys, f"tone{place % _TONES}")
    return frame.picture(f"{labels[1]} by {labels[0]}")


def losses(lines: Sequence[Sequence[Sequence[float]]]) -> Markup:
    """Losses by epoch: of the rows that are learnt from, and of others."""
    epochs, values = [x for line in lines for x in line[0]], [y for line in lines for y in line[1]]
    frame = Frame((min(epochs), max(epochs)), _padded(values), ("epoch", "loss"))
    for place, (xs, ys) in enumerate(lines):
        frame.line(xs, ys, f"tone{place}")
    return frame.picture("Loss by epoch")


def reliability(bins: Sequence[dict[str, float]]) -> Markup:
    """What was said against what was found, dots as large as nothing but readable: bins have equally many rows."""
    frame = Frame((0, 1), (0, 1), ("probability that was said", "share that came true"))
    frame.line([0, 1], [0, 1], "guide")
    points = [(one["said"], one["found"]) for one in bins]
    frame.line([x for x, _ in points], [y for _, y in points], "tone0")
    frame.dots(points, 3.5, "dot")
    return frame.picture("Reliability")


def scatter(points: Sequence[Point], *, residuals: bool) -> Markup:
    """Answers against the truth, or errors against answers."""
    shown = [(answer, answer - truth) for truth, answer in points] if residuals else points
    xs, ys = [point[0] for point in shown], [point[1] for point in shown]
    if residuals:
        far = max(map(abs, ys)) or 1.0
        frame = Frame(_padded(xs), (-far, far), ("answer", "answer − truth"))
        frame.line([min(xs), max(xs)], [0, 0], "guide")
    else:
        both = _padded([*xs, *ys])
        frame = Frame(both, both, ("truth", "answer"))
        frame.line(both, both, "guide")
    frame.dots(shown, 2.2, "dot faint")
    return frame.picture("Errors by answer" if residuals else "Answer by truth")


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * 0.03 or abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def whisker(score: dict[str, float], low: float, high: float) -> Markup:
    """A value with its interval on a line from `low` to `high`."""
    left, middle, right = (
        100 * min(1.0, max(0.0, (score[name] - low) / ((high - low) or 1))) for name in ("low", "value", "high")
    )
    shape = Markup(
        '<svg class="whisker" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="4" width="100" height="2"/>'
        '<rect class="span" x="{:.1f}" y="2.5" width="{:.1f}" height="5"/>'
        '<rect class="mark" x="{:.1f}" width="1.2" height="10"/></svg>'
    )
    return shape.format(left, max(0.5, right - left), min(98.8, max(0.0, middle - 0.6)))
