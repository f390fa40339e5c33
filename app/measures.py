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


def paired_interval(n_began: int, n_ceased: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Returns the interval of the change of a share over the same n trials, of which some began and
    some ceased to hold (Agresti and Min 2005: half a trial is added to each of the four kinds).
    """
    if n_began + n_ceased > n or min(n_began, n_ceased) < 0:
        raise ValueError(f"{n_began} and {n_ceased} of {n}")
    began, ceased, all_ = n_began + 0.5, n_ceased + 0.5, n + 2
    centre = (began - ceased) / all_
    spread = began + ceased - (began - ceased) ** 2 / all_
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(spread) / all_
    return max(-1.0, centre - half), min(1.0, centre + half)


def mean_interval(
    mean: float, deviation: float, n: int, *, confidence: float = 0.95
) -> Interval | None:
    """Returns the interval of a mean by the normal distribution; None for fewer than two values."""
    if n < 2:
        return None
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * deviation / math.sqrt(n)
    return mean - half, mean + half
