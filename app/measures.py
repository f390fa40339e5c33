"""What stands beside a measured number: its interval, its level, or why there is none.

Apart from the metrics themselves, since pages read it and do not compute.
"""

import math
from enum import StrEnum
from statistics import NormalDist

Interval = tuple[float, float]

LEVEL = 0.05
"""What is less probable than this by chance alone is said to be an effect."""


class Undefined(StrEnum):
    """Why a measure of agreement has no value."""

    NOTHING = "nothing"
    """Nobody has judged anything."""
    ONE_PERSON = "one_person"
    NO_OVERLAP = "no_overlap"
    """Several people judged, but no two of them the same."""
    ALL_SAME = "all_same"
    """Everybody always says the same, so chance alone would bring full agreement."""
    NOT_TWO = "not_two"
    """The measure compares exactly two people, and there are more."""


def wilson_interval(n_hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Returns the interval of a share (Wilson 1927); for no trial it is (0, 1), so nothing is
    known.
    """
    if not 0 <= n_hits <= n:
        raise ValueError(f"{n_hits} hits of {n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = n_hits / n
    scale = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At the ends the formula gives 0 and 1 up to rounding; the share itself is always inside.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))
