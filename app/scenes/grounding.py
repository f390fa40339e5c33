"""Whether a question presumes what a scene has, and of which kind it is."""

from typing import Final

from app.scenes.questions.parser import parse_question
from app.scenes.questions.queries import (
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    ExistenceQuery,
    NeighbourQuery,
    Query,
    RelationQuery,
    SameAttributeQuery,
    answer_query,
)
from app.scenes.scene import Scene

PRESUMING: Final = (
    "attribute by place",
    "attribute by name",
    "same attribute",
    "relation",
    "neighbour",
)
"""Kinds of questions that presume things: they have no answer where these are not there, or where
there are two of them."""
OPEN: Final = ("count", "existence", "compare counts")
"""Kinds that presume nothing: they have an answer in every scene."""


def kind_of(query: Query) -> str:
    """Returns the kind of a question, one of PRESUMING or OPEN."""
    if isinstance(query, AttributeQuery):
        return "attribute by place" if query.target.has_place() else "attribute by name"
    return _KINDS[type(query)]


_KINDS: Final[dict[type, str]] = {
    SameAttributeQuery: "same attribute",
    RelationQuery: "relation",
    NeighbourQuery: "neighbour",
    CountQuery: "count",
    ExistenceQuery: "existence",
    CountComparisonQuery: "compare counts",
}


def answer_about(text: str, scene: Scene) -> tuple[str | None, str | None]:
    """Returns the kind of a question in words and its answer in a scene: no kind where it is no
    question that can be read, no answer where it presumes what the scene does not have."""
    query = parse_question(text)
    return (None, None) if query is None else (kind_of(query), answer_query(query, scene))
