"""Noun phrases and places of the grammar: `two small red cubes`, `in the top left`.

Every reader takes a position in the tokens and yields (value, next position) for each reading, the
longest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from app.scenes.questions.queries import NUMBER_WORDS, Direction
from app.scenes.scene import COLORS, COLS, MATERIALS, N_CELLS, N_COLS, ROWS, SHAPES, SIZES
from app.scenes.statements import (
    ALL_CELLS,
    Beside,
    Line,
    Mention,
    Phrase,
    Pronoun,
    Quantifier,
)

ADJECTIVES: Final[dict[str, str]] = {
    **dict.fromkeys(SIZES, "size"),
    **dict.fromkeys(COLORS, "color"),
    **dict.fromkeys(MATERIALS, "material"),
}
_SINGULAR: Final = {**{shape: shape for shape in SHAPES}, "thing": None, "one": None}
_PLURAL: Final = {**{f"{shape}s": shape for shape in SHAPES}, "things": None, "ones": None}
_NUMBERS: Final = {word: number for number, word in enumerate(NUMBER_WORDS)}
_DIRECTIONS: Final = {"left": Direction.LEFT, "right": Direction.RIGHT}
_LISTERS: Final = ("and", ",", "but", "while", ";")
_SPOTS: Final = ("corner", "cell", "side", "spot", "position", "part", "edge", "area", "place")


@dataclass(frozen=True, slots=True)
class Core:
    """A noun phrase without its determiner; `head` False: adjectives only, the noun comes later."""

    phrase: Phrase
    is_plural: bool
    head: bool = True


class PhraseReader:
    """Reads over one list of canonical tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def at(self, i: int) -> str:
        return self.tokens[i] if i < len(self.tokens) else ""

    def follows(self, i: int, words: str) -> bool:
        wanted = words.split()
        return self.tokens[i : i + len(wanted)] == wanted

    # ------------------------------------------------------------------------------------ places

    def place(self, i: int) -> Iterator[tuple[Phrase, int]]:
        """Parses the place of a thing: a phrase that only restricts cells or neighbours."""
        yield from self._beside(i)
        j = i + 1 if self.at(i) in {"in", "on", "at", "to"} else i
        j = j + 1 if self.at(j) == "the" else j
        if self.follows(j, "same row as") or self.follows(j, "same column as"):
            line = Line(self.at(j + 1))
            for anchor, k in self.anchor(j + 3):
                yield Phrase(beside=(Beside(line, anchor),)), k
            return
        if j > i:
            yield from self._grid_place(j)

    def _beside(self, i: int) -> Iterator[tuple[Phrase, int]]:
        is_adjacent = self.at(i) == "directly"
        j = i + 1 if is_adjacent else i
        word = self.at(j)
        if word in _DIRECTIONS and self.at(j + 1) == "of":
            where, j = _DIRECTIONS[word], j + 2
        elif word in {"above", "below"}:
            where, j = Direction(word), j + 1
        else:
            return
        for anchor, k in self.anchor(j):
            yield Phrase(beside=(Beside(where, anchor, is_adjacent),)), k

    def anchor(self, i: int) -> Iterator[tuple[Phrase, int]]:
        """Parses one definite thing: `the red cube`, `it`."""
        if self.at(i) == "it":
            yield Phrase(pronoun=Pronoun.IT), i + 1
        if self.at(i) in {"the", "that", "this"}:
            for core, j in self.core(i + 1):
                if not core.is_plural and core.head:
                    yield core.phrase, j

    def _grid_place(self, i: int) -> Iterator[tuple[Phrase, int]]:
        for row, col, j in self._grid_words(i):
            end = j + 1 if self.at(j) in _SPOTS else j
            cells = _cells(row, col)
            yield Phrase(cells=cells), end

    def _grid_words(self, i: int) -> Iterator[tuple[int | None, int | None, int]]:
        one, two = self.at(i), self.at(i + 1)
        middles = {"middle", "center"}
        if two in {"row", "column"}:
            if two == "row" and (one in ROWS or one in middles):
                yield (1 if one in middles else ROWS.index(one)), None, i + 2
            if two == "column" and (one in COLS or one in middles):
                yield None, (1 if one in middles else COLS.index(one)), i + 2
            return
        sides, ends = {"left", "right"}, {"top", "bottom"}
        pairs = ((one, two), (two, one))
        for row_word, col_word in pairs:
            if row_word in ends and (col_word in sides or col_word in middles):
                col = 1 if col_word in middles else COLS.index(col_word)
                yield ROWS.index(row_word), col, i + 2
                return
            if row_word in middles and col_word in sides:
                yield 1, COLS.index(col_word), i + 2
                return
        if one in middles and two in middles:
            yield 1, 1, i + 2
        elif one in middles:
            yield 1, 1, i + 1
        elif one in ends:
            yield ROWS.index(one), None, i + 1
        elif one in sides:
            yield None, COLS.index(one), i + 1

    # -------------------------------------------------------------------------------------- nouns

    def core(self, i: int) -> Iterator[tuple[Core, int]]:
        for values, j in self.adjectives(i):
            word = self.at(j)
            if word in _SINGULAR or word in _PLURAL:
                is_plural = word in _PLURAL
                shape = _PLURAL[word] if is_plural else _SINGULAR[word]
                said = (*values, ("shape", shape)) if shape else values
                for phrase, k in self._with_places(Phrase(said), j + 1):
                    yield Core(phrase, is_plural), k
            elif values:
                yield Core(Phrase(values), is_plural=False, head=False), j

    def _core_after(self, i: int) -> Iterator[tuple[Core, int]]:
        """Parses the words after a determiner: `cubes`, `of the cubes`, `of them`."""
        yield from self.core(i)
        if self.at(i) == "of" and self.at(i + 1) in {"them", "these", "those"}:
            yield Core(Phrase(pronoun=Pronoun.THEY), is_plural=True), i + 2
        elif self.at(i) == "of" and self.at(i + 1) == "the":
            for core, j in self.core(i + 2):
                if core.is_plural:
                    yield core, j

    def adjectives(self, i: int) -> Iterator[tuple[tuple[tuple[str, str], ...], int]]:
        """Parses adjectives of different attributes, `small and red`; the empty list is a reading
        too.
        """
        values: list[tuple[str, str]] = []
        j = i
        while True:
            k = j
            if values and self.at(j) in {"and", ","}:
                k = j + 2 if self.follows(j, ", and") else j + 1
            attribute = ADJECTIVES.get(self.at(k))
            if attribute is None or attribute in dict(values):
                break
            values.append((attribute, self.at(k)))
            j = k + 1
        yield tuple(values), j

    def _with_places(self, phrase: Phrase, i: int) -> Iterator[tuple[Phrase, int]]:
        j = i + 2 if self.at(i) in {"that", "which"} and self.at(i + 1) in {"is", "are"} else i
        for place, k in self.place(j):
            yield _narrowed(phrase, place), k
        if j == i + 2:
            for values, k in self.adjectives(j):
                if values:
                    yield _narrowed(phrase, Phrase(values)), k
        yield phrase, i

    # ----------------------------------------------------------------------------------- mentions

    def mention(self, i: int) -> Iterator[tuple[Mention, bool, int]]:
        """A quantified phrase; the flag says whether its noun was there."""
        if self.at(i) == "it":
            yield Mention(Quantifier.THE, Phrase(pronoun=Pronoun.IT)), True, i + 1
        if self.at(i) in {"they", "these", "those"}:
            yield Mention(Quantifier.THE_ALL, Phrase(pronoun=Pronoun.THEY)), True, i + 1
        for quantifier, n, j in self._determiner(i):
            for core, k in self._core_after(j):
                yield _fitted(quantifier, n, core), core.head, k
                if not core.head and self.at(j - 1) in _NUMBERS and j > i:
                    # "one red and two blue": of those that the question asks for.
                    asked = replace(core.phrase, pronoun=Pronoun.ONE)
                    yield Mention(quantifier, asked, n), True, k
            if quantifier in {Quantifier.EXACTLY, Quantifier.SOME, Quantifier.NO} and j > i:
                yield from self._bare_number(quantifier, n, i, j)

    def _bare_number(
        self, quantifier: Quantifier, n: int, i: int, j: int
    ) -> Iterator[tuple[Mention, bool, int]]:
        """`one in the top left`: the noun is the one that the question asks for."""
        if self.at(j - 1) not in _NUMBERS and self.at(j - 1) != "a":
            return
        k = j + 1 if self.at(j) == "one" else j
        for phrase, end in self._with_places(Phrase(pronoun=Pronoun.ONE), k):
            if end > k or self.at(i) != "a":
                yield Mention(quantifier, phrase, n), True, end

    def _determiner(self, i: int) -> Iterator[tuple[Quantifier, int, int]]:
        word, after = self.at(i), self.at(i + 1)
        if word == "only":
            for quantifier, n, j in self._determiner(i + 1):
                if quantifier is Quantifier.SOME and j > i + 1:
                    yield Quantifier.EXACTLY, n, j
                elif quantifier is Quantifier.EXACTLY:
                    yield quantifier, n, j
            return
        if word in {"the", "that", "this", "these", "those"}:
            j = i + 2 if after == "only" else i + 1
            if self.at(j) in _NUMBERS and self.at(j) != "one":
                yield Quantifier.EACH_OF, _NUMBERS[self.at(j)], j + 1
            yield Quantifier.THE, 1, j
        elif word == "all":
            j = i + 2 if after in {"the", "of", "these"} else i + 1
            if self.at(j) in _NUMBERS:
                yield Quantifier.EACH_OF, _NUMBERS[self.at(j)], j + 1
            yield Quantifier.ALL, 1, j
        elif word == "both":
            yield Quantifier.EACH_OF, 2, i + 2 if after == "the" else i + 1
        elif word in _NUMBERS:
            number = _NUMBERS[word]
            yield (Quantifier.EXACTLY if number else Quantifier.NO), number, i + 1
        elif word in _SIMPLE:
            quantifier, n = _SIMPLE[word]
            yield quantifier, n, i + 1
        else:
            yield from self._bounded(i)
            yield Quantifier.SOME, 2, i

    def _bounded(self, i: int) -> Iterator[tuple[Quantifier, int, int]]:
        number = _NUMBERS.get(self.at(i + 2))
        if number is None:
            return
        bounds = {
            ("at", "least"): (Quantifier.SOME, number),
            ("at", "most"): (Quantifier.AT_MOST, number),
            ("more", "than"): (Quantifier.SOME, number + 1),
            ("fewer", "than"): (Quantifier.AT_MOST, number - 1),
            ("less", "than"): (Quantifier.AT_MOST, number - 1),
        }
        bound = bounds.get((self.at(i), self.at(i + 1)))
        if bound is not None:
            yield *bound, i + 3

    def mentions(self, i: int) -> Iterator[tuple[tuple[Mention, ...], int]]:
        """Parses a list such as `two cubes, one sphere and no cone`; the longest list
        comes first.
        """
        for mention, has_noun, j in self.mention(i):
            for word_end in self._list_word(j):
                for rest, k in self.mentions(word_end):
                    first = mention if has_noun else _borrow_noun(mention, rest[0])
                    yield (first, *rest), k
            if has_noun:
                yield (mention,), j

    def _list_word(self, i: int) -> Iterator[int]:
        if self.at(i) in _LISTERS:
            yield i + 1
            if self.at(i) in {",", ";"} and self.at(i + 1) in _LISTERS:
                yield i + 2


