"""Questions back to their structured form, from their text alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from app.scenes.lexicon import canonical_tokens
from app.scenes.noun_phrases import Core, PhraseReader
from app.scenes.questions.queries import (
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
from app.scenes.scene import N_CELLS, N_COLS, N_ROWS
from app.scenes.statements import ALL_CELLS, Phrase

_A: Final = r"(?P<a>colou?r|shape|size|material)"
_D: Final = r"(?:to the )?(?P<d>left of|right of|above|below)"
_T: Final = r"(?P<t>.+?)"
_LR: Final = (r"(?P<l>.+?)", r"(?P<r>.+?)")
_END: Final = r"(?: in the (?:picture|image|scene))?\s*\??$"
_BESIDE: Final = rf"thing directly {_D} the {_T}"
_ASK: Final = r"(?:what|which)"
_SHOWS: Final = r"(?:is there|can you see|does the (?:picture|image|scene) show|do you see)"
_THERE: Final = (
    r"(?:are there|can you see|do you see|does the (?:picture|image|scene) show|"
    r"are visible|are shown)"
)

_NEIGHBOUR: Final = (
    rf"{_ASK} {_A} is the {_BESIDE}{_END}",
    rf"{_ASK} {_A} does the {_BESIDE} have{_END}",
    rf"(?:what is|can you tell|tell me) the {_A} of the {_BESIDE}{_END}",
)
_ATTRIBUTE: Final = (
    rf"{_ASK} {_A} is the {_T}{_END}",
    rf"{_ASK} {_A} does the {_T} have{_END}",
    rf"(?:what is|can you tell|tell me) the {_A} of the {_T}{_END}",
)
_COUNT: Final = (
    rf"how many {_T} {_THERE}{_END}",
    rf"(?:what is|tell me) the number of {_T}{_END}",
)
_COUNT_COMPARISON: Final = (
    rf"(?:{_THERE}) (?P<q>more|fewer|as many) {_LR[0]} (?:than|as) {_LR[1]}{_END}",
    rf"are the {_LR[0]} (?P<q>more|less) numerous than the {_LR[1]}{_END}",
    rf"is the number of {_LR[0]} (?P<q>equal) to the number of {_LR[1]}{_END}",
)
_SAME: Final = (
    rf"is the {_LR[0]} the same {_A} as the {_LR[1]}{_END}",
    rf"do the {_LR[0]} and the {_LR[1]} have the same {_A}{_END}",
    rf"does the {_LR[0]} have the same {_A} as the {_LR[1]}{_END}",
    rf"are the {_LR[0]} and the {_LR[1]} alike in {_A}{_END}",
)
_RELATION: Final = (
    rf"(?:is|can you see) the {_LR[0]} {_D} the {_LR[1]}{_END}",
    rf"does the (?:picture|image|scene) show the {_LR[0]} {_D} the {_LR[1]}{_END}",
    rf"would you say the {_LR[0]} is {_D} the {_LR[1]}{_END}",
)
_EXISTENCE: Final = (
    rf"{_SHOWS} an? {_T}{_END}",
    rf"is an? {_T} (?:in the (?:picture|image|scene)|there|visible)\s*\??$",
)
_RELATIONS: Final = {
    "more": "more", "fewer": "fewer", "less": "fewer", "as many": "same", "equal": "same",
}  # fmt: skip


def parse_question(text: str) -> Query | None:
    """Returns the query behind a question, or None where it is not one about scenes."""
    words = " ".join(text.lower().split())
    for pattern in _NEIGHBOUR:
        if found := re.fullmatch(pattern, words):
            anchor = described(found["t"])
            where = Direction(found["d"])
            return NeighbourQuery(_name(found["a"]), where, anchor) if anchor else None
    for pattern in _SAME:
        if found := re.fullmatch(pattern, words):
            pair = _pair(found)
            return SameAttributeQuery(_name(found["a"]), *pair) if pair else None
    for pattern in _ATTRIBUTE:
        if found := re.fullmatch(pattern, words):
            target = described(found["t"])
            return AttributeQuery(_name(found["a"]), target) if target else None
    return _parse_counts(words) or _parse_yes_no(words)


def _parse_counts(words: str) -> Query | None:
    for pattern in _COUNT:
        if found := re.fullmatch(pattern, words):
            target = described(found["t"])
            return CountQuery(target) if target else None
    for pattern in _COUNT_COMPARISON:
        if found := re.fullmatch(pattern, words):
            pair = _pair(found)
            return CountComparisonQuery(_RELATIONS[found["q"]], *pair) if pair else None
    return None


def _parse_yes_no(words: str) -> Query | None:
    for pattern in _RELATION:
        if found := re.fullmatch(pattern, words):
            pair = _pair(found)
            return RelationQuery(Direction(found["d"]), *pair) if pair else None
    for pattern in _EXISTENCE:
        if found := re.fullmatch(pattern, words):
            target = described(found["t"])
            return ExistenceQuery(target) if target else None
    return None


def _name(word: str) -> str:
    return word.replace("colour", "color")


def _pair(found: re.Match[str]) -> tuple[Description, Description] | None:
    left, right = described(found["l"]), described(found["r"])
    return (left, right) if left and right else None


def described(words: str) -> Description | None:
    """Returns a noun phrase as a description, None where it says more than descriptions can."""
    tokens = canonical_tokens(words)
    for core, end in PhraseReader(tokens).core(0):
        if end == len(tokens) and core.head and not core.phrase.beside:
            return _description(core)
    return None


def _description(core: Core) -> Description | None:
    said = Description().saying(dict(core.phrase.values))
    return said if core.phrase.cells == ALL_CELLS else _placed(said, core.phrase)


def _placed(said: Description, phrase: Phrase) -> Description | None:
    cells = [cell for cell in range(N_CELLS) if phrase.cells >> cell & 1]
    rows = {cell // N_COLS for cell in cells}
    cols = {cell % N_COLS for cell in cells}
    if len(rows) == 1:
        said = replace(said, row=rows.pop())
    elif len(rows) != N_ROWS:
        return None
    return replace(said, col=cols.pop()) if len(cols) == 1 else said
