"""Opinions: all that a person says about one item, or about the questions that a model asked of one
image, as one value.

Forms, JSON, the row of a judgement, its revisions, releases and pages take their fields from
`Opinion`. A new one is a field here, its column in `app/models/judgements.py` with a migration, and
a control of the same name in `templates/judge/_remarks.html` (a yes or no) or `_work.html`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat

from app.kit.numbers import Whole
from app.kit.sentences import Sentence
from app.kit.texts import collapse, plain_lines

MAX_COMMENT = 2000
MAX_EDIT = 1000
MAX_CORRECTION = 300
MAX_ANSWER = 500
"""Of the answer to a question, as imports have it."""
LEAST_SIDE = 0.02
"""So much of a picture's width and height does a drawn box have at least."""


@dataclass(frozen=True)
class Remark:
    """Says of a yes-or-no field that people may set it beside their verdicts, and how it is called.

    Lists of own work, the page of an item, comparisons and releases show every remark by itself.
    """

    label: Sentence


def clean_text(text: str) -> str:
    """Returns a text as it is stored, the same whichever browser sent it."""
    return plain_lines(text).strip()


def _sort_ids(ids: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(ids)))


def _sort_faults(faults: Mapping[int, Iterable[str]]) -> dict[int, tuple[str, ...]]:
    found = {key: tuple(sorted(set(names))) for key, names in sorted(faults.items())}
    return {key: names for key, names in found.items() if names}


def _clean_edits(edits: Mapping[int, str]) -> dict[int, str]:
    found = {key: clean_text(text) for key, text in sorted(edits.items())}
    return {key: text for key, text in found.items() if text}


def _sort_marks(
    marks: Mapping[int, Mapping[int, Mapping[str, str]]],
) -> dict[int, dict[int, dict[str, str]]]:
    found: dict[int, dict[int, dict[str, str]]] = {}
    for draw, turns in sorted(marks.items()):
        for turn, values in sorted(turns.items()):
            if given := {of: value for of, value in sorted(values.items()) if value}:
                found.setdefault(draw, {})[turn] = given
    return found


def _clean_corrections(
    corrections: Mapping[int, Mapping[int, str]],
) -> dict[int, dict[int, str]]:
    found = {draw: _clean_edits(turns) for draw, turns in sorted(corrections.items())}
    return {draw: turns for draw, turns in found.items() if turns}


def _sort_boxes(boxes: Mapping[int, Mapping[int, "Box"]]) -> dict[int, dict[int, "Box"]]:
    return {draw: dict(sorted(turns.items())) for draw, turns in sorted(boxes.items()) if turns}


Share = Annotated[FiniteFloat, AfterValidator(lambda value: round(value, 4) + 0.0)]
"""A share of a side of a picture, as exact as anybody can draw."""


