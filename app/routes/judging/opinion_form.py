"""An opinion as a form of the judging page sends it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, Json, model_validator

from app.kit.errors import InvalidInput
from app.kit.numbers import Id, Whole
from app.kit.sentences import Sentence
from app.opinions import Box, Opinion
from app.web.http.inputs import read_whole


class OpinionForm(Opinion):
    """An opinion as browsers send it, whole, with every click and every submission.

    What is said of candidates has fields of its own: a form has no dictionaries.
    """

    model_config = ConfigDict(extra="ignore")

    version: Whole
    active_ms: Whole = 0
    fault: tuple[str, ...] = ()
    """`candidate:fault`, one per box that is ticked."""
    edited: tuple[Id, ...] = ()
    edit: tuple[str, ...] = ()
    """The better text of the candidate at the same place of `edited`; mostly empty."""
    turns: dict[str, str] = Field(default_factory=dict)
    """The fields about turns by their names, which say of which: `mark-draw-turn-of`,
    `correction-draw-turn`, and `box-draw-turn-edge`."""
    opinion: Json[Opinion] | None = None
    """All of it as JSON, which then counts alone."""

    @model_validator(mode="before")
    @classmethod
    def gather_turns(cls, sent: Any) -> Any:
        """Put the fields about turns together: there are as many as there are turns."""
        if not isinstance(sent, Mapping):
            return sent
        turns = {
            name: value
            for name, value in sent.items()
            if isinstance(value, str) and name.startswith(("mark-", "correction-", "box-"))
        }
        return {**sent, "turns": turns}

    def read(self) -> Opinion:
        """Returns the opinion that was sent. Raises InvalidInput where its parts do not fit."""
        if self.opinion is not None:
            return self.opinion
        given: dict[str, Any] = {name: getattr(self, name) for name in Opinion.model_fields}
        return Opinion(
            **given
            | {"faults": self._read_faults(), "edits": self._read_edits()}
            | self._read_turns()
        )

    def _read_faults(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for value in self.fault:
            number, _, name = value.partition(":")
            candidate_id = read_whole(number)
            if candidate_id is None:
                raise InvalidInput(
                    Sentence("A fault does not name its rationale. Reload the page.")
                )
            found.setdefault(candidate_id, []).append(name)
        return found

    def _read_edits(self) -> dict[int, str]:
        if len(self.edited) != len(self.edit):
            raise InvalidInput(
                Sentence("A better text does not name its rationale. Reload the page.")
            )
        return dict(zip(self.edited, self.edit, strict=True))

    def _read_turns(self) -> dict[str, dict[int, dict[int, Any]]]:
        """Returns marks, corrections and boxes, each by draw and turn."""
        marks: dict[int, dict[int, dict[str, str]]] = {}
        corrections: dict[int, dict[int, str]] = {}
        edges: dict[int, dict[int, dict[str, str]]] = {}
        for field, value in self.turns.items():
            kind, *where = field.split("-", 3)
            draw, turn = (read_whole(number) for number in (*where, "", "")[:2])
            if draw is None or turn is None or len(where) != _N_PARTS[kind]:
                raise InvalidInput(Sentence("A mark does not name its turn. Reload the page."))
            if kind == "mark":
                marks.setdefault(draw, {}).setdefault(turn, {})[where[2]] = value
            elif kind == "box":
                edges.setdefault(draw, {}).setdefault(turn, {})[where[2]] = value.strip()
            else:
                corrections.setdefault(draw, {})[turn] = value
        boxes = {
            draw: {turn: _read_box(given) for turn, given in turns.items() if any(given.values())}
            for draw, turns in edges.items()
        }
        return {"marks": marks, "corrections": corrections, "boxes": boxes}


_N_PARTS = {"mark": 3, "correction": 2, "box": 3}
"""By the first word of a field about a turn: how many more words its name has."""


_EDGES = {"left": "0", "top": "0", "right": "100", "bottom": "100"}
"""The edges of a box, and where each is while nobody has said so: at that of the picture."""


def _read_box(edges: Mapping[str, str]) -> Box:
    """Returns the box whose edges a form gives in percent of the picture. Raises InvalidInput."""
    given = _EDGES | {edge: text for edge, text in edges.items() if text}
    try:
        shares = {edge: float(text.replace(",", ".")) / 100 for edge, text in given.items()}
        return Box.model_validate(shares)
    except ValueError as error:
        raise InvalidInput(
            Sentence("The edges of a box are numbers: percent of the picture.")
        ) from error
