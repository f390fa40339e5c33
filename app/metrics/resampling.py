"""Measures of sums over candidates, with intervals from resampling items, since the verdicts on one
item hang together; the same data always gives the same interval."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from app.measures import Undefined

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

N_RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """A measure with its interval, over `n` candidates or items that two or more people judged.

    value: None where `undefined` says why. low, high: None where an interval cannot be given.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    undefined: Undefined | None = None


@dataclass(frozen=True)
class Resampling:
    """Measures sums over candidates, and the same over resamples of their items."""

    n_resamples: int = N_RESAMPLES
    seed: int = 0

    def measure(
        self,
        item: Ints,
        columns: Sequence[npt.NDArray[np.generic]],
        of: Callable[..., Floats],
        *,
        value: float | None = None,
    ) -> Measured:
        """Returns what `of` makes of the sums of the columns, which have one entry per candidate.

        item: the item of each candidate. value: the measure itself, where it is known already.
        """
        _, number = np.unique(item, return_inverse=True)
        per_item = np.stack([np.bincount(number, weights=column) for column in columns], axis=1)
        if value is None:
            value = float(of(*per_item.sum(axis=0)))
        if not np.isfinite(value):
            return Measured(n=len(item), undefined=Undefined.ALL_SAME)
        sums = [drawn @ per_item for drawn in draws(len(per_item), self.n_resamples, self.seed)]
        found = with_interval(value, of(*np.array(sums).T), len(per_item))
        return replace(found, n=len(item))


def draws(n_items: int, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yields how often each item is drawn, for one resample after the other."""
    generator = np.random.default_rng(seed)
    for _ in range(n_resamples):
        drawn = generator.integers(0, n_items, size=n_items)
        yield np.bincount(drawn, minlength=n_items).astype(np.float64)


def with_interval(value: float, resampled: Floats, n_items: int) -> Measured:
    """Returns a value with its percentile interval (Efron 1979), from what resamples gave.

    Without one for a single item, and where one resample in ten has no value: what is left of them
    would look too sure.
    """
    finite = resampled[np.isfinite(resampled)]
    if n_items < 2 or len(finite) < 0.9 * len(resampled):
        return Measured(value, n=n_items)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(finite, [tail, 100 - tail])
    # The value itself is inside, also where all resamples give the same up to rounding.
    return Measured(value, min(float(low), value), max(float(high), value), n_items)


def divided(above: Floats, below: Floats) -> Floats:
    """Returns the quotient, and nan where nothing is divided by."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
