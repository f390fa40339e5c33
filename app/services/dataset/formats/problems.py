"""Gathers everything that is wrong with a data file before anything is stored."""

from dataclasses import dataclass
from typing import Literal

from app.kit.sentences import Amount, Sentence
from app.services.refusals import WrongFile

MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class Place:
    """The place of something in a file. Every row of a dataset has one, so it is kept small."""

    file: str
    number: int | str
    kind: Literal["line", "row", "question", "picture"] = "line"

    def sentence(self) -> Sentence:
        match self.kind:
            case "line":
                return Sentence("%(file)s, line %(number)s", file=self.file, number=self.number)
            case "row":
                return Sentence("%(file)s, row %(number)s", file=self.file, number=self.number)
            case "question":
                return Sentence("%(file)s, question %(number)s", file=self.file, number=self.number)
            case "picture":
                return Sentence("%(file)s, picture %(number)s", file=self.file, number=self.number)


def named(place: Place | str) -> str:
    """Returns a place in a file as people read it; a text is one already."""
    return place.sentence() if isinstance(place, Place) else place


class Problems:
    """Collects one line per problem; keeps the first ones and counts all."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[str] = []

    def add(self, place: Place | str, text: str) -> None:
        self.count += 1
        if len(self._lines) < MAX_LISTED:
            line = Sentence("%(place)s: %(problem)s", place=named(place), problem=text)
            self._lines.append(line)

    def raise_if_any(self) -> None:
        """Raises InvalidInput with every line, so that nothing is half-imported."""
        if not self.count:
            return
        first, lines = self._lines[0], list(self._lines)
        if self.count > len(lines):
            lines.append(Sentence("… and %(n)s more", n=Amount(self.count - len(lines))))
        if self.count == 1:
            message = Sentence("Nothing was imported. %(problem)s", problem=first)
        else:
            message = Sentence(
                "Nothing was imported: %(n)s problems. The first is %(problem)s",
                n=Amount(self.count),
                problem=first,
            )
        raise WrongFile(message, errors=lines)
