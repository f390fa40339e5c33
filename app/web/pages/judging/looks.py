"""Where a model looked, as the judging page shows it: two layers over the picture, and in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.kit.sentences import Sentence, Share
from app.services.judging.ways import Way
from app.strategies.perception import Look, PerceptionTrace

HARDLY = 0.05
"""A change of a probability that is less than this is called none."""
FAINTEST, STRONGEST = 0.12, 0.8
"""How much of the picture the weakest and the strongest place of a layer cover."""

_PLACES = (
    (Sentence("top left"), Sentence("top middle"), Sentence("top right")),
    (Sentence("middle left"), Sentence("centre"), Sentence("middle right")),
    (Sentence("bottom left"), Sentence("bottom middle"), Sentence("bottom right")),
)


@dataclass(frozen=True)
class Cell:
    """A place of a layer. strength: how strongly it is drawn, from 0, which is not at all, to 1;
    side: of its square, as a share of the place; says: its number in words."""

    row: int
    column: int
    strength: float
    says: Sentence
    is_peak: bool = False
    is_raised: bool = False
    side: float = 1.0

    @property
    def inset(self) -> float:
        """Returns how far its square stands from the edges of the place."""
        return round((1 - self.side) / 2, 4)


@dataclass(frozen=True)
class Layer:
    """One way to see where a look went: its cells over the picture, and the same in words. most:
    what the strongest colour of the legend stands for."""

    cells: tuple[Cell, ...]
    words: tuple[Sentence, ...]
    most: float


@dataclass(frozen=True)
class ShownLook:
    """A look with its layers; `occlusion` is None until it was measured."""

    number: int
    rows: int
    columns: int
    occlusion: Layer | None
    attention: Layer

    @property
    def words(self) -> Sentence:
        """Returns in a sentence where it looked: by what hiding changes, where that is known."""
        return (self.occlusion or self.attention).words[0]


def show_looks(way: Way | None) -> tuple[ShownLook, ...]:
    """Returns the looks of a way in order; none where it has no places."""
    if way is None or not isinstance(way.trace, PerceptionTrace):
        return ()
    return tuple(
        ShownLook(
            number,
            look.rows,
            look.columns,
            _occlusion(look, look.probability or 0.0, hidden) if (hidden := look.hidden) else None,
            _attention(look),
        )
        for number, look in enumerate(way.trace.looks, start=1)
    )


def name_place(row: int, column: int, rows: int, columns: int) -> Sentence:
    """Returns where a place of a grid is on the picture, in words; rows and columns from 0."""
    third = _PLACES[int((row + 0.5) / rows * 3)][int((column + 0.5) / columns * 3)]
    if rows <= 3 and columns <= 3:
        return third
    return Sentence(
        "%(place)s (row %(row)s of %(rows)s, column %(column)s of %(columns)s)",
        place=third,
        row=row + 1,
        rows=rows,
        column=column + 1,
        columns=columns,
    )


def _occlusion(look: Look, before: float, hidden: Sequence[float]) -> Layer:
    falls = [before - after for after in hidden]
    most = max(falls)
    cells = tuple(
        Cell(
            row,
            column,
            _strength(fall, most) if fall >= HARDLY else 0.0,
            Sentence(
                "%(place)s: with it hidden %(after)s",
                place=name_place(row, column, look.rows, look.columns),
                after=Share(before - fall),
            ),
            is_peak=fall == most >= HARDLY,
            is_raised=fall <= -HARDLY,
        )
        for row, column, fall in _each_place(look, falls)
    )
    return Layer(cells, tuple(_tell_falls(look, before, falls)), most)


def _tell_falls(look: Look, before: float, falls: Sequence[float]) -> Iterator[Sentence]:
    first, *others = sorted(_each_place(look, falls), key=lambda place: -place[2])
    most = first[2]
    if most >= HARDLY:
        yield Sentence(
            "It looked at the %(place)s: hiding that place lowers the answer's probability from "
            "%(before)s to %(after)s.",
            place=_name(look, first),
            before=Share(before),
            after=Share(before - most),
        )
    else:
        yield Sentence(
            "Hiding any one place hardly changes the answer's probability: it is %(before)s, and "
            "%(after)s with the %(place)s hidden.",
            place=_name(look, first),
            before=Share(before),
            after=Share(before - most),
        )
    for place in others[:2]:
        if place[2] >= max(HARDLY, most / 2):
            yield Sentence(
                "Hiding the %(place)s lowers it to %(after)s.",
                place=_name(look, place),
                after=Share(before - place[2]),
            )
    if others and others[-1][2] <= -HARDLY:
        yield Sentence(
            "Hiding the %(place)s raises it to %(after)s.",
            place=_name(look, others[-1]),
            after=Share(before - others[-1][2]),
        )


def _name(look: Look, place: tuple[int, int, float]) -> Sentence:
    return name_place(place[0], place[1], look.rows, look.columns)


def _attention(look: Look) -> Layer:
    most = max(look.attention)
    places = sorted(_each_place(look, look.attention), key=lambda place: -place[2])
    row, column, _ = places[0]
    cells = tuple(
        Cell(
            row,
            column,
            STRONGEST,
            Sentence(
                "%(place)s: %(share)s of the attention",
                place=name_place(row, column, look.rows, look.columns),
                share=Share(share),
            ),
            # Its area, not its side, is what people compare.
            side=round(0.9 * (share / most) ** 0.5, 4) if most > 0 else 0.0,
        )
        for row, column, share in _each_place(look, look.attention)
    )
    words = Sentence(
        "Most of its attention, %(share)s, is on the %(place)s; spread evenly it would be "
        "%(even)s.",
        share=Share(most),
        place=name_place(row, column, look.rows, look.columns),
        even=Share(1 / len(look.attention)),
    )
    return Layer(cells, (words,), most)


def _each_place(look: Look, numbers: Sequence[float]) -> list[tuple[int, int, float]]:
    return [(*divmod(place, look.columns), value) for place, value in enumerate(numbers)]


def _strength(value: float, most: float) -> float:
    return round(FAINTEST + (STRONGEST - FAINTEST) * value / most, 3)
