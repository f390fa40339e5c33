"""Many scenes at once, and scenes that differ from a given one where it matters.

Whether a text justifies an answer is asked of these: is there a scene in which all it says holds
and the answer is another? The scenes are drawn from a fixed seed, so a verdict never wavers.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from app.scenes.questions.queries import (
    STEP,
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
)
from app.scenes.scene import ATTRIBUTES, N_CELLS, N_COLS, N_ROWS, Scene

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EMPTY: Final = 0
_LOOKS: Final = tuple(product(*ATTRIBUTES.values()))
_CODE: Final = {look: number + 1 for number, look in enumerate(_LOOKS)}
_BITS: Final[Ints] = 1 << np.arange(N_CELLS, dtype=np.int64)
_POPCOUNT: Final[Ints] = np.array([bin(mask).count("1") for mask in range(1 << N_CELLS)])
NO_ANSWER: Final = -1


def _mutations() -> Ints:
    """[codes, M]: each look with one attribute changed; padded by repetition."""
    table = np.zeros((len(_LOOKS) + 1, 10), dtype=np.int64)
    for look, code in _CODE.items():
        changed = [
            _CODE[(*look[:place], other, *look[place + 1 :])]
            for place, values in enumerate(ATTRIBUTES.values())
            for other in values
            if other != look[place]
        ]
        table[code] = np.resize(np.array(changed), table.shape[1])
    return table


def _regions() -> dict[tuple[object, bool], Ints]:
    """For each mask of exactly one cell the mask of cells beside it; 0 for all other masks."""
    tables: dict[tuple[object, bool], Ints] = {}
    for direction, (down, right) in STEP.items():
        for is_adjacent in (False, True):
            table = np.zeros(1 << N_CELLS, dtype=np.int64)
            for cell in range(N_CELLS):
                row, col = divmod(cell, N_COLS)
                for other in range(N_CELLS):
                    ahead = (other // N_COLS - row) * down + (other % N_COLS - col) * right
                    is_next = other == cell + down * N_COLS + right
                    if ahead > 0 and (is_next or not is_adjacent):
                        table[1 << cell] |= 1 << other
            tables[direction, is_adjacent] = table
    return tables


def _lines() -> dict[str, Ints]:
    """For each mask of exactly one cell the mask of its whole row or column; 0 for the others."""
    rows, cols = (np.zeros(1 << N_CELLS, dtype=np.int64) for _ in range(2))
    for cell in range(N_CELLS):
        row, col = divmod(cell, N_COLS)
        rows[1 << cell] = sum(1 << (row * N_COLS + c) for c in range(N_COLS))
        cols[1 << cell] = sum(1 << (r * N_COLS + col) for r in range(N_ROWS))
    return {"row": rows, "column": cols}


# Masks of seven attribute values fit side by side into one integer of 63 bits.
_PER_PACK: Final = 63 // N_CELLS
_ALL: Final = (1 << N_CELLS) - 1
_PLACE: Final = {
    pair: place
    for place, pair in enumerate(
        (name, value) for name, values in ATTRIBUTES.items() for value in values
    )
}


def _packs() -> tuple[Ints, ...]:
    """For each pack [cells, codes]: what a code in a cell adds to the masks of the pack."""
    n_packs = -(-len(_PLACE) // _PER_PACK)
    packs = tuple(np.zeros((N_CELLS, len(_LOOKS) + 1), dtype=np.int64) for _ in range(n_packs))
    for look, code in _CODE.items():
        for name, value in zip(ATTRIBUTES, look, strict=True):
            pack, place = divmod(_PLACE[name, value], _PER_PACK)
            packs[pack][:, code] += _BITS << (place * N_CELLS)
    return packs


def _recodings() -> Ints:
    """[recodings, codes]: all values of an attribute made one value, or shifted by some steps."""
    tables = []
    for place, values in enumerate(ATTRIBUTES.values()):
        for number, value in enumerate(values):
            same, shifted = (np.zeros(len(_LOOKS) + 1, dtype=np.int64) for _ in range(2))
            for look, code in _CODE.items():
                other = values[(values.index(look[place]) + number) % len(values)]
                same[code] = _CODE[(*look[:place], value, *look[place + 1 :])]
                shifted[code] = _CODE[(*look[:place], other, *look[place + 1 :])]
            tables += [same, shifted]
    return np.array(tables)


_PACKED: Final = _packs()
_RECODINGS: Final = _recodings()
_MUTATIONS: Final = _mutations()
_REGIONS: Final = _regions()
_LINES: Final = _lines()


def count(masks: Ints) -> Ints:
    """Returns the number of cells of each mask."""
    numbers: Ints = _POPCOUNT[masks]
    return numbers


def region(masks: Ints, where: Direction, *, is_adjacent: bool) -> Ints:
    """Returns the cells beside the one cell of each mask; none where a mask has not exactly one."""
    cells: Ints = _REGIONS[where, is_adjacent][masks]
    return cells


def line(masks: Ints, name: str) -> Ints:
    """Returns the row or column of the one cell of each mask; none where a mask has not exactly
    one.
    """
    cells: Ints = _LINES[name][masks]
    return cells


class Worlds:
    """W scenes; `codes` int64 [W, N_CELLS]. Sets of things are bit masks over cells, int64 [W]."""

    def __init__(self, codes: Ints) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def only(self, kept: Flags) -> Worlds:
        """Returns some of the worlds; masks that were worked out already are kept."""
        worlds = Worlds(self.codes[kept])
        worlds.__dict__["_packed"] = tuple(pack[kept] for pack in self._packed)
        return worlds

    @cached_property
    def occupied(self) -> Ints:
        name, values = next(iter(ATTRIBUTES.items()))
        masks = np.zeros(len(self), dtype=np.int64)
        for value in values:
            masks |= self.having(name, value)
        return masks

    @cached_property
    def _packed(self) -> tuple[Ints, ...]:
        """The masks of all attribute values, packed as in _PACKED."""
        cells = np.arange(N_CELLS)
        return tuple(table[cells, self.codes].sum(axis=1) for table in _PACKED)

    def having(self, name: str, value: str) -> Ints:
        """Returns the mask of the things with this attribute value."""
        pack, place = divmod(_PLACE[name, value], _PER_PACK)
        masks: Ints = self._packed[pack] >> (place * N_CELLS) & _ALL
        return masks

    def matching(self, target: Description) -> Ints:
        masks = self.occupied
        for name, value in target.attributes().items():
            masks = masks & self.having(name, value)
        if target.has_place():
            cells = sum(
                1 << cell
                for cell in range(N_CELLS)
                if target.row in (None, cell // N_COLS) and target.col in (None, cell % N_COLS)
            )
            masks = masks & cells
        return masks


def codes_of(scene: Scene) -> Ints:
    codes = np.zeros(N_CELLS, dtype=np.int64)
    for obj in scene.objects:
        codes[obj.cell] = _CODE[tuple(obj.value(name) for name in ATTRIBUTES)]
    return codes


# -------------------------------------------------------------------------------------- answering


def answers(query: Query, worlds: Worlds) -> Ints:
    """Returns the answer in every world as a number; NO_ANSWER where the query presumes what is not
    so.
    """
    match query:
        case AttributeQuery(attribute, target):
            numbers = _value_of(attribute, worlds.matching(target), worlds)
        case NeighbourQuery(attribute, direction, anchor):
            beside = region(worlds.matching(anchor), direction, is_adjacent=True)
            numbers = _value_of(attribute, beside & worlds.occupied, worlds)
        case CountQuery(target):
            numbers = count(worlds.matching(target))
        case ExistenceQuery(target):
            numbers = (worlds.matching(target) != 0).astype(np.int64)
        case CountComparisonQuery(relation, left, right):
            difference = count(worlds.matching(left)) - count(worlds.matching(right))
            is_so = {"more": difference > 0, "fewer": difference < 0, "same": difference == 0}
            numbers = is_so[relation].astype(np.int64)
        case SameAttributeQuery(attribute, left, right):
            one, other = worlds.matching(left), worlds.matching(right)
            same = _value_of(attribute, one, worlds) == _value_of(attribute, other, worlds)
            numbers = _of_pair(same, one, other)
        case RelationQuery(direction, left, right):
            one, other = worlds.matching(left), worlds.matching(right)
            is_there = (one & region(other, direction, is_adjacent=False)) != 0
            numbers = _of_pair(is_there, one, other)
    return numbers


def _value_of(attribute: str, masks: Ints, worlds: Worlds) -> Ints:
    numbers = np.full(len(masks), NO_ANSWER)
    for number, value in enumerate(ATTRIBUTES[attribute]):
        numbers[(masks & worlds.having(attribute, value)) != 0] = number
    return np.where(count(masks) == 1, numbers, NO_ANSWER)


def _of_pair(is_so: Flags, one: Ints, other: Ints) -> Ints:
    is_pair = (count(one) == 1) & (count(other) == 1) & (one != other)
    return np.where(is_pair, is_so.astype(np.int64), NO_ANSWER)


# ------------------------------------------------------------------------------------ alternatives


def asked_sets(query: Query) -> tuple[Description, ...]:
    """Returns the sets of things that a query is about."""
    match query:
        case AttributeQuery(_, target) | CountQuery(target) | ExistenceQuery(target):
            return (target,)
        case NeighbourQuery(_, _, anchor):
            return (anchor,)
        case (
            CountComparisonQuery(_, left, right)
            | SameAttributeQuery(_, left, right)
            | RelationQuery(_, left, right)
        ):
            return (left, right)


def alternatives(query: Query, scene: Scene, n_drawn: int = 2400) -> Worlds:
    """Returns the scene itself, first, and scenes near and far from it, rich in what the query is
    about.
    """
    rng = np.random.default_rng(20220808)
    base = codes_of(scene)
    pool = _pool(query, base)
    drawn = np.tile(base, (n_drawn, 1))
    n_edits = rng.integers(1, 5, n_drawn)
    for edit in range(4):
        changed = _edited(drawn, pool, rng)
        drawn = np.where((n_edits > edit)[:, None], changed, drawn)
    near = (_single_edits(base, pool), _filled(base, pool), _subsets(base), _RECODINGS[:, base])
    return Worlds(np.vstack([base[None], *near, *_added(query, base), drawn]))


def _pool(query: Query, base: Ints) -> Ints:
    """Codes worth putting somewhere: what is there, the same with one change, what is asked for."""
    there = base[base != EMPTY]
    asked = [_codes_fitting(target) for target in asked_sets(query)]
    return np.unique(
        np.concatenate(
            [[EMPTY], there, _MUTATIONS[there].ravel(), *(codes[:24] for codes in asked)]
        )
    ).astype(np.int64)


@lru_cache(maxsize=256)
def _codes_fitting(target: Description) -> tuple[int, ...]:
    return tuple(code for look, code in _CODE.items() if _fits(look, target))


def _fits(look: tuple[str, ...], target: Description) -> bool:
    said = target.attributes()
    return all(said.get(name, value) == value for name, value in zip(ATTRIBUTES, look, strict=True))


def _single_edits(base: Ints, pool: Ints) -> Ints:
    worlds = np.tile(base, (N_CELLS * len(pool), 1))
    cells = np.repeat(np.arange(N_CELLS), len(pool))
    worlds[np.arange(len(worlds)), cells] = np.tile(pool, N_CELLS)
    return worlds


def _filled(base: Ints, pool: Ints) -> Ints:
    """All empty cells, or all cells that hold something, set to one code."""
    into_empty = np.where(base == EMPTY, pool[:, None], base)
    into_full = np.where(base != EMPTY, pool[:, None], base)
    return np.vstack([into_empty, into_full])


def _subsets(base: Ints) -> Ints:
    """The scene with any of its things taken away."""
    full = np.flatnonzero(base != EMPTY)
    is_kept = np.arange(1 << len(full))[:, None] & _BITS[: len(full)] != 0
    worlds = np.full((len(is_kept), N_CELLS), EMPTY)
    worlds[:, full] = np.where(is_kept, base[full], EMPTY)
    return worlds


def _added(query: Query, base: Ints) -> list[Ints]:
    """More of what is asked for: every number of empty cells filled with it, alone and with each
    number of the others taken away."""
    empty, full = np.flatnonzero(base == EMPTY), np.flatnonzero(base != EMPTY)
    worlds = []
    for target in asked_sets(query):
        code = _codes_fitting(target)[0]
        for n_added in range(len(empty) + 1):
            for n_removed in range(len(full) + 1):
                world = base.copy()
                world[empty[:n_added]] = code
                world[full[:n_removed]] = EMPTY
                worlds.append(world)
    return [np.array(worlds)]


def _edited(worlds: Ints, pool: Ints, rng: np.random.Generator) -> Ints:
    """One edit in every world: change an attribute, put something from the pool, or swap cells."""
    n = len(worlds)
    each, cells, others = np.arange(n), rng.integers(0, N_CELLS, n), rng.integers(0, N_CELLS, n)
    kind = rng.random(n)
    out = worlds.copy()
    here, there = worlds[each, cells], worlds[each, others]
    mutated = _MUTATIONS[here, rng.integers(0, _MUTATIONS.shape[1], n)]
    drawn = pool[rng.integers(0, len(pool), n)]
    is_swap = kind < 0.3
    new = np.where(is_swap, there, np.where(kind < 0.65, mutated, drawn))
    out[each, cells] = new
    out[each, others] = np.where(is_swap, here, out[each, others])
    return out
