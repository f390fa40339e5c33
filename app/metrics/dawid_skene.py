"""How probable it is that a candidate fits, from who said so (Dawid and Skene 1979; two classes).

Each person has a sensitivity (the share of fitting candidates of which they say so) and a
specificity (the share of the others of which they say that they do not fit). Neither these nor the
truth is known: expectation and maximisation take turns, one estimated from the other.

What is known beforehand enters as counts, right answers of so many asked, which are added to those
of the votes. Without any this is the published method.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]

LEAST = 1e-10
"""No estimated share is smaller, so that one vote never outweighs all others without end."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Who said of which candidate that it fits: one entry per vote, people and candidates counted
    from 0."""

    candidate: Ints
    person: Ints
    fits: npt.NDArray[np.bool_]
    n_candidates: int
    n_people: int


@dataclass(frozen=True, slots=True)
class RightOfAsked:
    """Right answers of so many asked, where the truth was known: of each person, or of everybody.

    fitting: of candidates that fit. others: of those that do not.
    """

    fitting_right: Floats | float = 0.0
    fitting_asked: Floats | float = 0.0
    others_right: Floats | float = 0.0
    others_asked: Floats | float = 0.0

    def __add__(self, other: "RightOfAsked") -> "RightOfAsked":
        return RightOfAsked(
            self.fitting_right + other.fitting_right,
            self.fitting_asked + other.fitting_asked,
            self.others_right + other.others_right,
            self.others_asked + other.others_asked,
        )


NOTHING_KNOWN = RightOfAsked()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the votes make probable.

    `probability` has an entry per candidate, the two others one per person. A candidate without a
    vote has the share of fitting ones, a person without a vote what was known beforehand of them;
    where nothing is, their entries are nan.
    """

    probability: Floats
    sensitivity: Floats
    specificity: Floats
    share_fitting: float
    n_iterations: int
    log_likelihood: float
    """Of the votes, natural logarithm, under these estimates."""


def dawid_skene(
    votes: Votes,
    *,
    known: RightOfAsked = NOTHING_KNOWN,
    fitting_known: tuple[float, float] = (0.0, 0.0),
    max_iterations: int = 100,
    tolerance: float = 1e-6,
) -> Estimate:
    """Returns the estimate after `max_iterations`, or as soon as no probability moves by more than
    `tolerance`.

    The first guess is the share of a candidate's votes. known: what is counted beforehand of
    people. fitting_known: candidates that fit, of so many, counted beforehand into their share.
    Raises ValueError for numbers of candidates or people that are not there, or a negative count.
    """
    _check(votes, known, fitting_known)
    n_fits, n_votes = count_votes(votes)
    has_votes = n_votes > 0
    probability = np.divide(n_fits, n_votes, out=np.full(n_fits.size, 0.5), where=has_votes)
    said = votes.person.astype(np.int64) * 2 + votes.fits
    n_iterations = 0
    share = _share(probability, has_votes, fitting_known)
    errors = _said_of(votes, said, probability, known)
    for n_iterations in range(1, max_iterations + 1):  # noqa: B007 - how many were done
        updated = _probability(votes, said, share, errors)
        moved = float(np.abs(updated - probability)[has_votes].max(initial=0.0))
        probability = updated
        share = _share(probability, has_votes, fitting_known)
        errors = _said_of(votes, said, probability, known)
        if moved <= tolerance:
            break
    probability[~has_votes] = share
    return Estimate(
        probability=probability,
        sensitivity=errors[:, 1, 1],
        specificity=errors[:, 0, 0],
        share_fitting=share,
        n_iterations=n_iterations,
        log_likelihood=_log_likelihood(votes, said, share, errors, has_votes),
    )


def count_votes(votes: Votes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns, for each candidate, the votes that it fits and all votes."""
    return (
        np.bincount(votes.candidate[votes.fits], minlength=votes.n_candidates),
        np.bincount(votes.candidate, minlength=votes.n_candidates),
    )


def _check(votes: Votes, known: RightOfAsked, fitting_known: tuple[float, float]) -> None:
    sizes = {votes.candidate.size, votes.person.size, votes.fits.size}
    if len(sizes) != 1:
        raise ValueError(f"Votes with {votes.candidate.size} candidates have {sizes} entries.")
    for name, numbers, n in (
        ("candidate", votes.candidate, votes.n_candidates),
        ("person", votes.person, votes.n_people),
    ):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < n):
            raise ValueError(f"A vote names a {name} that is not among the {n}.")
    for right, asked in (
        (known.fitting_right, known.fitting_asked),
        (known.others_right, known.others_asked),
        fitting_known,
    ):
        if not np.all((np.asarray(right) >= 0) & (np.asarray(right) <= np.asarray(asked))):
            raise ValueError("Of what was asked, no more can be right, and nothing is negative.")


def _share(
    probability: Floats, has_votes: npt.NDArray[np.bool_], known: tuple[float, float]
) -> float:
    """Returns the share of candidates that fit, over those that have votes."""
    fitting, of = known
    n = int(has_votes.sum()) + of
    if n == 0:
        return 0.5
    share = (float(probability[has_votes].sum()) + fitting) / n
    return min(max(share, LEAST), 1 - LEAST)


def _said_of(
    votes: Votes, said: npt.NDArray[np.int64], probability: Floats, known: RightOfAsked
) -> Floats:
    """Returns the shares of (person, said that it fits, it fits): what people say of each kind."""
    of = probability[votes.candidate]
    n_said = np.bincount(said, minlength=2 * votes.n_people).reshape(-1, 2)
    fitting = np.bincount(said, weights=of, minlength=2 * votes.n_people).reshape(-1, 2)
    counts: Floats = np.stack([n_said - fitting, fitting], axis=-1).astype(np.float64)
    counts[:, 1, 1] += known.fitting_right
    counts[:, 0, 1] += np.asarray(known.fitting_asked) - known.fitting_right
    counts[:, 0, 0] += known.others_right
    counts[:, 1, 0] += np.asarray(known.others_asked) - known.others_right
    # What somebody never said stays impossible for them: it cannot be among their votes.
    is_possible = (n_said > 0)[:, :, None] | (counts > 0)
    counts = np.where(is_possible, np.maximum(counts, LEAST), 0.0)
    all_ = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(counts, all_, out=np.full(counts.shape, np.nan), where=all_ > 0)
    return shares


def _log_joint(
    votes: Votes, said: npt.NDArray[np.int64], share: float, errors: Floats, truth: int
) -> Floats:
    """Returns, for each candidate, the logarithm of its votes and of its being of this kind."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(errors[:, :, truth]).reshape(-1)  # entries without a vote are never read
    prior = np.log(share if truth else 1 - share)
    each = np.bincount(votes.candidate, weights=logs[said], minlength=votes.n_candidates)
    return np.asarray(prior + each)


def _probability(votes: Votes, said: npt.NDArray[np.int64], share: float, errors: Floats) -> Floats:
    fits = _log_joint(votes, said, share, errors, 1)
    others = _log_joint(votes, said, share, errors, 0)
    return np.asarray(np.exp(fits - np.logaddexp(fits, others)))


def _log_likelihood(
    votes: Votes,
    said: npt.NDArray[np.int64],
    share: float,
    errors: Floats,
    has_votes: npt.NDArray[np.bool_],
) -> float:
    fits = _log_joint(votes, said, share, errors, 1)
    others = _log_joint(votes, said, share, errors, 0)
    return min(float(np.logaddexp(fits, others)[has_votes].sum()), 0.0)  # but for rounding
