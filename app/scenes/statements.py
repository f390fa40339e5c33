"""Statements about a scene as values; `app.scenes.grammar` reads them from text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.scenes.questions.queries import Direction

ALL_CELLS: Final = 0b111_111_111


class Pronoun(StrEnum):
    IT = "it"
    THEY = "they"
    ONE = "one"  # "one in the top left": one of those that the question asks for


class Line(StrEnum):
    ROW = "row"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class Beside:
    """A place given by another thing: left of it, directly above it, in its row."""

    where: Direction | Line
    anchor: Phrase
    is_adjacent: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A set of things: attribute values, cells (a bit mask), places beside others, or a pronoun."""

    values: tuple[tuple[str, str], ...] = ()
    cells: int = ALL_CELLS
    beside: tuple[Beside, ...] = ()
    pronoun: Pronoun | None = None


class Quantifier(StrEnum):
    SOME = "some"  # at least n
    EXACTLY = "exactly"
    AT_MOST = "at most"
    THE = "the"  # one thing, and no other fits
    THE_ALL = "the all"  # at least two, all of them
    ALL = "all"  # at least one, all of them
    EACH_OF = "each of"  # exactly n, all of them: "both cubes", "all three cubes"
    NO = "no"
    ONLY = "only"  # nothing else: "only cubes are red"


@dataclass(frozen=True, slots=True)
class Mention:
    quantifier: Quantifier
    phrase: Phrase
    n: int = 1


@dataclass(frozen=True, slots=True)
class Predicate:
    """The properties claimed of a subject; several options are joined by `and` or by `or`.

    A mention as an option counts things ("the red things are a cube and two cones"); a bare phrase
    describes them.
    """

    options: tuple[Phrase | Mention, ...]
    is_either: bool = False
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """There are these things; `is_all`: and nothing else."""

    mentions: tuple[Mention, ...]
    is_all: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    subject: Mention
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class PairSays:
    """Something about the two things that the question compares or relates."""

    predicate: Predicate


@dataclass(frozen=True, slots=True)
class OneAndOther:
    """One of the question's two things is this and the other is that."""

    one: Predicate
    other: Predicate


@dataclass(frozen=True, slots=True)
class ComparesCounts:
    relation: str
    left: Phrase
    right: Phrase
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class SharesValue:
    """Two things have the same value of an attribute; without things, the question's pair."""

    attribute: str
    pair: tuple[Phrase, Phrase] | None = None
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class SharesLine:
    line: Line
    pair: tuple[Phrase, Phrase] | None = None
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class ComparesSizes:
    """`left` is of this size and `right` of the other."""

    size: str
    left: Phrase
    right: Phrase


Statement = (
    Exists
    | Says
    | PairSays
    | OneAndOther
    | ComparesCounts
    | SharesValue
    | SharesLine
    | ComparesSizes
)


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement and the words it was read from."""

    statement: Statement
    text: str
