"""The exact critic: is a rationale true of a rendered scene, and does it justify the answer?

A text fits when all it says is true and its statements about what was asked leave no other answer
possible. That is tested, not matched against templates: among a few thousand scenes that differ
from the real one, none may make the text true and the answer another. A text that is true in
exactly the scenes in which the answer is right says the answer again and justifies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from app.critics.base import CriticError, CriticItem, Fault, Verdict
from app.scenes.grammar import readings
from app.scenes.questions.parser import parse_question
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    Description,
    ExistenceQuery,
    NeighbourQuery,
    Query,
    answer_query,
)
from app.scenes.questions.words import noun, phrase
from app.scenes.scene import Scene
from app.scenes.statements import (
    ALL_CELLS,
    Clause,
    Exists,
    Mention,
    Phrase,
    Quantifier,
    Says,
    Statement,
)
from app.scenes.truth import Referents, Truth, phrase_of, referents_of, resolve
from app.scenes.worlds import Flags, Ints, alternatives, answers, asked_sets, count

_FITS: Final = Verdict(True, "True of the picture, and it justifies the answer.")
_UNCLEAR: Final = Verdict(False, "Not understood as statements about the picture.", Fault.UNCLEAR)
# Of two readings of a text the kinder one counts; of two faults the milder one is named.
_SEVERITY: Final = (
    None,
    Fault.RESTATES_ANSWER,
    Fault.DOES_NOT_JUSTIFY,
    Fault.WRONG_ABOUT_IMAGE,
    Fault.UNCLEAR,
)


class ExactCritic:
    """Works on items with the facts of a rendered scene and a question about scenes."""

    @property
    def name(self) -> str:
        return "exact"

    def judge(self, item: CriticItem, texts: Sequence[str]) -> list[Verdict]:
        """Returns one verdict per text. Raises CriticError where the item is not about a scene."""
        query, scene = _read_item(item)
        right = answer_query(query, scene)
        if right is None:
            raise CriticError(
                f"The question presumes what the scene does not have: {item.question}"
            )
        if _plain(item.answer) != right:
            return [_wrong_answer(item.answer, right)] * len(texts)
        case = _case(query, scene)
        return [case.judge(text) for text in texts]


def _read_item(item: CriticItem) -> tuple[Query, Scene]:
    if item.facts is None:
        raise CriticError("The exact critic needs the facts of a rendered scene with each item.")
    query = parse_question(item.question)
    if query is None:
        raise CriticError(f"The exact critic does not know this question: {item.question}")
    try:
        return query, Scene.from_dict(item.facts)
    except ValueError as error:
        raise CriticError(f"The exact critic cannot use this item: {error}.") from error


def _plain(answer: str) -> str:
    word = answer.strip().strip(".").lower()
    return NUMBER_WORDS[int(word)] if word.isdecimal() and int(word) < len(NUMBER_WORDS) else word


def _wrong_answer(answer: str, right: str) -> Verdict:
    reason = f'The answer "{answer.strip()}" is wrong, so nothing justifies it; it is "{right}".'
    return Verdict(False, reason, Fault.DOES_NOT_JUSTIFY)


@lru_cache(maxsize=16)
def _case(query: Query, scene: Scene) -> _Case:
    return _Case(query, scene)


@dataclass(frozen=True, slots=True)
class _Said:
    """One statement of a text and where it holds."""

    statement: Statement
    holds: Flags


class _Case:
    """One question about one scene, prepared for many texts."""

    def __init__(self, query: Query, scene: Scene) -> None:
        self.query = query
        worlds = alternatives(query, scene)
        numbers = answers(query, worlds)
        # Scenes in which the question makes no sense say nothing about its answer.
        kept = numbers >= 0
        self.worlds = worlds.only(kept)
        self.is_right: Flags = numbers[kept] == numbers[0]
        self.referents: Referents = referents_of(query)
        self.truth = Truth(self.worlds, self.referents)
        self.asked: list[tuple[Description, Ints]] = [
            (target, self.worlds.matching(target)) for target in asked_sets(query)
        ]
        self.about = self._things_asked_about()
        self.known: dict[str, Verdict] = {}

    def judge(self, text: str) -> Verdict:
        if text not in self.known:
            verdicts = [self._judge(clauses) for clauses in readings(text)]
            self.known[text] = min(
                [*verdicts, _UNCLEAR], key=lambda verdict: _SEVERITY.index(verdict.fault)
            )
        return self.known[text]

    def _judge(self, clauses: tuple[Clause, ...]) -> Verdict:
        statements = resolve([clause.statement for clause in clauses], self.referents)
        for statement, clause in zip(statements, clauses, strict=True):
            if not self.truth.holds(statement)[0]:
                reason = self._untrue(statement, clause.text)
                return Verdict(False, reason, Fault.WRONG_ABOUT_IMAGE)
        said = [
            _Said(part, self.truth.holds(part))
            for statement in statements
            for part in _parts(statement)
        ]
        return self._weigh([one for one in said if self._is_relevant(one)])

    def _weigh(self, said: list[_Said]) -> Verdict:
        """All statements are true; do those about what was asked settle the answer?"""
        if not said:
            reason = f"True, but not about what was asked: {self._asked_words()}."
            return Verdict(False, reason, Fault.DOES_NOT_JUSTIFY)
        evidence = (
            said if self._is_about_one_thing() else [s for s in said if not self._again(s.holds)]
        )
        extent = self._extent(said)
        if not self._settles(_all([one.holds for one in evidence], len(self.worlds)) & extent):
            everything = _all([one.holds for one in said], len(self.worlds)) & extent
            if self._settles(everything):
                return Verdict(False, "It only says the answer again.", Fault.RESTATES_ANSWER)
            return Verdict(False, self._gap(said), Fault.DOES_NOT_JUSTIFY)
        if self._again(_all([one.holds for one in evidence], len(self.worlds)) & extent):
            return Verdict(False, "It only says the answer again.", Fault.RESTATES_ANSWER)
        return _FITS

    def _settles(self, holds: Flags) -> bool:
        return not bool((holds & ~self.is_right).any())

    def _again(self, holds: Flags) -> bool:
        """Does this say the answer and nothing else?"""
        if not isinstance(self.query, CountQuery | ExistenceQuery):
            return bool((holds == self.is_right).all())
        # "there are two cubes" for "is there a cube?" is more than yes, and no reason for it:
        # whatever follows from the number alone says the answer again.
        numbers = count(self.asked[0][1])
        return all(len(np.unique(holds[numbers == n])) == 1 for n in np.unique(numbers))

    def _is_about_one_thing(self) -> bool:
        # "the cube is in the center and it is red": the second half says the answer, but the
        # first half shows which cube was looked at. Counts and pairs have no such one thing.
        return isinstance(self.query, AttributeQuery | NeighbourQuery)

    # ---------------------------------------------------------------------------------- relevance

    def _things_asked_about(self) -> int:
        masks = 0
        for _, mask in self.asked:
            masks |= int(mask[0])
        if isinstance(self.query, NeighbourQuery):
            masks |= int(self.truth.things(self.referents.asked)[0])
        return masks

    def _is_relevant(self, said: _Said) -> bool:
        """About at least one thing that was asked about; where there is none, about anything.

        If one thing was asked about, about that thing and no other, or else enough by itself:
        "the cone is green and there are five things" only says that the cone is green.
        """
        if self.about == 0:
            return True
        if self._is_about_one_thing():
            subject = int(self.truth.subject(said.statement)[0])
            return subject & ~self.about == 0 or self._settles(said.holds)
        return bool(int(self.truth.mentioned(said.statement)[0]) & self.about)

    def _extent(self, said: list[_Said]) -> Flags:
        """A list of the things asked for is read as complete, if it is.

        "a red cube and a red cone" for "how many red things are there?" means these two and no
        others; who names three of four has not shown that there are four.
        """
        extent = np.ones(len(self.worlds), dtype=bool)
        if not isinstance(self.query, CountQuery | CountComparisonQuery):
            return extent
        for target, masks in self.asked:
            listed = self._listed(target, said)
            number = sum(mention.n for mention in listed)
            named = 0
            for mention in listed:
                named |= int(self.truth.things(mention.phrase)[0])
            if listed and number == int(count(masks)[0]) and named == int(masks[0]):
                extent &= count(masks) == number
        return extent

    def _listed(self, target: Description, said: list[_Said]) -> list[Mention]:
        """The mentions that count things of a set, `three cubes, one red and two blue` once."""
        wanted = phrase_of(target)
        counted = [
            mention
            for one in said
            for mention in _counted_things(one.statement)
            if mention.quantifier in {Quantifier.SOME, Quantifier.EXACTLY}
            and _implies(mention.phrase, wanted)
        ]
        narrower = [mention for mention in counted if not _implies(wanted, mention.phrase)]
        return narrower or counted

    # ------------------------------------------------------------------------------------ reasons

    def _untrue(self, statement: Statement, text: str) -> str:
        for part in _parts(statement):
            if isinstance(part, Exists) and not part.is_all and not self.truth.holds(part)[0]:
                counted = part.mentions[0].phrase
                number = int(count(self.truth.things(counted))[0])
                return f'Not so: "{text}". The picture has {_in_words(counted, number)}.'
        return f'Not true of the picture: "{text}".'

    def _gap(self, said: list[_Said]) -> str:
        if isinstance(self.query, CountQuery):
            target, masks = self.asked[0]
            number = sum(mention.n for mention in self._listed(target, said))
            total = int(count(masks)[0])
            if 0 < number < total:
                things = noun(target, plural=True)
                return f"It names {_number(number)} of the {_number(total)} {things}."
        return "True, but the answer could still be another."

    def _asked_words(self) -> str:
        return " and ".join(phrase(target) for target, _ in self.asked)


def _all(flags: list[Flags], size: int) -> Flags:
    together = np.ones(size, dtype=bool)
    for one in flags:
        together &= one
    return together


def _implies(phrase: Phrase, wanted: Phrase) -> bool:
    return set(wanted.values) <= set(phrase.values) and phrase.cells & ~wanted.cells == 0


def _parts(statement: Statement) -> list[Statement]:
    """A list of things says each of its parts."""
    if isinstance(statement, Exists) and not statement.is_all:
        return [Exists((mention,)) for mention in statement.mentions]
    return [statement]


def _counted_things(statement: Statement) -> tuple[Mention, ...]:
    """`there are two red cubes` and `two cubes are red` count the same things."""
    if isinstance(statement, Exists):
        return statement.mentions
    if isinstance(statement, Says) and not statement.predicate.is_negated:
        options = statement.predicate.options
        if len(options) == 1 and isinstance(options[0], Phrase):
            return (replace(statement.subject, phrase=_both(statement.subject.phrase, options[0])),)
    return ()


def _both(one: Phrase, other: Phrase) -> Phrase:
    values = (*one.values, *other.values)
    return Phrase(values, one.cells & other.cells, (*one.beside, *other.beside))


def _in_words(phrase: Phrase, number: int) -> str:
    """`two red cubes`, `no cone there`."""
    said = Description().saying(dict(phrase.values))
    place = " there" if phrase.cells != ALL_CELLS or phrase.beside else ""
    return f"{_number(number) if number else 'no'} {noun(said, plural=number > 1)}{place}"


def _number(number: int) -> str:
    return NUMBER_WORDS[number]
