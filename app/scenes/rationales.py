"""Gold rationales: true of the scene, more than the answer said again, and enough to justify it.

Texts read on from "..., seeing that". Each query has many wordings; all of them are accepted by the
exact critic (a property test holds the two together).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.scenes.questions.draw import describe
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    OPPOSITE,
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    Description,
    Direction,
    ExistenceQuery,
    NeighbourQuery,
    Query,
    RelationQuery,
    SameAttributeQuery,
    find_all,
    find_one,
    is_in_direction,
    neighbour,
)
from app.scenes.questions.words import noun, place_words
from app.scenes.scene import ATTRIBUTES, COLS, ROWS, Obj, Scene

SEE: Final = ("there is", "i see", "we see", "the picture shows")
SEE_MANY: Final = ("there are", "i see", "i count", "the picture shows")


def gold_rationales(query: Query, scene: Scene, rng: random.Random, n: int = 3) -> list[str]:
    """Returns up to `n` different careful rationales."""
    texts: list[str] = []
    for _ in range(8 * n):
        text = explain(query, scene, rng)
        if text not in texts:
            texts.append(text)
        if len(texts) == n:
            break
    return texts


def explain(query: Query, scene: Scene, rng: random.Random) -> str:
    """Returns one careful rationale for the right answer, in a wording drawn at random."""
    match query:
        case AttributeQuery():
            texts = _attribute(query, scene, rng)
        case CountQuery(target):
            texts = _count(target, scene, rng)
        case ExistenceQuery(target):
            is_there = bool(find_all(scene, target))
            texts = _present(target, scene, rng) if is_there else _absent(target, scene)
        case CountComparisonQuery():
            texts = _count_comparison(query, scene)
        case SameAttributeQuery():
            texts = _same_attribute(query, scene)
        case RelationQuery():
            texts = _relation(query, scene)
        case NeighbourQuery():
            texts = _neighbour(query, scene, rng)
    return rng.choice(texts)


# ------------------------------------------------------------------------------------ word parts


def place_of(obj: Obj) -> str:
    return place_words(obj.row, obj.col)


def is_value(attribute: str, value: str) -> str:
    """Returns the value as it follows "is": `red`, but `a cube`."""
    return f"a {value}" if attribute == "shape" else value


def are_value(attribute: str, value: str) -> str:
    return f"{value}s" if attribute == "shape" else value


def how_many(number: int, target: Description) -> str:
    """Returns a number of things in words: `no cubes`, `one cube`, `two cubes`."""
    word = "no" if number == 0 else NUMBER_WORDS[number]
    return f"{word} {noun(target, plural=number != 1)}"


def join(parts: Sequence[str], word: str = "and") -> str:
    return f" {word} ".join(parts)


def _extended(target: Description, obj: Obj, names: Sequence[str]) -> Description:
    """Returns `target` without its place, with these attributes of `obj` added."""
    more = {name: obj.value(name) for name in names}
    return replace(target, row=None, col=None).saying(more)


def _free_attributes(target: Description, *taken: str) -> list[str]:
    return [name for name in ATTRIBUTES if name not in target.attributes() and name not in taken]


# ------------------------------------------------------------------------------------- attribute


def _attribute(query: AttributeQuery, scene: Scene, rng: random.Random) -> list[str]:
    obj = find_one(scene, query.target)
    if obj is None:
        raise ValueError("the query asks for one thing that the scene does not have")
    free = _free_attributes(query.target, query.attribute)
    extra = rng.choice(free) if free else query.attribute
    said = _extended(query.target, obj, (query.attribute,))
    more = _extended(query.target, obj, (query.attribute, extra))
    place, value = place_of(obj), is_value(query.attribute, obj.value(query.attribute))
    texts = [f"{see} a {noun(more)} {place}" for see in SEE]
    texts.append(f"it is the {noun(more)} {place}")
    texts.append(f"{place} there is a {noun(more)}")
    if query.target.has_place():
        known = _extended(query.target, obj, (extra,))
        texts.append(f"the thing {place} is a {noun(more)}")
        texts.append(f"the {noun(known)} {place} is {value}")
        return texts
    texts += [f"{see} a {noun(said)} {place}" for see in SEE[:2]]
    texts.append(f"the {noun(query.target)} {place} is {value}")
    texts.append(f"the only {noun(query.target)} is {place} and it is {value}")
    texts.append(f"the {noun(query.target)} is {place} and it is {value}")
    return texts


# ----------------------------------------------------------------------------- count, existence


def _count(target: Description, scene: Scene, rng: random.Random) -> list[str]:
    found = find_all(scene, target)
    if not found:
        return _absent(target, scene)
    extra = rng.choice(_free_attributes(target))
    if len(found) == 1:
        return _count_one(target, found[0], extra)
    groups = [
        how_many(sum(obj.value(extra) == value for obj in found), target.saying({extra: value}))
        for value in ATTRIBUTES[extra]
        if any(obj.value(extra) == value for obj in found)
    ]
    opening = SEE_MANY if not groups[0].startswith("one") else ("there is", *SEE_MANY[1:])
    texts = [f"{see} {join(groups)}" for see in opening]
    if len(found) <= 3:
        places = [place_of(obj) for obj in found]
        texts.append(f"the {noun(target, plural=True)} are {join(places)}")
        texts.append(f"there is one {join(places, 'and one')}")
        texts.append(f"i see one {join(places, 'and one')}")
    return texts


def _count_one(target: Description, obj: Obj, extra: str) -> list[str]:
    words, place = noun(target), place_of(obj)
    more = noun(target.saying({extra: obj.value(extra)}))
    return [
        f"the only {words} is {place}",
        f"the only {words} is {is_value(extra, obj.value(extra))}",
        f"there is just one {words} and it is {place}",
        f"there is only one {words} and it is {is_value(extra, obj.value(extra))}",
        f"i see only one {more} {place}",
        f"i count one {more} {place}",
    ]


def _present(target: Description, scene: Scene, rng: random.Random) -> list[str]:
    obj = rng.choice(find_all(scene, target))
    place = place_of(obj)
    extra = rng.choice(_free_attributes(target))
    more = noun(target.saying({extra: obj.value(extra)}))
    texts = [f"{see} a {more} {place}" for see in SEE]
    texts += [f"{see} a {noun(target)} {place}" for see in SEE]
    texts += [f"there is a {more}", f"i see a {more}", f"there is one {place}"]
    texts.append(f"{place} there is a {noun(target)}")
    texts.append(f"the thing {place} is a {more}")
    return texts


def _absent(target: Description, scene: Scene) -> list[str]:
    """Why nothing fits: of each attribute's things, what else they are."""
    texts: list[str] = []
    said = target.attributes()
    if len(said) == 1:
        ((name, _),) = said.items()
        return _only(name, scene)
    for name, value in said.items():
        group = Description().saying({name: value})
        members = find_all(scene, group)
        plural = noun(group, plural=True)
        if not members:
            texts += [f"there are no {plural} at all", f"i see no {plural} at all"]
            texts += [f"there is not a single {noun(group)}"]
            continue
        for other in said:
            if other == name:
                continue
            values = _values(members, other)
            if said[other] in values:
                continue
            if len(members) == 1:
                texts.append(f"the only {noun(group)} is {is_value(other, values[0])}")
                texts.append(f"there is one {noun(group)} but it is {is_value(other, values[0])}")
                continue
            words = [are_value(other, item) for item in values]
            texts.append(f"all {plural} are {join(words, 'or')}")
            texts.append(f"the {plural} are {join(words)}")
            texts.append(f"the only {plural} are {join(words)}")
    return texts


