"""Places that a text names: "top left", "in the center", "lower right corner".

English words for a grid of three by three. A text that names them otherwise names none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from worker.ml.types import Box

_ROWS = {"top": 0, "upper": 0, "middle": 1, "center": 1, "centre": 1, "bottom": 2, "lower": 2}
_COLUMNS = {"left": 0, "center": 1, "centre": 1, "middle": 1, "right": 2}
_ROW, _COLUMN = "|".join(_ROWS), "|".join(_COLUMNS)
_PLACE = re.compile(
    rf"(?P<before>\b(?:in|at|on) the )?\b(?:(?P<row>{_ROW})[ -](?P<column>{_COLUMN})"
    rf"|(?P<middle>(?<=the )(?:center|centre|middle)(?! (?:row|column|thing|one)\b)))\b"
    r"(?: corner)?"
)
_BETWEEN = re.compile(r"\s*(?:[.;,]|\band\b)\s*")


@dataclass(frozen=True)
class Named:
    """A place that a text names: its words, with those before them, and where it is."""

    words: str
    box: Box


def find_places(text: str) -> list[Named]:
    """Returns the places that a text names, each once, in their order."""
    found: dict[Box, Named] = {}
    for match in _PLACE.finditer(text.lower()):
        row, column = match["row"], match["column"]
        box = _box(1, 1) if row is None else _box(_ROWS[row], _COLUMNS[column])
        found.setdefault(box, Named(match[0], box))
    return list(found.values())


def the_place(texts: Sequence[str | None]) -> Box | None:
    """Returns the one place that the first of some texts names which names any; None where that
    names several, or none does."""
    for text in texts:
        if found := find_places(text or ""):
            return found[0].box if len(found) == 1 else None
    return None


def pieces_with_places(text: str) -> list[tuple[Named, str]]:
    """Returns the pieces of a text that name one place, each with what it says stands there."""
    made = []
    for piece in _BETWEEN.split(text.lower()):
        found = find_places(piece)
        if len(found) != 1:
            continue
        said = " ".join(piece.replace(found[0].words, " ").split())
        if said:
            made.append((found[0], said))
    return made


def _box(row: int, column: int) -> Box:
    return (column / 3, row / 3, (column + 1) / 3, (row + 1) / 3)
