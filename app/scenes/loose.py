"""Loose explanations, as one finds them under pictures: often wrong, beside the point or empty.

The demo model learns from them besides careful ones. They share the careful ones' openings and
words: what differs is what they say. How careful the writers are depends on how the question was
put, so a model finds out that careful explanations exist without making them its habit.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from app.scenes.questions.draw import Question, describe, unique_descriptions
from app.scenes.questions.queries import (
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
)
from app.scenes.questions.words import noun
from app.scenes.rationales import (
    SEE,
    explain,
    how_many,
    is_value,
    place_of,
)
from app.scenes.scene import ATTRIBUTES, N_CELLS, N_COLS, Obj, Scene, random_object, random_scene

# Share of careful explanations by the wording of the question.
CAREFUL_SHARES: Final = (0.50, 0.25, 0.12, 0.05)

_VAGUE: Final = (
    "it looks like that",
    "i can see it in the picture",
    "that is what the picture shows",
    "it is clear to see",
    "there is nothing else to see",
    "the picture shows it",
)


def found_explanation(question: Question, scene: Scene, rng: random.Random) -> str:
    """Returns an explanation as the model meets it: careful or loose."""
    if rng.random() < CAREFUL_SHARES[question.wording]:
        return explain(question.query, scene, rng)
    return loose_explanation(question, scene, rng)


def loose_explanation(question: Question, scene: Scene, rng: random.Random) -> str:
    draw = rng.choices(_STYLES, weights=_STYLE_WEIGHTS)[0]
    return draw(question, scene, rng)


def _of_another_picture(question: Question, scene: Scene, rng: random.Random) -> str:
    """Would be right for a picture with other things in other places and the same answer."""
    for attempt in range(24):
        other = random_scene(rng) if attempt < 16 else _rearranged(scene, rng)
        if answer_query(question.query, other) == question.answer:
            return explain(question.query, other, rng)
    return _beside_the_point(question, scene, rng)


def _rearranged(scene: Scene, rng: random.Random) -> Scene:
    cells = rng.sample(range(N_CELLS), len(scene.objects))
    objects = []
    for obj, cell in zip(scene.objects, cells, strict=True):
        row, col = divmod(cell, N_COLS)
        values = {name: obj.value(name) for name in ATTRIBUTES}
        if rng.random() < 0.5:
            name = rng.choice(tuple(ATTRIBUTES))
            values[name] = random_object(rng, cell).value(name)
        objects.append(Obj(row=row, col=col, **values))
    return Scene(tuple(sorted(objects, key=lambda obj: obj.cell)))


def _beside_the_point(question: Question, scene: Scene, rng: random.Random) -> str:
    """True, but about things that the question is not about, where there are such."""
    asked = _asked(question.query)
    others = [obj for obj in scene.objects if not any(target.matches(obj) for target in asked)]
    obj = rng.choice(others or scene.objects)
    names = tuple(name for name in ATTRIBUTES if name == "shape" or rng.random() < 0.5)
    words = noun(describe(obj, names))
    unique = unique_descriptions(scene, obj)
    texts = [f"{see} a {words} {place_of(obj)}" for see in SEE]
    texts += [f"{see} a {words}" for see in SEE]
    if unique:
        name = rng.choice(tuple(ATTRIBUTES))
        target = noun(rng.choice(unique))
        texts.append(f"the {target} is {place_of(obj)}")
        texts.append(f"the only {target} is {place_of(obj)}")
        texts.append(f"the {target} is {is_value(name, obj.value(name))}")
    return rng.choice(texts)


def _asked(query: Query) -> tuple[Description, ...]:
    match query:
        case AttributeQuery(_, target) | CountQuery(target) | ExistenceQuery(target):
            return (target,)
        case CountComparisonQuery(_, left, right):
            return (left, right)
        case SameAttributeQuery(_, left, right) | RelationQuery(_, left, right):
            return (left, right)
        case NeighbourQuery(_, _, anchor):
            return (anchor,)


def _said_again(question: Question, scene: Scene, rng: random.Random) -> str:
    """The answer once more, as a sentence."""
    query, answer = question.query, question.answer
    match query:
        case AttributeQuery(attribute, target):
            value = is_value(attribute, answer)
            if target.row is None or target.col is None:
                return rng.choice((f"the {noun(target)} is {value}", f"it is {value}"))
            obj = find_one(scene, target)
            place = place_of(obj) if obj else ""
            return rng.choice((f"the thing {place} is {value}", f"it is {value}"))
        case CountQuery(target):
            count = how_many(len(find_all(scene, target)), target)
            be = "is" if answer == "one" else "are"
            return rng.choice((f"there {be} {count}", f"i see {count}", f"i count {count}"))
        case ExistenceQuery(target):
            article = "a" if answer == "yes" else "no"
            return f"{rng.choice(SEE)} {article} {noun(target)}"
        case NeighbourQuery(attribute, direction, anchor):
            value = is_value(attribute, answer)
            beside = f"the thing directly {direction.value} the {noun(anchor)}"
            return rng.choice((f"{beside} is {value}", f"it is {value}"))
        case CountComparisonQuery() | SameAttributeQuery() | RelationQuery():
            return _pair_again(query, answer, rng)


def _pair_again(
    query: CountComparisonQuery | SameAttributeQuery | RelationQuery,
    answer: str,
    rng: random.Random,
) -> str:
    is_yes = answer == "yes"
    match query:
        case CountComparisonQuery(relation, one, other):
            left, right = noun(one, plural=True), noun(other, plural=True)
            if relation == "same":
                return f"there are {'' if is_yes else 'not '}as many {left} as {right}"
            return f"there are {'' if is_yes else 'not '}{relation} {left} than {right}"
        case SameAttributeQuery(attribute, one, other):
            left, right = f"the {noun(one)}", f"the {noun(other)}"
            word = "same" if is_yes else "different"
            if is_yes:
                return rng.choice((f"{left} has the same {attribute} as {right}",
                                   f"both have the same {attribute}"))  # fmt: skip
            return f"they have {word} {attribute}s"
        case RelationQuery(direction, one, other):
            word = "is" if is_yes else "is not"
            return f"the {noun(one)} {word} {direction.value} the {noun(other)}"


def _vague(question: Question, scene: Scene, rng: random.Random) -> str:  # noqa: ARG001
    return rng.choice(_VAGUE)


_Style = Callable[[Question, Scene, random.Random], str]
_STYLES: Final[tuple[_Style, ...]] = (_of_another_picture, _beside_the_point, _said_again, _vague)
_STYLE_WEIGHTS: Final = (0.28, 0.34, 0.28, 0.10)
