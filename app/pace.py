"""How long people take, kept as counts of answers by time, so that those of several rounds add up.

A time falls into a step; each step is 5 % longer than the one before, so a median made of them is
right to within 3 %.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Steps = tuple[tuple[int, int], ...]
"""How many times fell into each step that has any, by number of the step."""

WIDTH = math.log(1.05)


@dataclass(frozen=True)
class Spread:
    """The middle of n times, in seconds, and between which two a half of them lies."""

    n: int
    median: float
    low: float
    high: float


def step_of(ms: float) -> int:
    """Returns the step that a time of more than 0 ms falls into."""
    return math.floor(math.log(ms) / WIDTH)


def add_up(rounds: Iterable[Sequence[tuple[int, int]]]) -> Steps:
    """Returns the steps of all rounds together."""
    counts: Counter[int] = Counter()
    for steps in rounds:
        counts.update(dict(steps))
    return tuple(sorted(counts.items()))


def spread_of(steps: Sequence[tuple[int, int]]) -> Spread | None:
    """Returns the median and the quartiles; None where nothing was measured."""
    n = sum(count for _, count in steps)
    if not n:
        return None
    return Spread(n, _quantile(steps, n, 0.5), _quantile(steps, n, 0.25), _quantile(steps, n, 0.75))


def _quantile(steps: Sequence[tuple[int, int]], n: int, share: float) -> float:
    """Returns the seconds below which this share of the times lies: the middle of their step."""
    seen = 0
    for step, count in sorted(steps):
        seen += count
        if seen >= share * n:
            return math.exp((step + 0.5) * WIDTH) / 1000
    raise AssertionError("the counts add up to n")
