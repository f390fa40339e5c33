"""Decides which questions people found useless, which observations untrue, and what they say is to
be seen instead."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.same_text import text_key

Look = tuple[int, str, str]
"""An item, the key of what was asked, and that of what was observed; "" where that does not matter.
"""


def look_of(item_id: int, asked: str, observed: str) -> Look:
    """Returns what tells a look from others: the same words about the same item are the same look,
    whichever draw they stand in."""
    return item_id, text_key(asked), text_key(observed) if observed else ""


@dataclass(frozen=True)
class SaidOfLook:
    """What one person marked in a sampled monologue: that a question is useful or useless, or that
    an observation is true or untrue. `is_wanted`: useful, or true. `observed`: "" where the
    question is meant. `correction`: what they see instead, "" where they do not say."""

    user_id: int
    judgement_id: int
    sample_id: int
    turn: int
    item_id: int
    asked: str
    observed: str
    is_wanted: bool
    correction: str = ""

    @property
    def look(self) -> Look:
        return look_of(self.item_id, self.asked, self.observed)


@dataclass(frozen=True)
class UnwantedLook:
    """A look whose question people found useless, or whose observation untrue: a place where one of
    them says so, and where what is to be seen instead was written, if anybody wrote it."""

    said: SaidOfLook
    corrected: SaidOfLook | None


def find_unwanted(said: Iterable[SaidOfLook]) -> list[UnwantedLook]:
    """Returns the looks that at least as many people call useless as useful, or untrue as true, in
    a fixed order.

    Who corrects an observation calls it untrue, whatever they mark beside it, and who says nothing
    of it has no voice: they accepted a rationale, and need not have opened its looks. A tie is no
    majority for an observation, as it is none for a rationale: an observer can do without one
    example, and learns from a false one to see what is not there. Each person has one voice, in
    the newest of their judgements that says something.

    Of several corrections the one that most people wrote stands, the first of these where they
    are as many: one question about a picture is not taught with two answers.
    """
    by_look: dict[Look, list[SaidOfLook]] = defaultdict(list)
    for one in sorted(said, key=lambda one: (one.judgement_id, one.sample_id, one.turn)):
        by_look[one.look].append(one)
    return [
        UnwantedLook(against[0], _choose(against))
        for everything in by_look.values()
        if (against := _against(everything))
    ]


def _against(said: Sequence[SaidOfLook]) -> list[SaidOfLook]:
    """Returns what is said against a look; nothing where more people are for it."""
    newest = {one.user_id: one.judgement_id for one in said}
    against = [one for one in said if newest[one.user_id] == one.judgement_id and not one.is_wanted]
    n_against = len({one.user_id for one in against})
    return against if 2 * n_against >= len(newest) else []


def _choose(against: Sequence[SaidOfLook]) -> SaidOfLook | None:
    writers: dict[str, set[int]] = defaultdict(set)
    first: dict[str, SaidOfLook] = {}
    for one in against:
        if one.correction:
            writers[text_key(one.correction)].add(one.user_id)
            first.setdefault(text_key(one.correction), one)
    return first[max(writers, key=lambda key: len(writers[key]))] if writers else None
