"""Inner monologues about scenes: which looks answer a question, and what each look shows.

`ideal_monologue` asks what the answer and its rationale need; `useless_monologue` asks of other
things and comes to the same answer, as a poor teacher would; `observe` is an observer that is never
wrong; `is_useful` says whether a question helps with another.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.scenes.questions.draw import unique_descriptions
from app.scenes.questions.parser import described, parse_question
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    STEP,
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    Description,
    ExistenceQuery,
    NeighbourQuery,
    Query,
    RelationQuery,
    SameAttributeQuery,
    answer_query,
    find_all,
    find_one,
    neighbour,
)
from app.scenes.questions.words import noun, phrase, place_name, place_words, word_query
from app.scenes.rationales import explain, how_many, is_value
from app.scenes.scene import ATTRIBUTES, COLS, ROWS, Obj, Scene

_WHERE: Final = "where is the {t}?"
_READ_WHERE: Final = re.compile(r"where is the (?P<t>.+?)\s*\??")
_WHICH_LINE: Final = "which {a} is the {t} in?"
_READ_WHICH_LINE: Final = re.compile(r"which (?P<a>row|column) is the (?P<t>.+?) in\s*\??")


@dataclass(frozen=True, slots=True)
class WhereQuery:
    """Asks for the place of the one thing that fits `target`, or for its row or column only."""

    target: Description
    line: Literal["row", "column"] | None = None


SubQuery = Query | WhereQuery
"""What a look may ask."""


@dataclass(frozen=True, slots=True)
class Look:
    """A question and what the scene shows of it."""

    asked: str
    observed: str


@dataclass(frozen=True, slots=True)
class SceneMonologue:
    """Looks in their order, and the answer and rationale that they lead to."""

    looks: tuple[Look, ...]
    answer: str
    rationale: str


def read_sub_query(asked: str) -> SubQuery | None:
    """Returns what a look asks, None where it is not a question about scenes."""
    words = " ".join(asked.lower().split())
    if found := _READ_WHERE.fullmatch(words):
        target = described(found["t"])
        return WhereQuery(target) if target else None
    if found := _READ_WHICH_LINE.fullmatch(words):
        target = described(found["t"])
        line: Literal["row", "column"] = "row" if found["a"] == "row" else "column"
        return WhereQuery(target, line) if target else None
    return parse_question(words)


def word_sub_query(query: SubQuery) -> str:
    """Returns the question of a look, always in the same wording."""
    if isinstance(query, WhereQuery):
        wording = _WHICH_LINE if query.line else _WHERE
        return wording.format(t=phrase(query.target), a=query.line)
    return word_query(query, 0)


def answer_sub_query(query: SubQuery, scene: Scene) -> str | None:
    """Returns what the scene shows, None where the question presumes what it does not have."""
    if isinstance(query, WhereQuery):
        obj = find_one(scene, query.target)
        if obj is None or query.line is None:
            return place_name(obj.row, obj.col) if obj else None
        return ROWS[obj.row] if query.line == "row" else COLS[obj.col]
    return answer_query(query, scene)


def observe(scene: Scene, asked: str) -> str | None:
    """Returns the true observation for a question, None where there is none."""
    query = read_sub_query(asked)
    return answer_sub_query(query, scene) if query else None


def useful_queries(query: Query, scene: Scene) -> tuple[SubQuery, ...]:
    """Returns what to look at to answer and to justify, in the order in which it is asked."""
    looks: tuple[SubQuery, ...]
    match query:
        case AttributeQuery(attribute, target) if target.has_place():
            looks = query, AttributeQuery(_other_than(attribute), target)
        case AttributeQuery(_, target):
            looks = query, WhereQuery(target)
        case CountQuery(target):
            looks = query, CountQuery(_half(target, 0))
        case ExistenceQuery(target):
            looks = query, ExistenceQuery(_half(target, 0))
        case CountComparisonQuery(_, left, _):
            # The whole is seen at one look; how many there are is for the rationale.
            looks = query, CountQuery(left)
        case SameAttributeQuery(attribute, left, _):
            # What was seen first is asked of the other: nothing is left to be compared.
            looks = AttributeQuery(attribute, left), ExistenceQuery(_alike(query, scene))
        case RelationQuery(_, left, right):
            line = _line_of(query)
            looks = WhereQuery(left, line), WhereQuery(right, line)
        case NeighbourQuery(attribute, _, anchor):
            beside = _beside(query, scene)
            place = Description(row=beside.row, col=beside.col)
            looks = WhereQuery(anchor), AttributeQuery(attribute, place)
    if isinstance(query, CountQuery | ExistenceQuery) and not find_all(scene, query.target):
        return looks[:1]
    return looks


def is_useful(query: Query, scene: Scene, asked: str) -> bool:
    """Whether a question is one that the answer or its rationale needs."""
    return read_sub_query(asked) in useful_queries(query, scene)


def ideal_monologue(query: Query, scene: Scene, rng: random.Random) -> SceneMonologue:
    """Returns a monologue that looks at what matters. Raises ValueError where the query presumes
    what the scene does not have."""
    looks = tuple(_look(one, scene) for one in useful_queries(query, scene))
    rationale = _rationale(query, scene, [look.observed for look in looks])
    return SceneMonologue(looks, _answer(query, scene), rationale or explain(query, scene, rng))


def useless_monologue(query: Query, scene: Scene, rng: random.Random) -> SceneMonologue:
    """Returns a monologue that looks at other things, and answers rightly all the same. Raises
    ValueError as `ideal_monologue` does."""
    useful = useful_queries(query, scene)
    named = [
        AttributeQuery(attribute, target)
        for obj in scene.objects
        for attribute in ATTRIBUTES
        for target in unique_descriptions(scene, obj, exclude=(attribute,))[:1]
    ]
    others = [one for one in named if one not in useful]
    looks = tuple(_look(one, scene) for one in rng.sample(others, min(len(useful), len(others))))
    return SceneMonologue(looks, _answer(query, scene), explain(query, scene, rng))


def _look(query: SubQuery, scene: Scene) -> Look:
    observed = answer_sub_query(query, scene)
    if observed is None:
        raise ValueError(f"nothing in the scene answers “{word_sub_query(query)}”")
    return Look(word_sub_query(query), observed)


def _answer(query: Query, scene: Scene) -> str:
    answer = answer_query(query, scene)
    if answer is None:
        raise ValueError("the query presumes what the scene does not have")
    return answer


def _other_than(attribute: str) -> str:
    """Another attribute, the same for all things: the shape, or the material of a shape."""
    return next(name for name in reversed(ATTRIBUTES) if name != attribute)


def _half(target: Description, value: int) -> Description:
    """The same things, but small (0) or large ones (1); where the size is said, by material."""
    name = "size" if target.size is None else "material"
    return target.saying({name: ATTRIBUTES[name][value]})


def _alike(query: SameAttributeQuery, scene: Scene) -> Description:
    """The second thing of a comparison, with what the first one has."""
    first = find_one(scene, query.left)
    if first is None:
        raise ValueError("the query compares things that the scene does not have")
    return query.right.saying({query.attribute: first.value(query.attribute)})


def _line_of(query: RelationQuery) -> Literal["row", "column"]:
    """Returns what decides a relation: rows for above and below, columns for left and right."""
    return "row" if STEP[query.direction][0] else "column"


def _beside(query: NeighbourQuery, scene: Scene) -> Obj:
    anchor = find_one(scene, query.anchor)
    beside = neighbour(scene, anchor, query.direction) if anchor else None
    if beside is None:
        raise ValueError("the query asks for a neighbour that the scene does not have")
    return beside


# ---------------------------------------------------------------- rationales of what was observed
def _rationale(query: Query, scene: Scene, observed: Sequence[str]) -> str | None:
    """Returns the rationale that says what the looks showed; None where they showed too little."""
    if len(observed) < 2:
        return None
    one, other = observed
    text: str | None
    match query:
        case AttributeQuery(attribute, target):
            text = _of_attribute(attribute, target, one, other)
        case CountQuery(target):
            text = _of_count(target, NUMBER_WORDS.index(one), NUMBER_WORDS.index(other))
        case ExistenceQuery(target):
            text = f"there is a {noun(_half(target, 0 if other == 'yes' else 1))}"
        case CountComparisonQuery(_, left, right):
            n_left, n_right = NUMBER_WORDS.index(other), len(find_all(scene, right))
            text = f"i count {how_many(n_left, left)} and {how_many(n_right, right)}"
        case SameAttributeQuery(attribute, left, _):
            found = f"there is {'a' if other == 'yes' else 'no'} {noun(_alike(query, scene))}"
            text = f"the {noun(left)} is {is_value(attribute, one)} and {found}"
        case RelationQuery(_, left, right):
            line = _line_of(query)
            text = f"{_in_line(left, one, line)} and {_in_line(right, other, line)}"
        case NeighbourQuery(attribute, _, anchor):
            beside = _beside(query, scene)
            thing = f"the thing {place_words(beside.row, beside.col)}"
            text = f"the {noun(anchor)} is in the {one} and {thing} is {is_value(attribute, other)}"
    return text


def _in_line(target: Description, place: str, line: str) -> str:
    return f"the {noun(target)} is in the {place} {line}"


def _of_attribute(attribute: str, target: Description, value: str, second: str) -> str:
    is_so = is_value(attribute, value)
    if target.row is None or target.col is None:
        return f"the {noun(target)} is in the {second} and it is {is_so}"
    known = Description().saying({_other_than(attribute): second})
    return f"the {noun(known)} {place_words(target.row, target.col)} is {is_so}"


def _of_count(target: Description, n_all: int, n_first: int) -> str | None:
    halves = ((n_first, _half(target, 0)), (n_all - n_first, _half(target, 1)))
    there = [how_many(number, half) for number, half in halves if number > 0]
    return f"i count {' and '.join(there)}" if there else None
