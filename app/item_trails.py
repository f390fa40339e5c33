"""How an item fared in each round of its project: a letter for each, in the order of the rounds."""

from enum import StrEnum


class Fared(StrEnum):
    """How an item fared in one round; the letter that its trail has there.

    Of a train item it is whether something of it is admitted; of a measured item whether the
    model's rationale fits.
    """

    REGRESSED = "r"
    """A measured item that ceased to fit."""
    SET_ASIDE = "s"
    UNCOVERED = "u"
    """Judged, and nothing admitted so far; measured, and it does not fit."""
    OPEN = "o"
    """Not judged by enough people yet, and nothing admitted so far."""
    IMPROVED = "i"
    """Newly covered, or it began to fit."""
    COVERED = "c"
    """Covered before, too; it fits, as it did before."""
    RESTING = "z"
    ABSENT = "-"
    """Not part of the round, or not measured in it."""


ORDER = {fared.value: number for number, fared in enumerate(Fared)}
"""The place of each letter where items are sorted: what needs a look comes first."""


def rank_of(trail: str) -> tuple[int, ...]:
    """Returns where a trail stands among others: by the last round first, then the one before."""
    return tuple(ORDER[letter] for letter in reversed(trail))
