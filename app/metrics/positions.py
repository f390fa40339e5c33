"""Whether people pick a candidate for where it stands, and not for what it says.

Everybody sees the candidates of an item in a random order of their own. So, however good they are,
a candidate that is picked stood at every position with the same probability, and shuffling the
positions within each answer shows how uneven picks over positions can be by chance alone. Those
shuffles are drawn for all answers with as many candidates and as many picks at once, as counts, so
that the test costs the same for a hundred answers and for a million.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.measures import LEVEL

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

N_SHUFFLES = 2000
PEOPLE_AT_ONCE = 50


@dataclass(frozen=True)
class Effect:
    """The position at which picks are most unlike what the random order explains, from 0 on.

    seen, expected: the share of the candidates that stood there and were picked, and the share that
    would be, did positions not matter.
    """

    position: int
    seen: float
    expected: float

    @property
    def ratio(self) -> float:
        """Returns how many times as often as expected a candidate is picked there."""
        return self.seen / self.expected


@dataclass(frozen=True)
class PersonPositions:
    """How one person's picks lie over the positions.

    p: of the person alone. p_among: of being this uneven for anybody of the round; it is small by
    chance for one of many people as rarely as for one of two.
    """

    person: int
    n: int
    effect: Effect
    p: float
    p_among: float


@dataclass(frozen=True)
class PositionTest:
    """The test of a round. n: answers from which something can be learned: those that pick some,
    but not all. With none of these the rest is empty, and p is None. p_together: of all people
    taken together, as `p_among` of one; p is the least of all these."""

    n: int
    p: float | None
    p_together: float | None
    effect: Effect | None
    people: tuple[PersonPositions, ...]

    @property
    def is_biased(self) -> bool:
        """Whether positions matter, at the level of 5 %."""
        return self.p is not None and self.p < LEVEL


def check_positions(
    judgement: Ints,
    person: Ints,
    position: Ints,
    picked: npt.NDArray[np.bool_],
    *,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> PositionTest:
    """Returns the test of a round, over entries for each candidate that somebody saw.

    judgement: which answer an entry belongs to. person: whose it is, numbered from 0 on.
    position: where the candidate stood, from 0 on. picked: whether it was.

    The picks of all together and those of each person are compared with the same shuffles. What
    stands out most, of all these, decides: so a habit that everybody has a little of is found, and
    so is one that only one person has.
    """
    n_shown = np.bincount(judgement)
    n_picked = np.bincount(judgement, weights=picked).astype(np.int64)
    tells = (n_picked > 0) & (n_picked < n_shown)
    if not tells.any():
        return PositionTest(0, None, None, None, ())
    whose = np.zeros(len(n_shown), dtype=np.int64)
    whose[judgement] = person
    ids, number = np.unique(whose[tells], return_inverse=True)
    kept = tells[judgement]
    n_positions = int(position[kept].max()) + 1
    seen = np.zeros((len(ids), n_positions))
    taken = kept & picked
    np.add.at(seen, (np.searchsorted(ids, person[taken]), position[taken]), 1)
    stood = np.zeros((len(ids), n_positions))
    np.add.at(stood, (np.searchsorted(ids, person[kept]), position[kept]), 1)

    # (people, candidates, picks): how many answers are alike in this.
    alike = np.zeros((len(ids), n_positions + 1, n_positions + 1), dtype=np.int64)
    np.add.at(alike, (number, n_shown[tells], n_picked[tells]), 1)
    expected = _expected(alike)
    generator = np.random.default_rng(seed)
    own = np.empty((n_shuffles + 1, len(ids)))
    together = np.zeros((n_shuffles, n_positions))
    for start in range(0, len(ids), PEOPLE_AT_ONCE):
        some = slice(start, start + PEOPLE_AT_ONCE)
        shuffled = _shuffled(alike[some], n_shuffles, generator)
        together += shuffled.sum(axis=1)
        own[:-1, some] = _unevenness(shuffled, expected[some])
        own[-1, some] = _unevenness(seen[some], expected[some])
    all_ = _unevenness(np.vstack([together, seen.sum(axis=0)]), expected.sum(axis=0))
    scores = _standardised(np.column_stack([all_, own]))
    most = scores.max(axis=1)
    return PositionTest(
        n=int(tells.sum()),
        p=_p(most, most[-1]),
        p_together=_p(most, scores[-1, 0]),
        effect=_effect(seen.sum(axis=0), expected.sum(axis=0), stood.sum(axis=0)),
        people=tuple(
            PersonPositions(
                person=int(id_),
                n=int(alike[row].sum()),
                effect=_effect(seen[row], expected[row], stood[row]),
                p=_p(own[:, row], own[-1, row]),
                p_among=_p(most, scores[-1, row + 1]),
            )
            for row, id_ in enumerate(ids)
        ),
    )


def _expected(alike: Ints) -> Floats:
    """(people, positions): picks at each position, did it not matter."""
    n_people, size, _ = alike.shape
    expected = np.zeros((n_people, size - 1))
    for n_shown in range(1, size):
        picks = alike[:, n_shown] @ np.arange(size)
        expected[:, :n_shown] += picks[:, None] / n_shown
    return expected


def _shuffled(alike: Ints, n_shuffles: int, generator: np.random.Generator) -> Ints:
    """(shuffles, people, positions): picks at each position, with the positions of each answer
    shuffled.

    From the first position on: of the answers that have m picks left for n positions, a share of
    m/n picks this one. So it needs the counts alone.
    """
    n_people, size, _ = alike.shape
    counts = np.zeros((n_shuffles, n_people, size - 1), dtype=np.int64)
    for n_shown in range(1, size):
        left = np.broadcast_to(alike[:, n_shown], (n_shuffles, n_people, size)).copy()
        if not left.any():
            continue
        for position in range(n_shown):
            most = n_shown - position  # as many picks can be left
            left = left[:, :, : most + 1]
            here = generator.binomial(left, np.arange(most + 1) / most)
            counts[:, :, position] += here.sum(axis=2)
            left -= here
            left[:, :, :-1] += here[:, :, 1:]
    return counts


def _unevenness(seen: Floats | Ints, expected: Floats) -> Floats:
    """The squared distances from what is expected, in units of that, over the positions."""
    safe = np.where(expected > 0, expected, 1.0)
    distances: Floats = ((seen - expected) ** 2 / safe).sum(axis=-1)
    return distances


def _standardised(found: Floats) -> Floats:
    """Each column in its own standard deviations, so that columns can be compared."""
    spread = found.std(axis=0)
    scores: Floats = (found - found.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scores


def _p(shuffled: Floats, seen: float) -> float:
    """The share of the shuffles, the answers as they are among them, that are as uneven. Their own
    row is the last of `shuffled`."""
    return float((shuffled >= seen - 1e-9).mean())


def _effect(seen: Floats, expected: Floats, stood: Floats) -> Effect:
    position = int(np.argmax((seen - expected) ** 2 / np.where(expected > 0, expected, np.inf)))
    return Effect(
        position=position,
        seen=float(seen[position] / stood[position]),
        expected=float(expected[position] / stood[position]),
    )
