"""Whether statements hold, in many worlds at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

import numpy as np

from app.scenes.questions import Description, NeighbourQuery, Query
from app.scenes.scene import ATTRIBUTES
from app.scenes.statements import (
    ALL_CELLS,
    Beside,
    ComparesCounts,
    ComparesSizes,
    Exists,
    Line,
    Mention,
    OneAndOther,
    PairSays,
    Phrase,
    Predicate,
    Pronoun,
    Quantifier,
    Says,
    SharesLine,
    SharesValue,
    Statement,
)
from app.scenes.worlds import Flags, Ints, Worlds, asked_sets, count, line, region

_WHOLE: Final = frozenset({Quantifier.THE, Quantifier.THE_ALL, Quantifier.ALL, Quantifier.EACH_OF})


@dataclass(frozen=True, slots=True)
class Referents:
    """What pronouns stand for: the question's thing or things, and its pair if it has one."""

    asked: Phrase
    pair: tuple[Phrase, Phrase] | None


def phrase_of(target: Description) -> Phrase:
    cells = sum(
        1 << cell
        for cell in range(ALL_CELLS.bit_length())
        if target.row in (None, cell // 3) and target.col in (None, cell % 3)
    )
    return Phrase(tuple(target.attributes().items()), cells)


def referents_of(query: Query) -> Referents:
    sets = [phrase_of(target) for target in asked_sets(query)]
    if isinstance(query, NeighbourQuery):
        beside = Beside(query.direction, sets[0], is_adjacent=True)
        return Referents(Phrase(beside=(beside,)), None)
    return Referents(sets[0], (sets[0], sets[1]) if len(sets) == 2 else None)


# -------------------------------------------------------------------------------------- pronouns


def resolve(statements: list[Statement], referents: Referents) -> list[Statement]:
    """Pronouns replaced by what was mentioned before them, else by what the question asks about."""
    resolved: list[Statement] = []
    last = referents.asked
    for statement in statements:
        settled = _settle(statement, last, referents.asked)
        resolved.append(settled)
        last = _topic(settled) or last
    return resolved


def _topic(statement: Statement) -> Phrase | None:
    match statement:
        case Says(subject, _):
            return subject.phrase
        case Exists(mentions):
            return mentions[-1].phrase
        case _:
            return None


def _settle(statement: Statement, last: Phrase, asked: Phrase) -> Statement:
    def phrase(one: Phrase) -> Phrase:
        besides = tuple(replace(item, anchor=phrase(item.anchor)) for item in one.beside)
        settled = replace(one, beside=besides, pronoun=None)
        if one.pronoun is None:
            return settled
        base = asked if one.pronoun is Pronoun.ONE else last
        return Phrase(
            (*base.values, *settled.values),
            base.cells & settled.cells,
            (*base.beside, *settled.beside),
        )

    def mention(one: Mention) -> Mention:
        return replace(one, phrase=phrase(one.phrase))

    def predicate(one: Predicate) -> Predicate:
        options = tuple(
            mention(item) if isinstance(item, Mention) else phrase(item) for item in one.options
        )
        return replace(one, options=options)

    match statement:
        case Exists(mentions):
            return replace(statement, mentions=tuple(mention(item) for item in mentions))
        case Says(subject, said):
            return Says(mention(subject), predicate(said))
        case PairSays(said):
            return PairSays(predicate(said))
        case OneAndOther(one, other):
            return OneAndOther(predicate(one), predicate(other))
        case ComparesCounts(_, left, right) | ComparesSizes(_, left, right):
            return replace(statement, left=phrase(left), right=phrase(right))
        case SharesValue(_, pair) | SharesLine(_, pair):
            both = (phrase(pair[0]), phrase(pair[1])) if pair else None
            return replace(statement, pair=both)


# ----------------------------------------------------------------------------------------- truth


class Truth:
    """Evaluates resolved statements over worlds; every result is [W]."""

    def __init__(self, worlds: Worlds, referents: Referents) -> None:
        self.worlds = worlds
        self.referents = referents

    def things(self, phrase: Phrase) -> Ints:
        """The mask of the things that fit a phrase."""
        masks = self.worlds.occupied & phrase.cells
        for name in ATTRIBUTES:
            said = [value for other, value in phrase.values if other == name]
            if said:
                # A thing has one value: two different ones said of it fit nothing.
                having = [self.worlds.having(name, value) for value in said]
                masks = reduce(np.bitwise_and, having, masks)
        for beside in phrase.beside:
            masks = masks & self._cells_beside(beside)
        return masks

    def _cells_beside(self, beside: Beside) -> Ints:
        anchors = self.things(beside.anchor)
        if isinstance(beside.where, Line):
            return line(anchors, beside.where.value) & ~anchors
        return region(anchors, beside.where, is_adjacent=beside.is_adjacent)

    def holds(self, statement: Statement) -> Flags:
        match statement:
            case Exists(mentions, is_all):
                return self._exists(mentions, is_all=is_all)
            case Says(subject, predicate):
                return self._says(subject, predicate)
            case PairSays(predicate):
                pair = self._pair(None)
                return self._both(pair, predicate, predicate) if pair else self._they(predicate)
            case OneAndOther(one, other):
                pair = self._pair(None)
                if pair is None:
                    return np.zeros(len(self.worlds), dtype=bool)
                return self._both(pair, one, other) | self._both(pair, other, one)
            case ComparesCounts(relation, left, right, is_negated):
                difference = count(self.things(left)) - count(self.things(right))
                is_so = {"more": difference > 0, "fewer": difference < 0, "same": difference == 0}
                return is_so[relation] != is_negated
            case ComparesSizes(size, left, right):
                other = "small" if size == "large" else "large"
                return self._one(left, self.worlds.having("size", size)) & self._one(
                    right, self.worlds.having("size", other)
                )
            case SharesValue(attribute, pair, is_negated):
                return self._shares_value(attribute, self._pair(pair), is_negated=is_negated)
            case SharesLine(name, pair, is_negated):
                return self._shares_line(name, self._pair(pair), is_negated=is_negated)

    def mentioned(self, statement: Statement) -> Ints:
        """The mask of the things that a statement is about."""
        match statement:
            case Exists(mentions, is_all):
                if is_all:
                    return self.worlds.occupied
                none_of = [m.phrase for m in mentions if m.quantifier is Quantifier.NO]
                if none_of:
                    return self.worlds.occupied
                return reduce(np.bitwise_or, [self.things(m.phrase) for m in mentions])
            case Says(subject, predicate):
                masks = self.things(subject.phrase)
                if subject.quantifier in {Quantifier.ONLY, Quantifier.NO}:
                    masks = masks | self.worlds.occupied
                return masks | self._anchors(subject.phrase) | self._named(predicate)
            case ComparesCounts(_, left, right) | ComparesSizes(_, left, right):
                return self.things(left) | self.things(right)
            case SharesValue(_, pair) | SharesLine(_, pair):
                both = self._pair(pair)
                return both[0] | both[1] if both else self.worlds.occupied
            case PairSays() | OneAndOther():
                both = self._pair(None)
                return both[0] | both[1] if both else self.things(self.referents.asked)

    def _named(self, predicate: Predicate) -> Ints:
        masks = np.zeros(len(self.worlds), dtype=np.int64)
        for option in predicate.options:
            phrase = option.phrase if isinstance(option, Mention) else option
            masks = masks | self._anchors(phrase)
        return masks

    def _anchors(self, phrase: Phrase) -> Ints:
        masks = np.zeros(len(self.worlds), dtype=np.int64)
        for beside in phrase.beside:
            masks = masks | self.things(beside.anchor)
        return masks

    # ------------------------------------------------------------------------------------- parts

    def _exists(self, mentions: tuple[Mention, ...], *, is_all: bool) -> Flags:
        held = np.ones(len(self.worlds), dtype=bool)
        for mention in mentions:
            held &= self._counts(mention, self.things(mention.phrase))
        if is_all:
            union = reduce(np.bitwise_or, [self.things(m.phrase) for m in mentions])
            held &= union == self.worlds.occupied
        # The same words twice are two things: "a red cube and a red cube".
        for mention in set(mentions):
            times = mentions.count(mention)
            if mention.quantifier is Quantifier.SOME and times > 1:
                held &= count(self.things(mention.phrase)) >= times * mention.n
        return held

    def _counts(self, mention: Mention, masks: Ints) -> Flags:
        numbers = count(masks)
        match mention.quantifier:
            case Quantifier.SOME:
                return numbers >= mention.n
            case Quantifier.EXACTLY | Quantifier.EACH_OF:
                return numbers == mention.n
            case Quantifier.AT_MOST:
                return numbers <= mention.n
            case Quantifier.THE:
                return numbers == 1
            case Quantifier.THE_ALL:
                return numbers >= 2
            case Quantifier.ALL | Quantifier.ONLY:
                return numbers >= 1
            case Quantifier.NO:
                return numbers == 0

    def _says(self, subject: Mention, predicate: Predicate) -> Flags:
        masks = self.things(subject.phrase)
        if subject.quantifier in _WHOLE:
            presumed = self._counts(subject, masks)
            is_single = subject.quantifier is Quantifier.THE
            return presumed & self._fits_all(masks, predicate, is_single=is_single)
        fitting = self._fitting(predicate)
        if subject.quantifier is Quantifier.ONLY:
            return (fitting != 0) & (fitting & ~masks == 0)
        return self._counts(subject, masks & fitting)

    def _option(self, option: Phrase | Mention) -> Ints:
        return self.things(option.phrase if isinstance(option, Mention) else option)

    def _fitting(self, predicate: Predicate) -> Ints:
        """The mask of all things that a predicate is true of, one by one."""
        join = np.bitwise_or if predicate.is_either else np.bitwise_and
        masks: Ints = reduce(join, [self._option(option) for option in predicate.options])
        return self.worlds.occupied & ~masks if predicate.is_negated else masks

    def _fits_all(self, masks: Ints, predicate: Predicate, *, is_single: bool) -> Flags:
        """Is the predicate true of the things in `masks`, taken together?"""
        is_list = len(predicate.options) > 1 and not predicate.is_either
        if is_single or predicate.is_negated or not (is_list and _is_spread(predicate)):
            held = masks & ~self._fitting(predicate) == 0
            return held & self._counted(masks, predicate) if not is_single else held
        # "the red things are a cube and two cones", "... are in the top left and in the center":
        # each option is there, and together they are all.
        options = [self._option(option) for option in predicate.options]
        held = masks & ~reduce(np.bitwise_or, options) == 0
        for option in options:
            held &= masks & option != 0
        return held & self._counted(masks, predicate)

    def _counted(self, masks: Ints, predicate: Predicate) -> Flags:
        held = np.ones(len(masks), dtype=bool)
        if predicate.is_either or predicate.is_negated:
            return held
        for option in predicate.options:
            if isinstance(option, Mention):
                held &= self._counts(option, masks & self.things(option.phrase))
        return held

    def _one(self, phrase: Phrase, among: Ints) -> Flags:
        masks = self.things(phrase)
        return (count(masks) == 1) & (masks & among != 0)

    def _pair(self, pair: tuple[Phrase, Phrase] | None) -> tuple[Ints, Ints] | None:
        both = pair or self.referents.pair
        return (self.things(both[0]), self.things(both[1])) if both else None

    def _both(self, pair: tuple[Ints, Ints], one: Predicate, other: Predicate) -> Flags:
        held = (count(pair[0]) == 1) & (count(pair[1]) == 1)
        held &= self._fits_all(pair[0], one, is_single=True)
        return held & self._fits_all(pair[1], other, is_single=True)

    def _they(self, predicate: Predicate) -> Flags:
        """`both are red` where the question has no pair: its things are two."""
        masks = self.things(self.referents.asked)
        return (count(masks) == 2) & self._fits_all(masks, predicate, is_single=False)

    def _shares_value(
        self, attribute: str, pair: tuple[Ints, Ints] | None, *, is_negated: bool
    ) -> Flags:
        if pair is None:
            return np.zeros(len(self.worlds), dtype=bool)
        one, other = pair
        shared = np.zeros(len(self.worlds), dtype=bool)
        for value in ATTRIBUTES[attribute]:
            having = self.worlds.having(attribute, value)
            shared |= (one & having != 0) & (other & having != 0)
        return (count(one) == 1) & (count(other) == 1) & (shared != is_negated)

    def _shares_line(
        self, name: Line, pair: tuple[Ints, Ints] | None, *, is_negated: bool
    ) -> Flags:
        if pair is None:
            return np.zeros(len(self.worlds), dtype=bool)
        one, other = pair
        shared = line(one, name.value) & other != 0
        return (count(one) == 1) & (count(other) == 1) & (shared != is_negated)


def _is_spread(predicate: Predicate) -> bool:
    """Options that exclude each other, so that `and` deals them out: `red and blue`, two places."""
    phrases = [item.phrase if isinstance(item, Mention) else item for item in predicate.options]
    if any(isinstance(item, Mention) for item in predicate.options):
        return True
    first = dict(phrases[0].values)
    for other in phrases[1:]:
        values = dict(other.values)
        if any(first[name] != values[name] for name in first.keys() & values.keys()):
            return True
        if not (phrases[0].cells & other.cells):
            return True
    return False
