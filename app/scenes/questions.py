"""Questions about scenes: their structured form, their answers and their wordings.

A `Query` is what is asked, free of wording. `ask` draws one about a scene with balanced answers,
`answer_query` answers it, `word_query` words it; `app.scenes.question_parser` reads it back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.scenes.scene import ATTRIBUTES, COLS, ROWS, Obj, Scene

NUMBER_WORDS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip


class Kind(StrEnum):
    ATTRIBUTE = "attribute"
    COUNT = "count"
    EXISTENCE = "existence"
    COMPARISON = "comparison"
    SPATIAL = "spatial"


class Direction(StrEnum):
    LEFT = "left of"
    RIGHT = "right of"
    ABOVE = "above"
    BELOW = "below"


# Direction -> (rows down, columns right) of the first thing as seen from the second.
STEP: Final[dict[Direction, tuple[int, int]]] = {
    Direction.LEFT: (0, -1),
    Direction.RIGHT: (0, 1),
    Direction.ABOVE: (-1, 0),
    Direction.BELOW: (1, 0),
}
OPPOSITE: Final[dict[Direction, Direction]] = {
    Direction.LEFT: Direction.RIGHT,
    Direction.RIGHT: Direction.LEFT,
    Direction.ABOVE: Direction.BELOW,
    Direction.BELOW: Direction.ABOVE,
}


@dataclass(frozen=True, slots=True)
class Description:
    """The attributes that a noun phrase gives a thing; None where it says nothing of one."""

    size: str | None = None
    color: str | None = None
    material: str | None = None
    shape: str | None = None
    row: int | None = None
    col: int | None = None

    def attributes(self) -> dict[str, str]:
        """Returns the attributes that are said, in spoken order."""
        pairs = ((name, getattr(self, name)) for name in ATTRIBUTES)
        return {name: value for name, value in pairs if value is not None}

    def matches(self, obj: Obj) -> bool:
        return (
            all(obj.value(name) == value for name, value in self.attributes().items())
            and self.row in (None, obj.row)
            and self.col in (None, obj.col)
        )

    def saying(self, values: Mapping[str, str]) -> Description:
        """Returns a copy with these attributes added or replaced."""
        said = {**self.attributes(), **values}
        color, shape = said.get("color"), said.get("shape")
        return Description(said.get("size"), color, said.get("material"), shape, self.row, self.col)

    def has_place(self) -> bool:
        return self.row is not None or self.col is not None


@dataclass(frozen=True, slots=True)
class AttributeQuery:
    """Asks for the value of `attribute` of the one thing that fits `target`."""

    attribute: str
    target: Description
    kind: Kind = field(default=Kind.ATTRIBUTE, init=False)


@dataclass(frozen=True, slots=True)
class CountQuery:
    target: Description
    kind: Kind = field(default=Kind.COUNT, init=False)


@dataclass(frozen=True, slots=True)
class ExistenceQuery:
    target: Description
    kind: Kind = field(default=Kind.EXISTENCE, init=False)


@dataclass(frozen=True, slots=True)
class CountComparisonQuery:
    """`relation` is more, fewer or same: left against right."""

    relation: str
    left: Description
    right: Description
    kind: Kind = field(default=Kind.COMPARISON, init=False)


@dataclass(frozen=True, slots=True)
class SameAttributeQuery:
    """Have the one thing `left` and the one thing `right` the same `attribute`?"""

    attribute: str
    left: Description
    right: Description
    kind: Kind = field(default=Kind.COMPARISON, init=False)


@dataclass(frozen=True, slots=True)
class RelationQuery:
    """Is the one thing `left` in `direction` of the one thing `right` (rows or columns only)?"""

    direction: Direction
    left: Description
    right: Description
    kind: Kind = field(default=Kind.SPATIAL, init=False)


@dataclass(frozen=True, slots=True)
class NeighbourQuery:
    """Asks for the `attribute` of the thing in the cell next to `anchor` in `direction`."""

    attribute: str
    direction: Direction
    anchor: Description
    kind: Kind = field(default=Kind.SPATIAL, init=False)


Query = (
    AttributeQuery
    | CountQuery
    | ExistenceQuery
    | CountComparisonQuery
    | SameAttributeQuery
    | RelationQuery
    | NeighbourQuery
)


@dataclass(frozen=True, slots=True)
class Question:
    """A query in words with its answer; `wording` is the number of the wording that was used."""

    query: Query
    text: str
    answer: str
    wording: int


# ------------------------------------------------------------------------------------- answering


def find_all(scene: Scene, target: Description) -> list[Obj]:
    return [obj for obj in scene.objects if target.matches(obj)]


def find_one(scene: Scene, target: Description) -> Obj | None:
    found = find_all(scene, target)
    return found[0] if len(found) == 1 else None


def neighbour(scene: Scene, obj: Obj, direction: Direction) -> Obj | None:
    down, right = STEP[direction]
    return find_one(scene, Description(row=obj.row + down, col=obj.col + right))


def is_in_direction(left: Obj, right: Obj, direction: Direction) -> bool:
    down, across = STEP[direction]
    return (left.row - right.row) * down + (left.col - right.col) * across > 0


def answer_query(query: Query, scene: Scene) -> str | None:
    """Returns the answer, or None where the query presumes what the scene does not have."""
    match query:
        case AttributeQuery(attribute, target):
            obj = find_one(scene, target)
            return obj.value(attribute) if obj else None
        case CountQuery(target):
            return NUMBER_WORDS[len(find_all(scene, target))]
        case ExistenceQuery(target):
            return _yes_no(bool(find_all(scene, target)))
        case CountComparisonQuery(relation, left, right):
            difference = len(find_all(scene, left)) - len(find_all(scene, right))
            return _yes_no(
                {"more": difference > 0, "fewer": difference < 0, "same": difference == 0}[relation]
            )
        case NeighbourQuery(attribute, direction, anchor):
            obj = find_one(scene, anchor)
            other = neighbour(scene, obj, direction) if obj else None
            return other.value(attribute) if other else None
        case SameAttributeQuery() | RelationQuery():
            return _answer_pair(query, scene)


def _answer_pair(query: SameAttributeQuery | RelationQuery, scene: Scene) -> str | None:
    left, right = find_one(scene, query.left), find_one(scene, query.right)
    if left is None or right is None or left == right:
        return None
    if isinstance(query, SameAttributeQuery):
        return _yes_no(left.value(query.attribute) == right.value(query.attribute))
    return _yes_no(is_in_direction(left, right, query.direction))


def _yes_no(fact: bool) -> str:
    return "yes" if fact else "no"


# --------------------------------------------------------------------------------------- wording


def noun(target: Description, *, plural: bool = False) -> str:
    """Returns the words of a description without its place: `small red metal cube`,
    `red things`.
    """
    said = target.attributes()
    head = said.pop("shape", "thing")
    return " ".join([*said.values(), head + "s" if plural else head])


def place_name(row: int, col: int) -> str:
    """Returns the name of a place: `top left`; that of the middle of the grid is `center`."""
    if row == 1:
        return "center" if col == 1 else f"middle {COLS[col]}"
    return f"{ROWS[row]} {COLS[col]}"


def place_words(row: int, col: int) -> str:
    """Returns a place in words: `in the top left`; the middle of the grid is `in the center`."""
    return f"in the {place_name(row, col)}"


def phrase(target: Description, *, plural: bool = False) -> str:
    """Returns a description with its place, without an article."""
    words = noun(target, plural=plural)
    if target.row is not None and target.col is not None:
        return f"{words} {place_words(target.row, target.col)}"
    if target.row is not None:
        return f"{words} in the {ROWS[target.row]} row"
    if target.col is not None:
        return f"{words} in the {COLS[target.col]} column"
    return words


_ATTRIBUTE_WORDINGS: Final = (
    "what {a} is the {t}?",
    "which {a} does the {t} have?",
    "what is the {a} of the {t}?",
    "can you tell the {a} of the {t}?",
)
_COUNT_WORDINGS: Final = (
    "how many {t} are there?",
    "how many {t} can you see?",
    "what is the number of {t}?",
    "how many {t} does the picture show?",
)
_EXISTENCE_WORDINGS: Final = (
    "is there a {t}?",
    "can you see a {t}?",
    "does the picture show a {t}?",
    "is a {t} in the picture?",
)
_COUNT_COMPARISON_WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "more": (
        "are there more {l} than {r}?",
        "can you see more {l} than {r}?",
        "does the picture show more {l} than {r}?",
        "are the {l} more numerous than the {r}?",
    ),
    "fewer": (
        "are there fewer {l} than {r}?",
        "can you see fewer {l} than {r}?",
        "does the picture show fewer {l} than {r}?",
        "are the {l} less numerous than the {r}?",
    ),
    "same": (
        "are there as many {l} as {r}?",
        "can you see as many {l} as {r}?",
        "does the picture show as many {l} as {r}?",
        "is the number of {l} equal to the number of {r}?",
    ),
}
_SAME_ATTRIBUTE_WORDINGS: Final = (
    "is the {l} the same {a} as the {r}?",
    "do the {l} and the {r} have the same {a}?",
    "does the {l} have the same {a} as the {r}?",
    "are the {l} and the {r} alike in {a}?",
)
_RELATION_WORDINGS: Final = (
    "is the {l} {d} the {r}?",
    "can you see the {l} {d} the {r}?",
    "does the picture show the {l} {d} the {r}?",
    "would you say the {l} is {d} the {r}?",
)
_NEIGHBOUR_WORDINGS: Final = (
    "what {a} is the thing directly {d} the {t}?",
    "which {a} does the thing directly {d} the {t} have?",
    "what is the {a} of the thing directly {d} the {t}?",
    "can you tell the {a} of the thing directly {d} the {t}?",
)
N_WORDINGS: Final = 4


def word_query(query: Query, wording: int) -> str:
    """Returns the question in its wording number 0 to N_WORDINGS - 1."""
    templates: tuple[str, ...]
    match query:
        case AttributeQuery(attribute, target):
            templates = _ATTRIBUTE_WORDINGS
            words = {"a": attribute, "t": phrase(target)}
        case CountQuery(target):
            templates = _COUNT_WORDINGS
            words = {"t": phrase(target, plural=True)}
        case ExistenceQuery(target):
            templates = _EXISTENCE_WORDINGS
            words = {"t": phrase(target)}
        case CountComparisonQuery(relation, left, right):
            templates = _COUNT_COMPARISON_WORDINGS[relation]
            words = {"l": phrase(left, plural=True), "r": phrase(right, plural=True)}
        case SameAttributeQuery(attribute, left, right):
            templates = _SAME_ATTRIBUTE_WORDINGS
            words = {"a": attribute, "l": phrase(left), "r": phrase(right)}
        case RelationQuery(direction, left, right):
            templates = _RELATION_WORDINGS
            words = {"d": direction.value, "l": phrase(left), "r": phrase(right)}
        case NeighbourQuery(attribute, direction, anchor):
            templates = _NEIGHBOUR_WORDINGS
            words = {"a": attribute, "d": direction.value, "t": phrase(anchor)}
    return templates[wording].format(**words)


# ---------------------------------------------------------------------------------------- asking


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
        if answer_query(query, scene) == _yes_no(is_wanted):
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