_SIMPLE: Final[dict[str, tuple[Quantifier, int]]] = {
    "a": (Quantifier.SOME, 1),
    "some": (Quantifier.SOME, 1),
    "several": (Quantifier.SOME, 2),
    "every": (Quantifier.ALL, 1),
    "no": (Quantifier.NO, 0),
    "any": (Quantifier.ALL, 1),
}


def _fitted(quantifier: Quantifier, n: int, core: Core) -> Mention:
    """The mention; `the` and a missing determiner mean different things before a plural."""
    phrase, is_plural = core.phrase, core.is_plural
    if quantifier is Quantifier.THE:
        return Mention(Quantifier.THE_ALL if is_plural else Quantifier.THE, phrase)
    if quantifier is Quantifier.SOME and n == 2 and not is_plural and core.head:
        # A bare singular noun: "red cube in the top left".
        return Mention(Quantifier.SOME, phrase, 1)
    return Mention(quantifier, phrase, n)


def _borrow_noun(mention: Mention, later: Mention) -> Mention:
    """`one small and one large cube`: what the first leaves out comes from the second."""
    own = dict(mention.phrase.values)
    more = tuple(pair for pair in later.phrase.values if pair[0] not in own)
    phrase = replace(mention.phrase, values=(*mention.phrase.values, *more))
    return replace(mention, phrase=phrase)


def _narrowed(phrase: Phrase, by: Phrase) -> Phrase:
    return replace(
        phrase,
        values=(*phrase.values, *by.values),
        cells=phrase.cells & by.cells,
        beside=(*phrase.beside, *by.beside),
    )


def _cells(row: int | None, col: int | None) -> int:
    bits = 0
    for cell in range(N_CELLS):
        cell_row, cell_col = divmod(cell, N_COLS)
        if row in (None, cell_row) and col in (None, cell_col):
            bits |= 1 << cell
    return bits & ALL_CELLS
