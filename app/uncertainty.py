"""Measures how unsure people and the model are about an item, for the order `uncertainty`.

All are pure functions of counts.

- `spread`: of an item that fewer than two people judged, how much the model's draws differ.
- `disagreement`: of one that at least two judged, how much their verdicts differ.
- `is_contested`: whether they differ so much that one more person is asked.

An item's priority in the queue is one of a few levels, so that the queue stays cheap, and so that
items that are about equally uncertain come in a random order.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

N_LEVELS = 16
CONTESTED_SHARE = 1 / 3


@dataclass(frozen=True)
class ItemVotes:
    """The votes that people submitted about an item.

    `fits`: per shown candidate (how many say that it fits, how many say anything about it).
    """

    n_submitted: int
    n_wrong: int
    fits: tuple[tuple[int, int], ...]

    @property
    def questions(self) -> list[tuple[int, int]]:
        """(yes, all) of each question people answered: is the answer wrong, does each one fit."""
        return [(self.n_wrong, self.n_submitted), *self.fits]


def spread(n_draws: Iterable[int]) -> float:
    """Returns the entropy of the draws over the distinct texts, as a share of the largest there
    could be.

    0: every draw gave the same text; 1: each another one.
    """
    counts = [n for n in n_draws if n > 0]
    total = sum(counts)
    if total < 2:
        return 0.0
    entropy = -sum(n / total * math.log(n / total) for n in counts)
    return entropy / math.log(total)


def disagreement(votes: ItemVotes) -> float:
    """Returns the mean over the questions of 4 p (1 - p), p the share of yes: 0 all agree, 1 all
    are split.
    """
    shares = [yes / n for yes, n in votes.questions if n]
    return sum(4 * share * (1 - share) for share in shares) / len(shares) if shares else 0.0


def is_contested(votes: ItemVotes) -> bool:
    """Whether on some question more than a third sees it otherwise than the rest.

    1 against 1 and 2 against 3 are contested, 1 against 2 is not.
    """
    return any(n and min(yes, n - yes) / n > CONTESTED_SHARE for yes, n in votes.questions)


def untouched_priority(n_draws: Iterable[int]) -> float:
    """Returns the priority of an item that people have not judged yet, in [0, 1]."""
    return _level(spread(n_draws))


def judged_priority(votes: ItemVotes) -> float:
    """Returns the priority of an item with two submissions or more: before all others where they
    differ, after all others where they agree.
    """
    found = disagreement(votes)
    return 1 + _level(found) if found else -1.0


def _level(value: float) -> float:
    """The value, cut to one of N_LEVELS + 1 levels."""
    return math.floor(value * N_LEVELS) / N_LEVELS