def _values(objects: Sequence[Obj], attribute: str) -> list[str]:
    there = {obj.value(attribute) for obj in objects}
    return [value for value in ATTRIBUTES[attribute] if value in there]


def _only(attribute: str, scene: Scene) -> list[str]:
    values = _values(scene.objects, attribute)
    plural = join([noun(Description().saying({attribute: value}), plural=True) for value in values])
    one_of = join([is_value(attribute, value) for value in values], "or")
    any_of = join([are_value(attribute, value) for value in values], "or")
    return [
        f"there are only {plural}",
        f"i see only {plural}",
        f"the picture shows only {plural}",
        f"everything is {one_of}",
        f"all things are {any_of}",
    ]


# ------------------------------------------------------------------------------------ comparison


def _count_comparison(query: CountComparisonQuery, scene: Scene) -> list[str]:
    n_left, n_right = len(find_all(scene, query.left)), len(find_all(scene, query.right))
    left, right = how_many(n_left, query.left), how_many(n_right, query.right)
    are_left, are_right = ("is" if n == 1 else "are" for n in (n_left, n_right))
    texts = [
        f"there {are_left} {left} and {right}",
        f"there {are_right} {right} and {left}",
        f"there {are_left} {left} and there {are_right} {right}",
        f"i see {left} and {right}",
        f"i count {left} and {right}",
        f"the picture shows {left} and {right}",
    ]
    if n_left > n_right > 0:
        texts += [f"there are {left} but only {right}", f"i see {left} but only {right}"]
    if n_right > n_left > 0:
        texts += [f"there {are_left} only {left} but {right}", f"i see {right} but only {left}"]
    return texts


