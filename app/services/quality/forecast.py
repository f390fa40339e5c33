"""How much judging a round still takes: hours of people, and days at the pace of the last ones.

The formulas and what they were tried on stand in docs/evidence.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist, fmean, pvariance, variance

from app.measures import Interval
from app.queries.rounds.pace import PersonPace

ENOUGH_DAYS = 3
"""From so many days on their spread says how far the end may be off."""

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class HoursLeft:
    """The judging that a round still takes, with its 95 % interval; None where one judgement alone
    was timed."""

    hours: float
    interval: Interval | None
    seconds_each: float
    n_timed: int
    n_people: int


@dataclass(frozen=True)
class EndOfJudging:
    """When judging would be over at the pace of the last days, and between which dates. The
    earliest and the latest are None before there are enough days."""

    at: datetime
    per_day: float
    n_days: int
    earliest: datetime | None = None
    latest: datetime | None = None


def forecast_hours(n_left: int, paces: Sequence[PersonPace]) -> HoursLeft | None:
    """Returns how long the judgements that are left will take; None where nobody was timed.

    The mean of each person counts as much as their share of the judgements. How far these means lie
    apart says how far the mean may be off, since others, or others more than before, may do the
    rest; and each of the judgements that are left takes its own time. Times are positive and
    skewed, so the interval is one of the logarithm.
    """
    timed = [pace for pace in paces if pace.n_submitted and sum(pace.seconds) > 0]
    if not timed:
        return None
    n_timed = sum(len(pace.seconds) for pace in timed)
    n_all = sum(pace.n_submitted for pace in timed)
    shares = [pace.n_submitted / n_all for pace in timed]
    means = [fmean(pace.seconds) for pace in timed]
    mean = sum(share * own for share, own in zip(shares, means, strict=True))
    hours = n_left * mean / 3600
    found = HoursLeft(hours, None, mean, n_timed, len(timed))
    if n_timed < 2 or not n_left:
        return found
    of_mean = _variance_of_mean(timed, shares, means, mean)
    of_one = sum(
        share * (pvariance(pace.seconds) + (own - mean) ** 2)
        for share, own, pace in zip(shares, means, timed, strict=True)
    )
    spread = _Z * math.sqrt(of_mean + of_one / n_left) / mean
    interval = hours * math.exp(-spread), hours * math.exp(spread)
    return HoursLeft(hours, interval, mean, n_timed, len(timed))


def _variance_of_mean(
    timed: Sequence[PersonPace], shares: Sequence[float], means: Sequence[float], mean: float
) -> float:
    """Returns the greater one: from how far people's means lie apart, or from the judgements of
    each alone, which is all there is where one person judges."""
    n = len(timed)
    within = sum(
        share**2 * variance(pace.seconds) / len(pace.seconds)
        for share, pace in zip(shares, timed, strict=True)
        if len(pace.seconds) > 1
    )
    if n == 1:
        return within
    squares = (share**2 * (own - mean) ** 2 for share, own in zip(shares, means, strict=True))
    return max(within, sum(squares) * n / (n - 1))


def forecast_end(
    n_left: int, by_day: Sequence[int], now: datetime, *, began_at: datetime
) -> EndOfJudging | None:
    """Returns when the judgements that are left would be there, at the pace of the last days; None
    where none was submitted in them.

    by_day: of each day back from now, the newest first, as `count_by_day` returns it. A first day
    that is not over counts as long as it is. began_at: when judging began.
    """
    n = sum(by_day)
    if not n:
        return None
    days = min(float(len(by_day)), (now - began_at) / timedelta(days=1))
    days = max(days, 1 / 24)
    per_day = n / days
    at = now + timedelta(days=n_left / per_day)
    whole = by_day[: int(days)]
    if len(whole) < ENOUGH_DAYS:
        return EndOfJudging(at, per_day, len(by_day))
    spread = _Z * math.sqrt(variance(whole) / len(whole)) / fmean(whole)
    return EndOfJudging(
        at=at,
        per_day=per_day,
        n_days=len(by_day),
        earliest=now + timedelta(days=n_left / per_day * math.exp(-spread)),
        latest=now + timedelta(days=n_left / per_day * math.exp(spread)),
    )
