"""The words of queries and descriptions: `word_query` words a query in one of four ways."""

from typing import Final

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
)
from app.scenes.scene import COLS, ROWS


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
