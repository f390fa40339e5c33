"""A person's score on check items: sensitivity + specificity - 1, Youden's J (Youden 1950).

1 is who says of every candidate what is expected, 0 is who says the same of those that fit and of
those that do not: random clicking, always the same place, everything, nothing.
"""

import math
from dataclasses import dataclass

from app.measures import Interval, wilson_interval


@dataclass(frozen=True)
class CheckCounts:
    """How often a person was right about check items.

    Of `n_fit` candidates that fit they picked `n_hits`, and of `n_misfit` that do not they left out
    `n_rejected`. `n_items`: so many items it was.
    """

    n_items: int
    n_hits: int
    n_fit: int
    n_rejected: int
    n_misfit: int

    def __post_init__(self) -> None:
        if not (0 <= self.n_hits <= self.n_fit and 0 <= self.n_rejected <= self.n_misfit):
            raise ValueError(f"no counts of check items: {self}")


@dataclass(frozen=True)
class CheckScore:
    """A score between -1 and 1, with its 95 % interval and its two parts."""

    value: float
    interval: Interval
    sensitivity: float
    specificity: float

    def is_surely_below(self, floor: float) -> bool:
        """Whether even the upper end of the interval lies below."""
        return self.interval[1] < floor


def score_checks(counts: CheckCounts) -> CheckScore | None:
    """Returns the score; None where nothing that fits, or nothing that does not, was judged.

    The interval joins the Wilson intervals of the two shares (Newcombe 1998, method 10). It takes
    the verdicts on one item for independent of each other, so it is somewhat narrow.
    """
    if not counts.n_fit or not counts.n_misfit:
        return None
    hit, rejected = counts.n_hits / counts.n_fit, counts.n_rejected / counts.n_misfit
    hit_low, hit_high = wilson_interval(counts.n_hits, counts.n_fit)
    rejected_low, rejected_high = wilson_interval(counts.n_rejected, counts.n_misfit)
    value = hit + rejected - 1
    low = value - math.hypot(hit - hit_low, rejected - rejected_low)
    high = value + math.hypot(hit_high - hit, rejected_high - rejected)
    return CheckScore(value, (max(-1.0, low), min(1.0, high)), hit, rejected)
