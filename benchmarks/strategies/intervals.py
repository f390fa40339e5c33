"""Means over seeds in words, with the interval that their spread leaves."""

import math
import statistics
from collections.abc import Callable, Sequence

from benchmarks.support.cells import Result

Read = Callable[[Result], float | None]

_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t for an interval of 95 %, with one degree of freedom, two, and so on."""


def over(found: Sequence[Result], read: Read) -> str:
    """Returns the mean of what is read of each seed's result, with its interval."""
    values = [value for result in found if (value := read(result)) is not None]
    return in_words(values)


def difference(pairs: Sequence[tuple[Result, Result]], read: Read) -> str:
    """Returns the mean difference of what is read of each seed's two results."""
    values = []
    for one, other in pairs:
        first, second = read(one), read(other)
        if first is not None and second is not None:
            values.append(first - second)
    return in_words(values, sign="+")


def in_words(values: Sequence[float], sign: str = "") -> str:
    """Returns the mean, with half the width of Student's interval where there are several."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(values) == 1:
        return f"{mean:{sign}.3f}"
    spread = statistics.stdev(values) / math.sqrt(len(values))
    half = _STUDENT[min(len(values) - 1, len(_STUDENT)) - 1] * spread
    return f"{mean:{sign}.3f} ± {half:.3f}"


def plain(found: Sequence[Result], name: str) -> str:
    """Returns the mean of one of the numbers of each seed's result, without an interval."""
    values = [result[name] for result in found if result.get(name) is not None]
    if not values:
        return "–"
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}"
