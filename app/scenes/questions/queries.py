"""What is asked about a scene, free of wording, and the answers.

A `Query` is one of seven forms; `answer_query` answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.scenes.scene import ATTRIBUTES, Obj, Scene

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
            return yes_no(bool(find_all(scene, target)))
        case CountComparisonQuery(relation, left, right):
            difference = len(find_all(scene, left)) - len(find_all(scene, right))
            return yes_no(
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
        return yes_no(left.value(query.attribute) == right.value(query.attribute))
    return yes_no(is_in_direction(left, right, query.direction))


def yes_no(fact: bool) -> str:
    return "yes" if fact else "no"