class Box(BaseModel):
    """A rectangle on a picture: its edges, as shares of the picture's width or height."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: Share
    top: Share
    right: Share
    bottom: Share

    @property
    def lies_within(self) -> bool:
        """Whether it lies on the picture, with its edges the right way round."""
        return 0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1

    @property
    def least_side(self) -> float:
        """Returns its width or its height, whichever is less."""
        return round(min(self.right - self.left, self.bottom - self.top), 4)


class Opinion(BaseModel):
    """The opinion of one person about one item. Opinions with the same content are equal.

    Nothing is checked against the item here: an opinion may hold what is then refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    picked: Annotated[tuple[Whole, ...], AfterValidator(_sort_ids)] = ()
    """Ids of the candidates that fit."""
    none_fits: bool = False
    answer_is_wrong: bool = False
    is_flagged: Annotated[bool, Remark(Sentence("Flagged"))] = False
    is_unsure: Annotated[bool, Remark(Sentence("Unsure"))] = False
    comment: Annotated[str, AfterValidator(clean_text)] = ""
    faults: Annotated[dict[int, tuple[str, ...]], AfterValidator(_sort_faults)] = {}
    """By candidate: names of what is wrong with it."""
    edits: Annotated[dict[int, str], AfterValidator(_clean_edits)] = {}
    """By candidate: the text as this person would have it."""
    marks: Annotated[dict[int, dict[int, dict[str, str]]], AfterValidator(_sort_marks)] = {}
    """By draw and number of its turn: the values of the strategy's marks (app/strategies/)."""
    corrections: Annotated[dict[int, dict[int, str]], AfterValidator(_clean_corrections)] = {}
    """By draw and number of its turn: what this person sees instead of what was observed."""
    boxes: Annotated[dict[int, dict[int, Box]], AfterValidator(_sort_boxes)] = {}
    """By draw and number of its look: where on the picture it should have looked."""

    @property
    def says_something(self) -> bool:
        """Whether there is a verdict in it, without which it cannot be submitted."""
        return self.n_facts > 0

    @property
    def n_facts(self) -> int:
        """Returns how many of the three facts are stated, of which only one can be true."""
        return (bool(self.picked), self.none_fits, self.answer_is_wrong).count(True)

    def each_mark(self) -> Iterator[tuple[int, int, str, str]]:
        """Yields draw, turn, what of it is marked, and the value."""
        for draw, turns in self.marks.items():
            for turn, values in turns.items():
                for of, value in values.items():
                    yield draw, turn, of, value

    def each_correction(self) -> Iterator[tuple[int, int, str]]:
        """Yields draw, turn, and the text."""
        for draw, turns in self.corrections.items():
            for turn, text in turns.items():
                yield draw, turn, text

    def each_box(self) -> Iterator[tuple[int, int, Box]]:
        """Yields draw, look, and the box."""
        for draw, turns in self.boxes.items():
            for turn, box in turns.items():
                yield draw, turn, box

    @property
    def speaks_of_turns(self) -> bool:
        """Whether it says something of how a rationale came about."""
        return bool(self.marks or self.corrections or self.boxes)


FACTS = {"picked", "none_fits", "answer_is_wrong"}
"""The fields of an opinion that hold its verdicts."""

NOTHING = Opinion()
"""The opinion of a person who has said nothing yet."""

REMARKS: Mapping[str, Remark] = {
    name: found
    for name, field in Opinion.model_fields.items()
    for found in field.metadata
    if isinstance(found, Remark)
}
"""The remarks by the name of their field, in the order in which they are shown."""


def remarks_of(opinion: Opinion) -> tuple[str, ...]:
    """Returns the labels of the remarks in an opinion."""
    return tuple(remark.label for name, remark in REMARKS.items() if getattr(opinion, name))


# --- Questions that a model asked ---------------------------------------------------------------


class QuestionFault(StrEnum):
    """What is wrong with a question that a model asked about an image."""

    NOT_IN_IMAGE = "not_in_image"
    NOT_WORTH_ASKING = "not_worth_asking"


def _collapse_all(texts: Mapping[int, str]) -> dict[int, str]:
    return {key: collapse(text) for key, text in sorted(texts.items())}


def _collapse_given(texts: Mapping[int, str]) -> dict[int, str]:
    return {key: text for key, text in _collapse_all(texts).items() if text}


class QuestionChoices(BaseModel):
    """What one person says of the questions that a model asked about one image. Choices with the
    same content are equal.

    Nothing is checked against the questions here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept: Annotated[tuple[Whole, ...], AfterValidator(_sort_ids)] = ()
    """Ids of the questions that are to become items; all others are dropped."""
    drops_all: bool = False
    faults: Annotated[dict[int, tuple[str, ...]], AfterValidator(_sort_faults)] = {}
    """By question: why it is dropped (`QuestionFault`), where the person says so."""
    edits: Annotated[dict[int, str], AfterValidator(_collapse_given)] = {}
    """By question: the wording in which it is kept, where that is another one."""
    answers: Annotated[dict[int, str], AfterValidator(_collapse_all)] = {}
    """By question: its answer; the model's own holds for one that is not among them."""

    @property
    def says_something(self) -> bool:
        """Whether anything is decided, without which it cannot be submitted."""
        return bool(self.kept) or self.drops_all
