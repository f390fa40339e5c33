"""Whether statements hold, in many worlds at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

import numpy as np

from app.scenes.questions.queries import Description, NeighbourQuery, Query
from app.scenes.scene import ATTRIBUTES, N_CELLS, N_COLS
from app.scenes.statements import (
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
    """The things that pronouns stand for: those of the question, and its pair if it has one."""

    asked: Phrase
    pair: tuple[Phrase, Phrase] | None


def phrase_of(target: Description) -> Phrase:
    cells = sum(
        1 << cell
        for cell in range(N_CELLS)
        if target.row in (None, cell // N_COLS) and target.col in (None, cell % N_COLS)
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
    """Returns the statement with each pronoun replaced by what was mentioned before it, else by
    what the question asks about.
    """
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


# How many things a quantifier allows: the least and the most.
_RANGES: Final[dict[Quantifier, Callable[[int], tuple[int, int]]]] = {
    Quantifier.SOME: lambda n: (n, N_CELLS),
    Quantifier.EXACTLY: lambda n: (n, n),
    Quantifier.EACH_OF: lambda n: (n, n),
    Quantifier.AT_MOST: lambda n: (0, n),
    Quantifier.THE: lambda _: (1, 1),
    Quantifier.THE_ALL: lambda _: (2, N_CELLS),
    Quantifier.ALL: lambda _: (1, N_CELLS),
    Quantifier.ONLY: lambda _: (1, N_CELLS),
    Quantifier.NO: lambda _: (0, 0),
}


class Truth:
    """Evaluates resolved statements over worlds; every result is [W]."""

    def __init__(self, worlds: Worlds, referents: Referents) -> None:
        self.worlds = worlds
        self.referents = referents

    def things(self, phrase: Phrase) -> Ints:
        """Returns the mask of the things that fit a phrase."""
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
        """Returns in which worlds the statement is true, as a mask over the worlds."""
        match statement:
            case Exists(mentions, is_all):
                held = self._exists(mentions, is_all=is_all)
            case Says(subject, predicate):
                held = self._says(subject, predicate)
            case ComparesCounts():
                held = self._compares_counts(statement)
            case ComparesSizes(size, left, right):
                other_size = "small" if size == "large" else "large"
                held = self._one(left, self.worlds.having("size", size))
                held = held & self._one(right, self.worlds.having("size", other_size))
            case PairSays() | OneAndOther() | SharesValue() | SharesLine():
                held = self._pair_holds(statement)
        return held

    def _pair_holds(self, statement: PairSays | OneAndOther | SharesValue | SharesLine) -> Flags:
        named = statement.pair if isinstance(statement, SharesValue | SharesLine) else None
        pair = self._pair(named)
        match statement:
            case PairSays(said):
                held = self._both(pair, said, said) if pair else self._they(said)
            case _ if pair is None:
                held = np.zeros(len(self.worlds), dtype=bool)
            case OneAndOther(one, other):
                held = self._both(pair, one, other) | self._both(pair, other, one)
            case SharesValue(attribute, _, is_negated):
                held = self._shares_value(attribute, pair, is_negated=is_negated)
            case SharesLine(name, _, is_negated):
                held = self._shares_line(name, pair, is_negated=is_negated)
        return held

    def mentioned(self, statement: Statement) -> Ints:
        """Returns the mask of the things that a statement is about."""
        everything = self.worlds.occupied
        match statement:
            case Exists(mentions, is_all):
                is_about_all = is_all or any(m.quantifier is Quantifier.NO for m in mentions)
                named: Ints = reduce(np.bitwise_or, [self.things(m.phrase) for m in mentions])
                masks = everything if is_about_all else named
            case Says(subject, predicate):
                is_about_all = subject.quantifier in {Quantifier.ONLY, Quantifier.NO}
                masks = everything if is_about_all else self.things(subject.phrase)
                masks = masks | self._anchors(subject.phrase) | self._named(predicate)
            case ComparesCounts(_, left, right) | ComparesSizes(_, left, right):
                masks = self.things(left) | self.things(right)
            case SharesValue() | SharesLine() | PairSays() | OneAndOther():
                named_pair = (
                    statement.pair if isinstance(statement, SharesValue | SharesLine) else None
                )
                both = self._pair(named_pair)
                masks = both[0] | both[1] if both else self.things(self.referents.asked)
        return masks

    def subject(self, statement: Statement) -> Ints:
        """Returns the mask of the things that a statement says something of, without those it uses
        to say where they are.
        """
        match statement:
            case Says(subject, _) if subject.quantifier not in {Quantifier.ONLY, Quantifier.NO}:
                return self.things(subject.phrase)
            case _:
                return self.mentioned(statement)

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

    def _compares_counts(self, said: ComparesCounts) -> Flags:
        difference = count(self.things(said.left)) - count(self.things(said.right))
        is_so = {"more": difference > 0, "fewer": difference < 0, "same": difference == 0}
        held: Flags = is_so[said.relation] != said.is_negated
        return held

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
        least, most = _RANGES[mention.quantifier](mention.n)
        numbers = count(masks)
        held: Flags = (numbers >= least) & (numbers <= most)
        return held

    def _says(self, subject: Mention, predicate: Predicate) -> Flags:
        masks = self.things(subject.phrase)
        if subject.quantifier in _WHOLE:
            presumed = self._counts(subject, masks)
            is_single = subject.quantifier is Quantifier.THE
            return presumed & self._fits_all(masks, predicate, is_single=is_single)
        fitting = self._fitting(predicate)
        if subject.quantifier is not Quantifier.ONLY:
            return self._counts(subject, masks & fitting)
        held: Flags = (fitting != 0) & (fitting & ~masks == 0)
        return held

    def _option(self, option: Phrase | Mention) -> Ints:
        return self.things(option.phrase if isinstance(option, Mention) else option)

    def _fitting(self, predicate: Predicate) -> Ints:
        """The mask of all things that a predicate is true of, one by one."""
        join = np.bitwise_or if predicate.is_either else np.bitwise_and
        masks: Ints = reduce(join, [self._option(option) for option in predicate.options])
        others: Ints = self.worlds.occupied & ~masks
        return others if predicate.is_negated else masks

    def _fits_all(self, masks: Ints, predicate: Predicate, *, is_single: bool) -> Flags:
        """Is the predicate true of the things in `masks`, taken together?"""
        is_list = len(predicate.options) > 1 and not predicate.is_either
        if is_single or predicate.is_negated or not (is_list and _is_spread(predicate)):
            held: Flags = masks & ~self._fitting(predicate) == 0
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
        held: Flags = (count(masks) == 1) & (masks & among != 0)
        return held

    def _pair(self, pair: tuple[Phrase, Phrase] | None) -> tuple[Ints, Ints] | None:
        both = pair or self.referents.pair
        return (self.things(both[0]), self.things(both[1])) if both else None

    def _both(self, pair: tuple[Ints, Ints], one: Predicate, other: Predicate) -> Flags:
        held: Flags = (count(pair[0]) == 1) & (count(pair[1]) == 1)
        held &= self._fits_all(pair[0], one, is_single=True)
        return held & self._fits_all(pair[1], other, is_single=True)

    def _they(self, predicate: Predicate) -> Flags:
        """`both are red` where the question has no pair: its things are two."""
        masks = self.things(self.referents.asked)
        held: Flags = (count(masks) == 2) & self._fits_all(masks, predicate, is_single=False)
        return held

    def _shares_value(self, attribute: str, pair: tuple[Ints, Ints], *, is_negated: bool) -> Flags:
        one, other = pair
        shared = np.zeros(len(self.worlds), dtype=bool)
        for value in ATTRIBUTES[attribute]:
            having = self.worlds.having(attribute, value)
            shared |= (one & having != 0) & (other & having != 0)
        held: Flags = (count(one) == 1) & (count(other) == 1) & (shared != is_negated)
        return held

    def _shares_line(self, name: Line, pair: tuple[Ints, Ints], *, is_negated: bool) -> Flags:
        one, other = pair
        shared = line(one, name.value) & other != 0
        held: Flags = (count(one) == 1) & (count(other) == 1) & (shared != is_negated)
        return held


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
