"""Intervals by the percentile bootstrap; that of a share is in app/shares.py."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from app.measures import Interval


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
