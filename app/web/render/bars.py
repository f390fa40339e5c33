"""Bars with whiskers as numbers: everything is laid out here, the template only draws."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, LEFT, RIGHT, ROW, HEIGHT = 480, 72, 64, 28, 16


@dataclass(frozen=True)
class Bar:
    """A value with its interval."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DrawnBar:
    bar: Bar
    y: int
    width: float
    low_x: float
    high_x: float


@dataclass(frozen=True)
class Bars:
    title: str
    bars: tuple[DrawnBar, ...]
    as_percent: bool
    height: int
    width: int = WIDTH
    left: int = LEFT
    thick: int = HEIGHT
    text_x: int = WIDTH - RIGHT + 8


def lay_out_bars(title: str, bars: Sequence[Bar], *, as_percent: bool, left: int = LEFT) -> Bars:
    """Returns the bars below each other, as long as their values; the longest whisker fits. left:
    the room for their labels."""
    most = max((bar.high for bar in bars), default=0.0) or 1.0
    per_unit = (WIDTH - left - RIGHT) / most
    drawn = tuple(
        DrawnBar(
            bar=bar,
            y=number * ROW + (ROW - HEIGHT) // 2,
            width=round(bar.value * per_unit, 1),
            low_x=round(left + bar.low * per_unit, 1),
            high_x=round(left + bar.high * per_unit, 1),
        )
        for number, bar in enumerate(bars)
    )
    return Bars(title, drawn, as_percent, height=len(bars) * ROW, left=left)
