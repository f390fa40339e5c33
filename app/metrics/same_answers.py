"""Whether somebody says the same many times in a row, faster than anybody reads.

Either alone is no reason to doubt anybody: few candidates may fit, and people who know a scene are
quick. So both have to hold for each answer of a run, and the run has to be longer than chance makes
it. The order in which a person sees candidates is random, so how probable it is to pick the same
places again is known exactly. How probable all or none is, others say: where somebody else said so
of the same item, it counts for nothing; elsewhere it counts as often as others say so.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_RUN = 8
"""A shorter run is never named."""
RARE = 0.001
"""So few such runs may be expected by chance, among all people of a round, where one is named."""

ALL, NONE = -1, -2
"""Patterns of answers that pick everything, or nothing; the others are the places picked, as
bits."""


@dataclass(frozen=True)
class Answers:
    """The answers of a round: who said what of which item, when, and whether faster than people can
    skim. picked: the places that were picked of `n_shown`, as bits.
    """

    person: Ints
    item: Ints
    at: Floats
    n_shown: Ints
    picked: Ints
    is_fast: Flags


@dataclass(frozen=True)
class Run:
    """Answers in a row, by their number, that one person gave fast and always the same.

    by_chance: how many runs like this, or longer, are expected in the round from people who read.
    """

    person: int
    pattern: int
    answers: Ints
    by_chance: float


def find_runs(answers: Answers) -> list[Run]:
    """Returns the runs that chance does not explain, person by person."""
    if not len(answers.person):
        return []
    pattern = _patterns(answers)
    log_chance = _chances(answers, pattern)
    order = np.lexsort((answers.at, answers.person))
    person, kind, is_fast = answers.person[order], pattern[order], answers.is_fast[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (
        (person[1:] != person[:-1]) | (kind[1:] != kind[:-1]) | (is_fast[1:] != is_fast[:-1])
    )
    first = np.flatnonzero(is_new)
    last = np.append(first[1:], len(order))
    n_answers = np.bincount(answers.person)
    n_people = np.count_nonzero(n_answers)
    found = []
    for begin, end in zip(first, last, strict=True):
        if not is_fast[begin] or end - begin < LEAST_RUN:
            continue
        # The first answer only says what the pattern is.
        log_run = log_chance[order[begin + 1 : end]].sum()
        by_chance = n_people * n_answers[person[begin]] * math.exp(log_run)
        if by_chance < RARE:
            found.append(Run(int(person[begin]), int(kind[begin]), order[begin:end], by_chance))
    return found


def _patterns(answers: Answers) -> Ints:
    pattern = answers.picked.copy()
    pattern[answers.picked == (1 << answers.n_shown) - 1] = ALL
    pattern[answers.picked == 0] = NONE
    return pattern


def _chances(answers: Answers, pattern: Ints) -> Floats:
    """Returns the logarithm of how probable it is, by chance, that an answer has its pattern."""
    n_shown = answers.n_shown
    n_picked = np.bitwise_count(answers.picked).astype(np.int64)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n_shown.max() + 1)))])
    log_chance: Floats = -(
        log_factorial[n_shown] - log_factorial[n_picked] - log_factorial[n_shown - n_picked]
    )
    n_own = np.bincount(answers.person)[answers.person]
    for kind in (ALL, NONE):
        says = pattern == kind
        by_others = np.bincount(answers.item, says)[answers.item] - says
        own = np.bincount(answers.person, says)[answers.person]
        share = (says.sum() - own + 1) / (len(says) - n_own + 2)
        log_chance[says] = np.where(by_others > 0, 0.0, np.log(share))[says]
    return log_chance
