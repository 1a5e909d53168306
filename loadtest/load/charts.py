"""Line charts as SVG: no script, no resource from anywhere, colours from the style sheet of the page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 10, 46
MARKED = 60  # a chart of so few points shows each, with its value when pointed at
TICKS = 5

Point = tuple[float, float | None]  # None: a gap
Label = Callable[[float], str]


@dataclass(frozen=True)
class Line:
    """A line of a chart. `points` ascend by x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """From 0 (or `first`) to `last`; `ticks` are where it has labels."""

    last: float
    ticks: Sequence[float]
    label: Label
    title: str
    first: float = 0.0

    def share(self, value: float) -> float:
        """Return where on the axis a value is, 0 to 1."""
        return (value - self.first) / (self.last - self.first)


def rounded(most: float, label: Label, title: str) -> Axis:
    """Return an axis from 0 to a round number that `most` fits below."""
    rough = max(most, 1e-9) / TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= rough * 0.999)
    count = max(math.ceil(most / step), 1)
    return Axis(step * count, [step * number for number in range(count + 1)], label, title)


def chart(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Return a figure: title, legend, drawing. Without any value: a sentence."""
    lines = [line for line in lines if any(value is not None for _, value in line.points)]
    if not lines:
        return f"<figure><figcaption>{escape(title)}</figcaption><p>Nothing was measured.</p></figure>"
    legend = "".join(f'<span class="key line{number}">{escape(line.name)}</span>' for number, line in enumerate(lines))
    drawn = "".join(_drawn(number, line, x, y) for number, line in enumerate(lines))
    return (
        f'<figure><figcaption>{escape(title)} <span class="legend">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{_grid(x, y)}{drawn}</svg></figure>'
    )


def thinned(points: Sequence[Point], most: int, combine: Callable[[Iterable[float]], float]) -> list[Point]:
    """Return at most so many points, each standing for as many neighbours as needed."""
    size = -(-len(points) // most) if points else 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], _combined([value for _, value in group if value is not None], combine)) for group in groups]


def _combined(values: Sequence[float], combine: Callable[[Iterable[float]], float]) -> float | None:
    return combine(values) if values else None


def _grid(x: Axis, y: Axis) -> str:
    across = "".join(
        f'<path class="grid" d="M{LEFT} {_up(y, tick):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{_up(y, tick) + 4:.1f}" text-anchor="end">{escape(y.label(tick))}</text>'
        for tick in y.ticks
    )
    along = "".join(
        f'<text x="{_along(x, tick):.1f}" y="{HEIGHT - BOTTOM + 19}" text-anchor="middle">{escape(x.label(tick))}</text>'
        for tick in x.ticks
    )
    titles = f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{escape(x.title)}</text>'
    return across + along + titles


def _drawn(number: int, line: Line, x: Axis, y: Axis) -> str:
    path, pen_is_up = [], True
    for at, value in line.points:
        if value is not None:
            path.append(f"{'M' if pen_is_up else 'L'}{_along(x, at):.1f} {_up(y, value):.1f}")
        pen_is_up = value is None
    marks = "".join(_mark(number, line.name, x, y, at, value) for at, value in line.points if value is not None)
    return f'<path class="line line{number}" d="{"".join(path)}"/>{marks if len(line.points) <= MARKED else ""}'


def _mark(number: int, name: str, x: Axis, y: Axis, at: float, value: float) -> str:
    told = escape(f"{name}, {x.label(at)}: {y.label(value)}")
    return f'<circle class="line{number}" cx="{_along(x, at):.1f}" cy="{_up(y, value):.1f}" r="2.5"><title>{told}</title></circle>'


def _along(x: Axis, value: float) -> float:
    return LEFT + x.share(value) * (WIDTH - LEFT - RIGHT)


def _up(y: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM)
