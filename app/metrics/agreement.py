"""How far people agree on verdicts and on picks, corrected for what chance alone would bring.

Everything is computed from compact arrays with one entry per verdict, or per person and item. A
measure that the data cannot give has no value but a reason. Intervals come from resampling items,
since the verdicts on one item hang together; the same data always gives the same interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import krippendorff
import numpy as np
import numpy.typing as npt

from app.measures import Undefined
from app.metrics.resampling import (
    N_RESAMPLES,
    Bools,
    Floats,
    Ints,
    Measured,
    Resampling,
    divided,
    draws,
    with_interval,
)


@dataclass(frozen=True)
class Verdicts:
    """One entry per verdict. `item`, `person` and `candidate` are numbers from 0 on."""

    item: Ints
    person: Ints
    candidate: Ints
    fits: Bools

    def __len__(self) -> int:
        return len(self.fits)


@dataclass(frozen=True)
class Picks:
    """One entry per person and item: the picked candidates of the item as bits of `picked`."""

    item: Ints
    person: Ints
    picked: Ints

    def __len__(self) -> int:
        return len(self.picked)


@dataclass(frozen=True)
class VerdictAgreement:
    """What people's verdicts on single candidates say of their agreement."""

    alpha: Measured
    """Krippendorff's, nominal."""
    fleiss: Measured
    """Of the candidates that the most frequent number of people judged."""
    cohen: Measured
    share_same: Measured
    """Of two people who judged the same candidate, how often they say the same."""
    share_by_chance: float | None
    """The share that people have who pick as often, but at random."""
    picked_share: float | None


# --- Verdicts -------------------------------------------------------------------------------


