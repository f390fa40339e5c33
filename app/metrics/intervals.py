"""Intervals: Wilson for shares, the percentile bootstrap for everything else."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]


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


def bootstrap_interval(
    n_items: int,
    statistic: Callable[[npt.NDArray[np.int64]], float],
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Returns the percentile interval (Efron 1979) of `statistic` over resamples of the item
    numbers.

    `statistic` gets an array of `n_items` item numbers, drawn with replacement. None for fewer
    than two items: nothing can be said.
    """
    if n_items < 2:
        return None
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, n_items, size=n_items)) for _ in range(n_resamples)]
    return _percentiles(np.array(values), confidence)


def bootstrap_mean_interval(
    values: Sequence[float],
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Returns the percentile bootstrap interval of the mean of per-item values; None for fewer than
    two.
    """
    numbers = np.asarray(values, dtype=np.float64)
    return bootstrap_interval(
        len(numbers),
        lambda items: float(numbers[items].mean()),
        n_resamples=n_resamples,
        confidence=confidence,
        seed=seed,
    )


def _percentiles(values: npt.NDArray[np.float64], confidence: float) -> Interval:
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
