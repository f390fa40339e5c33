"""Line charts as numbers: everything is laid out here, the template only draws.

Colours and strokes come from classes of the stylesheet; the strict CSP allows no inline style.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.kit.sentences import Sentence

WIDTH, HEIGHT = 480, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 26
MOST_ROWS = 24
"""In the table beside a chart."""
MOST_LINES = 8
"""So many strokes the stylesheet has (`.series--8`); further lines have them again."""

Point = tuple[float, float]
Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Tick:
    at: float
    value: float


@dataclass(frozen=True)
class Line:
    """`path` is for a polyline; single points are drawn as `dots`, and what a point may be as a
    `whisker` from its lower to its upper end."""

    name: str
    number: int
    path: str
    dots: tuple[Point, ...]
    last: float
    whiskers: tuple[tuple[Point, Point], ...] = ()


@dataclass(frozen=True)
class Chart:
    """Lines, and the same in numbers: `rows` has for each x what each line has there, if anything;
    of many only some, evenly spread."""

    title: str
    x_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    as_percent: bool
    rows: tuple[tuple[float, tuple[float | None, ...]], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    @property
    def key(self) -> str:
        """Returns the title as a part of an id; it is the same in every language."""
        title = self.title.template if isinstance(self.title, Sentence) else self.title
        return re.sub(r"\W+", "-", title.lower())


def line_chart(
    title: str,
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    x_label: str,
    as_percent: bool = False,
    with_dots: bool = False,
    intervals: Mapping[str, Sequence[Interval]] | None = None,
) -> Chart | None:
    """Returns a chart of named series of (x, y), MOST_LINES of them unlike each other; None when
    there is nothing to draw.

    intervals: by name of a series, (x, lower end, upper end) of its points.
    """
    intervals = intervals or {}
    drawn = [(name, [p for p in points if math.isfinite(p[1])]) for name, points in series]
    drawn = [(name, points) for name, points in drawn if points]
    if not drawn:
        return None
    xs = [x for _, points in drawn for x, _ in points]
    ends = [end for name, _ in drawn for _, *both in intervals.get(name, ()) for end in both]
    ys = [*ends, *(y for _, points in drawn for _, y in points)]
    x_low, x_high = min(xs), max(xs)
    y_step = nice_step(max(ys) - min(0.0, *ys), 4)
    y_low = math.floor(min(0.0, *ys) / y_step) * y_step
    y_high = max(math.ceil(max(ys) / y_step) * y_step, y_low + y_step)

    def place(point: Point) -> Point:
        x_share = (point[0] - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        y_share = (point[1] - y_low) / (y_high - y_low)
        return (
            round(LEFT + x_share * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - y_share * (HEIGHT - TOP - BOTTOM), 1),
        )

    lines = []
    for index, (name, points) in enumerate(drawn):
        placed = [place(point) for point in points]
        lines.append(
            Line(
                name=name,
                number=index % MOST_LINES + 1,
                path=" ".join(f"{x:g},{y:g}" for x, y in placed),
                dots=tuple(placed) if with_dots or len(placed) == 1 else (placed[-1],),
                last=points[-1][1],
                whiskers=tuple(
                    (place((x, low)), place((x, high))) for x, low, high in intervals.get(name, ())
                ),
            )
        )
    n_y = round((y_high - y_low) / y_step)
    y_values = [y_low + y_step * index for index in range(n_y + 1)]
    return Chart(
        title=title,
        x_label=x_label,
        lines=tuple(lines),
        x_ticks=tuple(Tick(place((x, y_low))[0], x) for x in _x_values(x_low, x_high)),
        y_ticks=tuple(Tick(place((x_low, y))[1], y) for y in y_values),
        as_percent=as_percent,
        rows=_rows([points for _, points in drawn]),
    )


def _rows(lines: Sequence[Sequence[Point]]) -> tuple[tuple[float, tuple[float | None, ...]], ...]:
    values = [dict(points) for points in lines]
    xs = sorted({x for points in values for x in points})
    step = max(1, math.ceil(len(xs) / MOST_ROWS))
    kept = sorted({*xs[::step], xs[-1]})
    return tuple((x, tuple(points.get(x) for points in values)) for x in kept)


def nice_step(span: float, n_steps: int) -> float:
    """Returns a step of 1, 2 or 5 times a power of ten that covers the span in about so
    many steps.
    """
    if span <= 0:
        return 1.0
    raw = span / n_steps
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if raw <= factor * power * 1.0001)


def _x_values(low: float, high: float) -> list[float]:
    """Whole numbers only: steps, epochs and rounds."""
    step = max(1.0, nice_step(high - low, 8))
    first = math.ceil(low / step) * step
    return [first + step * index for index in range(int((high - first) / step) + 1)]
