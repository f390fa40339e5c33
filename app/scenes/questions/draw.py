"""Drawing questions about a scene: `ask` draws one of a kind, with balanced answers."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.scenes.questions.queries import (
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    Description,
    Direction,
    ExistenceQuery,
    Kind,
    NeighbourQuery,
    Query,
    RelationQuery,
    SameAttributeQuery,
    answer_query,
    find_all,
    is_in_direction,
    neighbour,
    yes_no,
)
from app.scenes.questions.words import N_WORDINGS, word_query
from app.scenes.scene import ATTRIBUTES, Obj, Scene


@dataclass(frozen=True, slots=True)
class Question:
    """A query in words with its answer; `wording` is the number of the wording that was used."""

    query: Query
    text: str
    answer: str
    wording: int


def ask(scene: Scene, kind: Kind, rng: random.Random) -> Question | None:
    """Returns a question of this kind with answers drawn evenly, or None where the
    scene has none.
    """
    query = _DRAW[kind](scene, rng)
    if query is None:
        return None
    answer = answer_query(query, scene)
    if answer is None:
        return None
    wording = rng.randrange(N_WORDINGS)
    return Question(query, word_query(query, wording), answer, wording)


def describe(obj: Obj, names: Iterable[str]) -> Description:
    return Description().saying({name: obj.value(name) for name in names})


def unique_descriptions(scene: Scene, obj: Obj, exclude: Sequence[str] = ()) -> list[Description]:
    """Returns the shortest attribute descriptions that fit only `obj`, `exclude` unused."""
    names = [name for name in ATTRIBUTES if name not in exclude]
    for length in range(1, len(names) + 1):
        found = [
            target
            for target in (describe(obj, pick) for pick in _picks(names, length))
            if len(find_all(scene, target)) == 1
        ]
        if found:
            return found
    return []


def _picks(names: Sequence[str], length: int) -> list[tuple[str, ...]]:
    if length == 0:
        return [()]
    return [
        (name, *rest)
        for position, name in enumerate(names)
        for rest in _picks(names[position + 1 :], length - 1)
    ]


def _draw_attribute(scene: Scene, rng: random.Random) -> Query | None:
    attribute = rng.choice(tuple(ATTRIBUTES))
    obj = rng.choice(scene.objects)
    by_place = Description(row=obj.row, col=obj.col)
    found = unique_descriptions(scene, obj, exclude=(attribute,))
    target = rng.choice(found) if found and rng.random() < 0.7 else by_place
    return AttributeQuery(attribute, target)


def _any_description(rng: random.Random, *, pair_share: float) -> Description:
    color, shape = rng.choice(ATTRIBUTES["color"]), rng.choice(ATTRIBUTES["shape"])
    size, material = rng.choice(ATTRIBUTES["size"]), rng.choice(ATTRIBUTES["material"])
    if rng.random() < pair_share:
        options = [
            Description(color=color, shape=shape),
            Description(size=size, shape=shape),
            Description(material=material, shape=shape),
            Description(size=size, color=color),
            Description(color=color, material=material),
        ]
    else:
        options = [
            Description(color=color),
            Description(color=color),
            Description(shape=shape),
            Description(shape=shape),
            Description(size=size),
            Description(material=material),
        ]
    return rng.choice(options)


# Weight of each count among questions; how often scenes offer it does not matter.
_COUNT_WEIGHTS: Final = (1.0, 1.3, 1.3, 1.0, 0.6, 0.3, 0.15)


def _draw_count(scene: Scene, rng: random.Random) -> Query | None:
    by_count: dict[int, list[Description]] = {}
    for _ in range(14):
        target = _any_description(rng, pair_share=0.35)
        by_count.setdefault(len(find_all(scene, target)), []).append(target)
    counts = sorted(by_count)
    count = rng.choices(counts, weights=[_COUNT_WEIGHTS[n] for n in counts])[0]
    return CountQuery(rng.choice(by_count[count]))


def _draw_existence(scene: Scene, rng: random.Random) -> Query | None:
    is_wanted = rng.random() < 0.5
    for _ in range(12):
        target = _any_description(rng, pair_share=0.75)
        if rng.random() < 0.7:
            # Near misses: one attribute comes from a thing that is there.
            near = rng.choice(scene.objects)
            name = rng.choice(tuple(target.attributes()))
            target = target.saying({name: near.value(name)})
        if bool(find_all(scene, target)) == is_wanted:
            return ExistenceQuery(target)
    return None


def _draw_comparison(scene: Scene, rng: random.Random) -> Query | None:
    return _draw_same(scene, rng) if rng.random() < 0.5 else _draw_count_comparison(scene, rng)


def _draw_count_comparison(scene: Scene, rng: random.Random) -> Query | None:
    is_wanted = rng.random() < 0.5
    name = rng.choice(("color", "shape", "shape", "size", "material"))
    there = sorted({obj.value(name) for obj in scene.objects})
    for _ in range(12):
        relation = rng.choice(("more", "fewer", "same"))
        left, right = rng.sample(ATTRIBUTES[name], 2)
        if left not in there and right not in there:
            continue
        query = CountComparisonQuery(
            relation, Description().saying({name: left}), Description().saying({name: right})
        )
        if answer_query(query, scene) == yes_no(is_wanted):
            return query
    return None


def _draw_pair(
    scene: Scene, rng: random.Random, exclude: Sequence[str] = ()
) -> tuple[Obj, Obj, Description, Description] | None:
    left, right = rng.sample(scene.objects, 2)
    named_left = unique_descriptions(scene, left, exclude)
    named_right = unique_descriptions(scene, right, exclude)
    if not named_left or not named_right:
        return None
    return left, right, rng.choice(named_left), rng.choice(named_right)


def _draw_same(scene: Scene, rng: random.Random) -> Query | None:
    is_wanted = rng.random() < 0.5
    for _ in range(20):
        attribute = rng.choice(tuple(ATTRIBUTES))
        pair = _draw_pair(scene, rng, exclude=(attribute,))
        if pair and (pair[0].value(attribute) == pair[1].value(attribute)) == is_wanted:
            return SameAttributeQuery(attribute, pair[2], pair[3])
    return None


def _draw_spatial(scene: Scene, rng: random.Random) -> Query | None:
    return _draw_relation(scene, rng) if rng.random() < 0.65 else _draw_neighbour(scene, rng)


def _draw_relation(scene: Scene, rng: random.Random) -> Query | None:
    is_wanted = rng.random() < 0.5
    for _ in range(20):
        direction = rng.choice(tuple(Direction))
        pair = _draw_pair(scene, rng)
        if pair and is_in_direction(pair[0], pair[1], direction) == is_wanted:
            return RelationQuery(direction, pair[2], pair[3])
    return None


def _draw_neighbour(scene: Scene, rng: random.Random) -> Query | None:
    attribute = rng.choice(tuple(ATTRIBUTES))
    # "The size of the thing next to the large thing" would answer itself.
    exclude = (attribute,) if len(ATTRIBUTES[attribute]) == 2 else ()
    options = [
        (anchor, direction)
        for anchor in scene.objects
        for direction in Direction
        if neighbour(scene, anchor, direction)
    ]
    rng.shuffle(options)
    for anchor, direction in options:
        named = unique_descriptions(scene, anchor, exclude)
        if named:
            return NeighbourQuery(attribute, direction, rng.choice(named))
    return None


_DRAW: Final[dict[Kind, Callable[[Scene, random.Random], Query | None]]] = {
    Kind.ATTRIBUTE: _draw_attribute,
    Kind.COUNT: _draw_count,
    Kind.EXISTENCE: _draw_existence,
    Kind.COMPARISON: _draw_comparison,
    Kind.SPATIAL: _draw_spatial,
}
