"""Rationales as statements: a small grammar, more liberal than any text that we generate.

Ambiguous texts have several readings; `readings` yields them, the most literal first, and the
critic takes the kindest. A text that no reading covers to its last word is not understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from app.scenes.lexicon import canonical_tokens
from app.scenes.noun_phrases import PhraseReader
from app.scenes.scene import ATTRIBUTES
from app.scenes.statements import (
    Clause,
    ComparesCounts,
    ComparesSizes,
    Exists,
    Line,
    Mention,
    OneAndOther,
    PairSays,
    Phrase,
    Predicate,
    Pronoun,
    Quantifier,
    Says,
    SharesLine,
    SharesValue,
    Statement,
)

MAX_TOKENS: Final = 60
MAX_READINGS: Final = 12
_JOINERS: Final = frozenset({"and", "but", "while", ",", ";", "because", "since", "so"})
_DETERMINED: Final = frozenset({"some", "several", "at", "more", "fewer", "less", "a", "any"})
_MORE: Final = {"more": "more", "fewer": "fewer", "less": "fewer"}

Readings = Iterator[tuple[Statement, int]]


def readings(text: str) -> list[tuple[Clause, ...]]:
    """Returns every way to read the whole text, at most MAX_READINGS; none where it is not
    understood.
    """
    tokens = canonical_tokens(text)
    if not tokens or len(tokens) > MAX_TOKENS:
        return []
    return list(islice(_Grammar(tokens).text(), MAX_READINGS))


class _Grammar(PhraseReader):
    def text(self) -> Iterator[tuple[Clause, ...]]:
        for clauses, end in self._clauses(0, None):
            if end == len(self.tokens):
                yield clauses

    def _clauses(
        self, i: int, before: Statement | None
    ) -> Iterator[tuple[tuple[Clause, ...], int]]:
        for statements, j in self._clause(i, before):
            words = " ".join(self.tokens[i:j]).removeprefix("see ").replace(" see ", " there is ")
            here = tuple(Clause(statement, words) for statement in statements)
            k = j
            while self.at(k) in _JOINERS:
                k += 1
            if k > j:
                for rest, end in self._clauses(k, statements[-1]):
                    yield (*here, *rest), end
            yield here, j

    def _clause(
        self, i: int, before: Statement | None
    ) -> Iterator[tuple[tuple[Statement, ...], int]]:
        for read in (
            self._compares_counts,
            self._one_and_other,
            self._shares,
            self._compares_sizes,
            self._about_both,
            self._exists,
        ):
            for statement, j in read(i):
                yield (statement,), j
        yield from self._says(i)
        if isinstance(before, Says | Exists):
            yield from self._said_shortly(i, before)

    # --------------------------------------------------------------------------------- existence

    def _exists(self, i: int) -> Readings:
        if self.follows(i, "see that"):
            return
        if self.at(i) == "see":
            yield from self._seen(i + 1)
            return
        for place, j in self.place(i):
            k = j + 1 if self.at(j) == "," else j
            if self.at(k) in {"see", "is", "are"}:
                for statement, end in self._seen(k + 1):
                    if isinstance(statement, Exists):
                        yield _moved_to(statement, place), end
        for mentions, j in self._things_there(i):
            if self.at(j) == "exist" or (self.at(j) in {"is", "are"} and self.at(j + 1) == "exist"):
                yield Exists(mentions), j + 1 if self.at(j) == "exist" else j + 2
            elif mentions[0].quantifier not in {Quantifier.THE, Quantifier.THE_ALL}:
                yield Exists(mentions), j

    def _seen(self, i: int) -> Readings:
        if self.at(i) == "only":
            for mentions, j in self._things_there(i + 1):
                if all(mention.quantifier is Quantifier.SOME for mention in mentions):
                    loose = tuple(replace(mention, n=1) for mention in mentions)
                    yield Exists(loose, is_all=True), j
        for mentions, j in self._things_there(i):
            yield Exists(mentions), j

    def _things_there(self, i: int) -> Iterator[tuple[tuple[Mention, ...], int]]:
        """Lists without pronouns: "i see it" says nothing that could be true or false."""
        empty = {Pronoun.IT, Pronoun.THEY}
        for mentions, j in self.mentions(i):
            if any(mention.phrase.pronoun in empty for mention in mentions):
                continue
            # "red and blue things": each colour is there, not two things of each.
            is_list = len(mentions) > 1
            yield (tuple(map(_at_least_one, mentions)) if is_list else mentions), j

    # ------------------------------------------------------------------------------- comparisons

    def _compares_counts(self, i: int) -> Readings:
        j = i + 1 if self.at(i) == "see" else i
        is_negated = self.at(j) == "not"
        j = j + 1 if is_negated else j
        word = self.at(j)
        if word in _MORE:
            yield from self._two_counts(j + 1, "than", _MORE[word], is_negated)
        elif self.follows(j, "as many"):
            yield from self._two_counts(j + 2, "as", "same", is_negated)
        elif self.follows(j, "an equal number of") or self.follows(j, "same number of"):
            start = j + (4 if self.at(j) == "an" else 3)
            yield from self._two_counts(start, "and", "same", is_negated)
        elif self.at(j) == "the":
            yield from self._outnumbers(j + 1)

    def _two_counts(self, i: int, link: str, relation: str, is_negated: bool) -> Readings:
        for left, j in self.core(i):
            if left.head and self.at(j) == link:
                for right, k in self.core(j + 1):
                    if right.head:
                        end = k + 1 if self.at(k) == "exist" else k
                        yield (
                            ComparesCounts(relation, left.phrase, right.phrase, is_negated),
                            end,
                        )

    def _outnumbers(self, i: int) -> Readings:
        for left, j in self.core(i):
            if self.at(j) == "outnumber" and self.at(j + 1) == "the":
                for right, k in self.core(j + 2):
                    yield ComparesCounts("more", left.phrase, right.phrase), k

    def _compares_sizes(self, i: int) -> Readings:
        for left, j in self.anchor(i):
            if self.at(j) == "is" and self.at(j + 1) in {"larger", "smaller"}:
                size = "large" if self.at(j + 1) == "larger" else "small"
                if self.at(j + 2) == "than":
                    for right, k in self.anchor(j + 3):
                        yield ComparesSizes(size, left, right), k

    def _shares(self, i: int) -> Readings:
        """`they have the same color`, `the cube is the same color as the sphere`, `same row`."""
        for pair, j in self._pair(i):
            k = j + 1 if self.at(j) in {"is", "are", "have", "not"} else j
            is_negated = "not" in (self.at(j), self.at(k))
            k = k + 1 if self.at(k) == "not" else k
            k = k + 1 if self.at(k) == "have" and k > j else k
            k = k + 1 if self.at(k) == "both" else k
            yield from self._shared(k, pair, is_negated)

    def _pair(self, i: int) -> Iterator[tuple[tuple[Phrase, Phrase] | Phrase | None, int]]:
        if self.at(i) in {"they", "both"}:
            yield None, i + 2 if self.at(i + 1) == "things" else i + 1
        for left, j in self.anchor(i):
            if self.at(j) == "and":
                for right, k in self.anchor(j + 1):
                    yield (left, right), k
            yield left, j

    def _shared(
        self, i: int, pair: tuple[Phrase, Phrase] | Phrase | None, is_negated: bool
    ) -> Readings:
        j = i + 1 if self.at(i) == "in" else i
        j = j + 1 if self.at(j) == "the" else j
        word, what = self.at(j), self.at(j + 1)
        if self.follows(j, "differ in"):
            word, what, j = "different", self.at(j + 2), j + 1
        if self.at(j) == "alike" and self.at(j + 1) == "in":
            word, what, j = "same", self.at(j + 2), j + 1
        if word not in {"same", "different"}:
            return
        is_negated = is_negated != (word == "different")
        for both, end in self._completed(pair, j + 2, word):
            if what in {"row", "column"}:
                yield SharesLine(Line(what), both, is_negated), end
            elif what in ATTRIBUTES:
                yield SharesValue(what, both, is_negated), end

    def _completed(
        self, pair: tuple[Phrase, Phrase] | Phrase | None, i: int, word: str
    ) -> Iterator[tuple[tuple[Phrase, Phrase] | None, int]]:
        if not isinstance(pair, Phrase):
            yield pair, i
        elif self.at(i) == ("as" if word == "same" else "than"):
            for other, j in self.anchor(i + 1):
                yield (pair, other), j

    # ------------------------------------------------------------------------- saying what is what

    def _one_and_other(self, i: int) -> Readings:
        if self.at(i) != "one" or self.at(i + 1) not in {"is", "see"}:
            return
        for one, j in self.predicate(i + 2):
            k = j + 1 if self.at(j) in _JOINERS else j
            if k > j and self.follows(k, "the other"):
                start = k + 3 if self.at(k + 2) == "is" else k + 2
                for other, end in self.predicate(start):
                    yield OneAndOther(one, other), end

    def _about_both(self, i: int) -> Readings:
        if self.at(i) == "both":
            j = i + 2 if self.at(i + 1) == "things" else i + 1
            yield from self._pair_says(j)

    def _pair_says(self, i: int) -> Readings:
        if self.at(i) == "are":
            for predicate, j in self.predicate(i + 1):
                yield PairSays(predicate), j

    def _says(self, i: int) -> Iterator[tuple[tuple[Statement, ...], int]]:
        start = i + 2 if self.follows(i, "see that") else i
        start = start + 1 if self.at(start) == "both" and self.at(start + 1) == "the" else start
        for subjects, j in self._subjects(start):
            k = j + 1 if self.at(j) == "both" else j
            if self.at(k) in {"is", "are"}:
                for predicate, end in self.predicate(k + 1):
                    yield tuple(Says(subject, predicate) for subject in subjects), end

    def _subjects(self, i: int) -> Iterator[tuple[tuple[Mention, ...], int]]:
        if self.at(i) == "only":
            # "only cubes are red", "only the cube is red"
            j = i + 2 if self.at(i + 1) in {"the", "a"} else i + 1
            for core, k in self.core(j):
                if core.head:
                    yield (Mention(Quantifier.ONLY, core.phrase),), k
        for mentions, j in self.mentions(i):
            definite = {Quantifier.THE, Quantifier.THE_ALL}
            if len(mentions) == 1 and self._is_generic(i, mentions[0]):
                yield (replace(mentions[0], quantifier=Quantifier.ALL),), j
            elif len(mentions) == 1 or all(one.quantifier in definite for one in mentions):
                yield mentions, j

    def _is_generic(self, i: int, mention: Mention) -> bool:
        """`cubes are red`: said of all cubes."""
        return mention.quantifier is Quantifier.SOME and self.at(i) not in _DETERMINED

    def _said_shortly(
        self, i: int, before: Says | Exists
    ) -> Iterator[tuple[tuple[Statement, ...], int]]:
        """`... and the sphere in the right column`; `... and is red`."""
        if isinstance(before, Says):
            for subject, _, j in self.mention(i):
                if subject.quantifier in {Quantifier.THE, Quantifier.THE_ALL}:
                    for predicate, end in self.predicate(j):
                        yield (Says(subject, predicate),), end
        if self.at(i) in {"is", "are"}:
            it = Mention(Quantifier.THE, Phrase(pronoun=Pronoun.IT))
            subject = before.subject if isinstance(before, Says) else it
            for predicate, end in self.predicate(i + 1):
                yield (Says(subject, predicate),), end

    # --------------------------------------------------------------------------------- predicates

    def predicate(self, i: int) -> Iterator[tuple[Predicate, int]]:
        j = i + 1 if self.at(i) == "both" else i
        is_negated = self.at(j) in {"not", "neither"}
        j = j + 1 if is_negated else j
        j = j + 1 if self.at(j) in {"either", "only", "both"} else j
        for options, is_either, end in self._options(j):
            # "neither red nor blue": not (red or blue), for which nothing need be said.
            yield Predicate(options, is_either, is_negated), end

    def _options(self, i: int) -> Iterator[tuple[tuple[Phrase | Mention, ...], bool, int]]:
        for first, j in self._option(i):
            for word, k in self._option_word(j):
                for rest, is_either, end in self._options(k):
                    yield (first, *rest), is_either or word == "or", end
            yield (first,), False, j

    def _option_word(self, i: int) -> Iterator[tuple[str, int]]:
        if self.at(i) in {"and", "or", ",", "but"}:
            j = i + 1
            word = self.at(i)
            if word == "," and self.at(j) in {"and", "or"}:
                word, j = self.at(j), j + 1
            yield word, j

    def _option(self, i: int) -> Iterator[tuple[Phrase | Mention, int]]:
        for place, j in self.place(i):
            yield place, j
        for mention, has_noun, j in self.mention(i):
            if self.at(i) in {"it", "they", "these", "those", "all", "every", "both", "no"}:
                continue
            is_bare = mention.quantifier is Quantifier.SOME and self.at(i) not in {"a", "some"}
            if has_noun and mention.phrase.pronoun is None:
                yield (mention.phrase if is_bare else mention), j
        for values, j in self.adjectives(i):
            if values:
                yield Phrase(values), j


def _at_least_one(mention: Mention) -> Mention:
    return replace(mention, n=1) if mention.quantifier is Quantifier.SOME else mention


def _moved_to(found: Exists, place: Phrase) -> Exists:
    """`in the center there is a cube`: the place in front holds for each mention."""
    moved = tuple(
        replace(
            mention,
            phrase=replace(
                mention.phrase,
                cells=mention.phrase.cells & place.cells,
                beside=(*mention.phrase.beside, *place.beside),
            ),
        )
        for mention in found.mentions
    )
    return Exists(moved, found.is_all)
