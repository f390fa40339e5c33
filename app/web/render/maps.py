"""The map of items and rounds as numbers: rows of items in order, a column for each round.

Whatever the number of items, a map has few rows: each stands for as many items, and its cells are
divided as these fared. Everything is laid out here, the template only draws.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from app.item_trails import ORDER, Fared, rank_of

N_ROWS = 40
LEFT, TOP, WIDTH, ROW, GAP = 64, 22, 560, 13, 3
LEAST_FOR_LETTER = 12
"""Narrower pieces than this get no letter."""

LETTERS: Mapping[str, str] = {
    Fared.REGRESSED: "−",
    Fared.SET_ASIDE: "!",
    Fared.UNCOVERED: "·",
    Fared.OPEN: "?",
    Fared.IMPROVED: "+",
    Fared.COVERED: "✓",
    Fared.RESTING: "z",
    Fared.ABSENT: "",
}
"""What is written into a piece of a cell, so that colours are never all there is."""


@dataclass(frozen=True)
class Piece:
    """A part of a cell: as wide as the share of the row's items that fared so."""

    kind: str
    """How they fared, in a word for the stylesheet."""
    letter: str
    x: float
    width: float
    n: int


@dataclass(frozen=True)
class Row:
    """Items from `first` to `last`, counted from 1."""

    first: int
    last: int
    y: int
    cells: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True)
class ItemMap:
    """Items `first` to `last` of `n_items`, in rows; the columns are rounds."""

    n_items: int
    first: int
    last: int
    rows: tuple[Row, ...]
    columns: tuple[float, ...]
    """Where the middle of each round is."""
    cell_width: float
    height: int
    width: int = WIDTH
    left: int = LEFT
    row_height: int = ROW

    @property
    def per_row(self) -> int:
        """Returns how many items a row stands for; the last one may have fewer."""
        return self.rows[0].last - self.rows[0].first + 1 if self.rows else 0


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Returns trails with their counts in the order of the map."""
    return sorted(counts.items(), key=lambda entry: rank_of(entry[0]))


def lay_out(
    trails: Sequence[tuple[str, int]], n_rounds: int, first: int = 1, last: int | None = None
) -> ItemMap:
    """Returns the map of the items from `first` to `last`. trails: in their order, with counts;
    what lies outside of them is passed over."""
    n_items = sum(n for _, n in trails)
    last = min(last or n_items, n_items)
    first = max(1, min(first, last))
    wide = (WIDTH - LEFT) / max(1, n_rounds)
    per_row = max(1, ceil((last - first + 1) / N_ROWS))
    rows = []
    for number, start in enumerate(range(first, last + 1, per_row) if n_items else ()):
        end = min(start + per_row - 1, last)
        inside = list(_within(trails, start, end))
        cells = tuple(
            _cell([(trail[place], n) for trail, n in inside], LEFT + place * wide, wide - GAP)
            for place in range(n_rounds)
        )
        rows.append(Row(start, end, TOP + number * (ROW + 1), cells))
    return ItemMap(
        n_items=n_items,
        first=first,
        last=last,
        rows=tuple(rows),
        columns=tuple(round(LEFT + (place + 0.5) * wide - GAP / 2, 1) for place in range(n_rounds)),
        cell_width=round(wide - GAP, 1),
        height=TOP + len(rows) * (ROW + 1),
    )


def _within(trails: Sequence[tuple[str, int]], first: int, last: int) -> Iterator[tuple[str, int]]:
    """Yields the trails of the items from `first` to `last`, with how many of these have them."""
    ends = list(accumulate(n for _, n in trails))
    for (trail, n), end in zip(trails, ends, strict=True):
        n_inside = min(end, last) - max(end - n + 1, first) + 1
        if n_inside > 0:
            yield trail, n_inside


def _cell(parts: Sequence[tuple[str, int]], x: float, width: float) -> tuple[Piece, ...]:
    counts: Counter[str] = Counter()
    for fared, n in parts:
        counts[fared] += n
    total = counts.total()
    pieces = []
    for fared in sorted(counts, key=ORDER.__getitem__):
        wide = width * counts[fared] / total
        letter = LETTERS[fared] if wide >= LEAST_FOR_LETTER else ""
        kind = Fared(fared).name.lower()
        pieces.append(Piece(kind, letter, round(x, 1), round(wide, 1), counts[fared]))
        x += wide
    return tuple(pieces)


def count_by_round(trails: Sequence[tuple[str, int]], n_rounds: int) -> list[Counter[str]]:
    """Returns for each round how many items fared how."""
    counts: list[Counter[str]] = [Counter() for _ in range(n_rounds)]
    for trail, n in trails:
        for place, letter in enumerate(trail):
            counts[place][letter] += n
    return counts