def _same_attribute(query: SameAttributeQuery, scene: Scene) -> list[str]:
    one, other = find_one(scene, query.left), find_one(scene, query.right)
    if one is None or other is None:
        raise ValueError("the query compares things that the scene does not have")
    left, right = f"the {noun(query.left)}", f"the {noun(query.right)}"
    value, value_right = one.value(query.attribute), other.value(query.attribute)
    is_left, is_right = is_value(query.attribute, value), is_value(query.attribute, value_right)
    texts = [
        f"{left} is {is_left} and {right} is {is_right}",
        f"{right} is {is_right} and {left} is {is_left}",
    ]
    if value == value_right:
        both = are_value(query.attribute, value)
        return [
            *texts,
            f"both are {both}",
            f"both things are {both}",
            f"{left} and {right} are both {both}",
            f"{left} is {is_left} and {right} is {is_right} too",
        ]
    texts.append(f"{left} is {is_left} but {right} is {is_right}")
    texts.append(f"{left} is {is_left} while {right} is {is_right}")
    if len(ATTRIBUTES[query.attribute]) > 2:
        # Of two possible values this would only say once more that they differ.
        texts.append(f"one is {is_left} and the other is {is_right}")
    return texts


# --------------------------------------------------------------------------------------- spatial


def _line_of(obj: Obj, direction: Direction) -> str:
    if direction in (Direction.LEFT, Direction.RIGHT):
        return f"in the {COLS[obj.col]} column"
    return f"in the {ROWS[obj.row]} row"


def _relation(query: RelationQuery, scene: Scene) -> list[str]:
    one, other = find_one(scene, query.left), find_one(scene, query.right)
    if one is None or other is None:
        raise ValueError("the query relates things that the scene does not have")
    left, right = f"the {noun(query.left)}", f"the {noun(query.right)}"
    line_left, line_right = _line_of(one, query.direction), _line_of(other, query.direction)
    texts = [
        f"{left} is {place_of(one)} and {right} is {place_of(other)}",
        f"{right} is {place_of(other)} and {left} is {place_of(one)}",
    ]
    if line_left == line_right:
        return [
            *texts,
            f"both are {line_left}",
            f"both things are {line_left}",
            f"{left} and {right} are both {line_left}",
        ]
    texts += [
        f"{left} is {line_left} and {right} is {line_right}",
        f"{right} is {line_right} and {left} is {line_left}",
        f"{left} is {line_left} while {right} is {line_right}",
    ]
    opposite = OPPOSITE[query.direction]
    if is_in_direction(one, other, opposite):
        texts.append(f"{left} is {opposite.value} {right}")
        texts.append(f"{left} is {line_left} but {right} is {line_right}")
    return texts


def _neighbour(query: NeighbourQuery, scene: Scene, rng: random.Random) -> list[str]:
    anchor = find_one(scene, query.anchor)
    obj = neighbour(scene, anchor, query.direction) if anchor else None
    if anchor is None or obj is None:
        raise ValueError("the query asks for a neighbour that the scene does not have")
    # What the anchor alone is, others cannot be: next to "the small thing" all things are large.
    known = {name for name in query.anchor.attributes() if len(ATTRIBUTES[name]) == 2}
    extra = rng.choice([name for name in ATTRIBUTES if name not in {query.attribute, *known}])
    more = noun(describe(obj, (query.attribute, extra)))
    said = noun(describe(obj, (query.attribute,)))
    value = is_value(query.attribute, obj.value(query.attribute))
    words = f"the {noun(query.anchor)}"
    beside = f"directly {query.direction.value} {words}"
    return [
        f"there is a {more} {beside}",
        f"i see a {more} {beside}",
        f"the picture shows a {more} {beside}",
        f"the thing {beside} is a {more}",
        f"{words} is {place_of(anchor)} and there is a {said} {place_of(obj)}",
        f"{words} is {place_of(anchor)} and the thing {place_of(obj)} is {value}",
    ]