def measure_verdicts(
    verdicts: Verdicts, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> VerdictAgreement:
    """Returns alpha, both kappas and the share of equal verdicts, each with its interval."""
    picked = float(verdicts.fits.mean()) if len(verdicts) else None
    why = _why_undefined(verdicts.person, verdicts.candidate, verdicts.fits)
    if picked is None or why in (Undefined.ONE_PERSON, Undefined.NO_OVERLAP):
        none = Measured(undefined=why)
        return VerdictAgreement(none, none, none, none, None, picked)
    resampling = Resampling(n_resamples, seed)
    votes = _Votes.of(verdicts)
    return VerdictAgreement(
        alpha=_alpha_of(votes, resampling, why),
        fleiss=_fleiss_of(votes, resampling),
        cohen=_cohen_of(verdicts, resampling),
        share_same=resampling.measure(votes.item, (votes.share_same, votes.ones), divided),
        share_by_chance=picked**2 + (1 - picked) ** 2,
        picked_share=picked,
    )


def resample_alpha(verdicts: Verdicts, *, n_resamples: int = N_RESAMPLES, seed: int) -> Floats:
    """Returns the three sums from which alpha follows, as they are and for each resample of the
    items, as (1 + resamples, 3). Sums of several rounds add up to those of all of them."""
    votes = _Votes.of(verdicts)
    if not len(votes.n):
        return np.zeros((1 + n_resamples, 3))
    _, number = np.unique(votes.item, return_inverse=True)
    columns = (votes.apart / (votes.n - 1), votes.n_fits, votes.n)
    per_item = np.stack([np.bincount(number, weights=column) for column in columns], axis=1)
    drawn = [weights @ per_item for weights in draws(len(per_item), n_resamples, seed)]
    return np.vstack([per_item.sum(axis=0), *drawn])


def pool_alpha(sums: Sequence[Floats]) -> Measured:
    """Returns alpha over several rounds, from what `resample_alpha` gave for each of them.

    n: the verdicts on candidates that two or more people judged.
    """
    all_ = np.sum(sums, axis=0)
    n = int(all_[0, 2])
    if not n:
        return Measured(undefined=Undefined.NO_OVERLAP)
    alphas = _alpha(*all_.T)
    if not np.isfinite(alphas[0]):
        return Measured(n=n, undefined=Undefined.ALL_SAME)
    return replace(with_interval(float(alphas[0]), alphas[1:], n), n=n)


def measure_people(
    verdicts: Verdicts, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Mapping[int, Measured]:
    """Returns how far each person agrees with the others: alpha over the pairs that they are part
    of, where each candidate that somebody else judged too counts once."""
    if not len(verdicts):
        return {}
    n_votes = np.bincount(verdicts.candidate)[verdicts.candidate]
    n_fits = np.bincount(verdicts.candidate, weights=verdicts.fits)[verdicts.candidate]
    own = verdicts.fits.astype(np.float64)
    others = (n_fits - own) / np.maximum(n_votes - 1, 1)
    apart = np.abs(own - others)
    people = np.unique(verdicts.person)
    resampling = Resampling(n_resamples, seed)
    found: dict[int, Measured] = {}
    for person in people.tolist():
        mine = (verdicts.person == person) & (n_votes >= 2)
        if mine.any():
            columns = (2 * apart[mine], own[mine] + others[mine], np.full(mine.sum(), 2.0))
            found[person] = resampling.measure(verdicts.item[mine], columns, _alpha)
        else:
            why = Undefined.ONE_PERSON if len(people) == 1 else Undefined.NO_OVERLAP
            found[person] = Measured(undefined=why)
    return found


@dataclass(frozen=True)
class _Votes:
    """The candidates that two or more people judged, one entry for each."""

    item: Ints
    n_fits: Floats
    n: Floats

    @classmethod
    def of(cls, verdicts: Verdicts) -> "_Votes":
        n: Floats = np.bincount(verdicts.candidate).astype(np.float64)
        n_fits: Floats = np.bincount(verdicts.candidate, weights=verdicts.fits).astype(np.float64)
        item = np.zeros(len(n), dtype=np.int64)
        item[verdicts.candidate] = verdicts.item
        shared = n >= 2
        return cls(item[shared], n_fits[shared], n[shared])

    @property
    def apart(self) -> Floats:
        """Ordered pairs of different verdicts."""
        return 2 * self.n_fits * (self.n - self.n_fits)

    @property
    def share_same(self) -> Floats:
        """The share of the pairs that are of equal verdicts."""
        return 1 - self.apart / (self.n * (self.n - 1))

    @property
    def ones(self) -> Floats:
        return np.ones(len(self.n))


def _alpha_of(votes: _Votes, resampling: Resampling, why: Undefined | None) -> Measured:
    """Krippendorff's alpha: its value from the package of that name, its interval from counts."""
    if why is not None:
        return Measured(n=len(votes.n), undefined=why)
    counts = np.stack([votes.n - votes.n_fits, votes.n_fits], axis=1).astype(np.int64)
    value = float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
    columns = (votes.apart / (votes.n - 1), votes.n_fits, votes.n)
    return resampling.measure(votes.item, columns, _alpha, value=value)


def _fleiss_of(votes: _Votes, resampling: Resampling) -> Measured:
    """Fleiss' kappa, which asks for as many verdicts on each candidate."""
    usual = votes.n == np.bincount(votes.n.astype(np.int64)).argmax()
    columns = (votes.share_same, votes.n_fits, votes.n, votes.ones)
    return resampling.measure(
        votes.item[usual],
        tuple(column[usual] for column in columns),
        lambda same, fits, all_, units: _kappa(
            divided(same, units), _by_chance(divided(fits, all_), divided(fits, all_))
        ),
    )


def _cohen_of(verdicts: Verdicts, resampling: Resampling) -> Measured:
    first, last = verdicts.person.min(), verdicts.person.max()
    if not ((verdicts.person == first) | (verdicts.person == last)).all():
        return Measured(undefined=Undefined.NOT_TWO)
    said = np.full((2, int(verdicts.candidate.max()) + 1), -1.0)
    said[(verdicts.person == last).astype(np.int64), verdicts.candidate] = verdicts.fits
    item = np.zeros(said.shape[1], dtype=np.int64)
    item[verdicts.candidate] = verdicts.item
    both = (said >= 0).all(axis=0)
    one, other = said[:, both]
    return resampling.measure(
        item[both],
        (one == other, one, other, np.ones(len(one))),
        lambda same, one, other, n: _kappa(
            divided(same, n), _by_chance(divided(one, n), divided(other, n))
        ),
    )


def _alpha(apart: Floats, fits: Floats, n: Floats) -> Floats:
    """From sums over candidates: pairs apart over one less than the verdicts, those that say that
    it fits, and all."""
    return 1 - divided(divided(apart, n), divided(2 * fits * (n - fits), n * (n - 1)))


def _kappa(share_same: Floats, by_chance: Floats) -> Floats:
    return 1 - divided(1 - share_same, 1 - by_chance)


def _by_chance(one: Floats, other: Floats) -> Floats:
    return one * other + (1 - one) * (1 - other)


# --- Picks ----------------------------------------------------------------------------------


def measure_picks(picks: Picks, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Measured:
    """Returns alpha over whole answers to an item, by the MASI distance between the picked sets.

    Chance is a set that somebody picked anywhere, with candidates known by their number in their
    item. That number must therefore say nothing of the candidate.
    """
    sets, value = np.unique(picks.picked, return_inverse=True)
    why = _why_undefined(picks.person, picks.item, value)
    if why is not None:
        return Measured(undefined=why)
    shared = np.flatnonzero(np.bincount(picks.item)[picks.item] >= 2)
    order = shared[np.argsort(picks.item[shared], kind="stable")]
    _, item = np.unique(picks.item[order], return_inverse=True)
    value, distance = value[order], masi_distances(sets)
    apart, n_votes = _apart_within(item, value, distance), np.bincount(item)

    def alpha(weights: Floats) -> Floats:
        counts = np.bincount(value, weights=weights[item], minlength=len(sets))
        n = counts.sum()
        # An answer that was drawn twice is not two people who agree.
        n_pairs = n * (n - 1) - (weights * (weights - 1) * n_votes).sum()
        by_chance = counts @ distance @ counts / n_pairs
        return 1 - divided((weights * apart).sum() / n, by_chance)

    resampled = [alpha(weights) for weights in draws(len(apart), n_resamples, seed)]
    return with_interval(float(alpha(np.ones(len(apart)))), np.array(resampled), len(apart))


def masi_distances(sets: Ints) -> Floats:
    """Returns the distances between sets of bits (Passonneau 2006): 1 less the share that they have
    in common of their union, times 1 for equal sets, 2/3 where one holds the other, 1/3 where they
    overlap, and 0 otherwise. Two empty sets are equal."""
    both = np.bitwise_count(sets[:, None] & sets[None, :]).astype(np.float64)
    any_ = np.bitwise_count(sets[:, None] | sets[None, :]).astype(np.float64)
    size = np.bitwise_count(sets).astype(np.float64)
    smaller = np.minimum(size[:, None], size[None, :])
    is_same = sets[:, None] == sets[None, :]
    kind = np.select([is_same, (both == smaller) & (both > 0), both > 0], [1, 2 / 3, 1 / 3], 0)
    return np.where(is_same, 0.0, 1 - kind * both / np.maximum(any_, 1))


def _apart_within(item: Ints, value: Ints, distance: Floats) -> Floats:
    """Per item, the sum of the distances of its pairs, both ways, over one less than its answers.

    Entries of an item stand together.
    """
    n_votes = np.bincount(item)
    first = np.concatenate([[0], np.cumsum(n_votes)[:-1]])
    apart = np.zeros(len(n_votes))
    for size in np.unique(n_votes):
        rows = np.flatnonzero(n_votes == size)
        values = value[first[rows][:, None] + np.arange(size)]
        for one in range(size):
            for other in range(one):
                apart[rows] += 2 * distance[values[:, one], values[:, other]]
        apart[rows] /= size - 1
    return apart


# --- Shared ---------------------------------------------------------------------------------


def _why_undefined(person: Ints, unit: Ints, value: npt.NDArray[np.generic]) -> Undefined | None:
    if not len(value):
        return Undefined.NOTHING
    if (person == person[0]).all():
        return Undefined.ONE_PERSON
    is_shared = np.bincount(unit)[unit] >= 2
    if not is_shared.any():
        return Undefined.NO_OVERLAP
    values = value[is_shared]
    return Undefined.ALL_SAME if (values == values[0]).all() else None
