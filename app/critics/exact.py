"""The exact critic: is a rationale true of a rendered scene, and does it justify the answer?

A text fits when all it says is true and its statements about what was asked leave no other answer
possible. That is tested, not matched against templates: among a few thousand scenes that differ
from the real one, none may make the text true and the answer another. A text that is true in
exactly the scenes in which the answer is right says the answer again and justifies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from app.critics.base import CriticError, CriticItem, Fault, Verdict
from app.scenes.grammar import readings
from app.scenes.question_parser import parse_question
from app.scenes.questions import (
    NUMBER_WORDS,
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    Description,
    ExistenceQuery,
    NeighbourQuery,
    Query,
    answer_query,
    noun,
)
from app.scenes.scene import Scene
from app.scenes.statements import Clause, Exists, Mention, Phrase, Quantifier, Statement
from app.scenes.truth import Referents, Truth, phrase_of, referents_of, resolve
from app.scenes.worlds import Flags, Ints, Worlds, alternatives, answers, asked_sets, count

_FITS: Final = Verdict(True, "True of the picture, and it justifies the answer.")
_UNCLEAR: Final = Verdict(
    False, "Not understood as statements about the picture.", Fault.UNCLEAR
)
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
        """One verdict per text; `CriticError` where the item is not one about a scene."""
        query, scene = _read_item(item)
        right = answer_query(query, scene)
        if right is None:
            raise CriticError(f"The question presumes what the scene does not have: {item.question}")
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


@lru_cache(maxsize=64)
def _case(query: Query, scene: Scene) -> _Case:
    return _Case(query, scene)


@dataclass(frozen=True, slots=True)
class _Said:
    """One statement of a text: where it holds, and whether it is about what was asked."""

    statement: Statement
    text: str
    holds: Flags
    is_relevant: bool


class _Case:
    """One question about one scene, prepared for many texts."""

    def __init__(self, query: Query, scene: Scene) -> None:
        self.query = query
        worlds = alternatives(query, scene)
        numbers = answers(query, worlds)
        # Scenes in which the question makes no sense say nothing about its answer.
        kept = numbers >= 0
        self.worlds = Worlds(worlds.codes[kept])
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
        said = [
            _Said(statement, clause.text, self.truth.holds(statement), self._is_relevant(statement))
            for statement, clause in zip(statements, clauses, strict=True)
        ]
        for one in said:
            if not one.holds[0]:
                return Verdict(False, self._untrue(one), Fault.WRONG_ABOUT_IMAGE)
        return self._weigh([one for one in said if one.is_relevant])

    def _weigh(self, said: list[_Said]) -> Verdict:
        """All statements are true; do those about what was asked settle the answer?"""
        if not said:
            reason = f"True, but not about {self._asked_words()}."
            return Verdict(False, reason, Fault.DOES_NOT_JUSTIFY)
        evidence = said if self._is_about_one_thing() else [s for s in said if not self._again(s.holds)]
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

    def _is_relevant(self, statement: Statement) -> bool:
        """About at least one thing that was asked about; where there is none, about anything."""
        return self.about == 0 or bool(int(self.truth.mentioned(statement)[0]) & self.about)

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
        wanted = phrase_of(target)
        return [
            mention
            for one in said
            if isinstance(one.statement, Exists)
            for mention in one.statement.mentions
            if mention.quantifier in {Quantifier.SOME, Quantifier.EXACTLY}
            and _implies(mention.phrase, wanted)
        ]

    # ------------------------------------------------------------------------------------ reasons

    def _untrue(self, said: _Said) -> str:
        if isinstance(said.statement, Exists) and not said.statement.is_all:
            for mention in said.statement.mentions:
                there = int(count(self.truth.things(mention.phrase))[0])
                if not self.truth.holds(Exists((mention,)))[0]:
                    return f'Not so: "{said.text}"; of these there {_be(there)} {_number(there)}.'
        return f'Not true of the picture: "{said.text}".'

    def _gap(self, said: list[_Said]) -> str:
        if isinstance(self.query, CountQuery):
            target, masks = self.asked[0]
            number = sum(mention.n for mention in self._listed(target, said))
            total = int(count(masks)[0])
            if 0 < number < total:
                return f"It names {_number(number)} of the {_number(total)} {noun(target)}s."
        return "True, but the answer could still be another."

    def _asked_words(self) -> str:
        return " and ".join(f"any {noun(target)}" for target, _ in self.asked)


def _all(flags: list[Flags], size: int) -> Flags:
    together = np.ones(size, dtype=bool)
    for one in flags:
        together &= one
    return together


def _implies(phrase: Phrase, wanted: Phrase) -> bool:
    return set(wanted.values) <= set(phrase.values) and phrase.cells & ~wanted.cells == 0


def _number(number: int) -> str:
    return "none" if number == 0 else NUMBER_WORDS[number]


def _be(number: int) -> str:
    return "is" if number <= 1 else "are"
