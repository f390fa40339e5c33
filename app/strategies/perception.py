"""Interactive perception: a model that reads the question asks for what it wants to see.

Source: Li et al. 2023, "LMEye: An Interactive Perception Network for Large Language Models" (arXiv
2305.03701). docs/perception.md says what is the same here, and what differs.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.kit.sentences import Sentence
from app.strategies.contract import RIGHT_OR_WRONG, Mark, Strategy, Trace
from app.strategies.direct import MODEL

__all__ = ["MODEL", "MOST_PLACES", "PERCEPTION", "Look", "PerceptionTrace"]

MOST_PLACES = 9
"""Rows and columns of a map at most; a finer grid of patches is put together to fewer places."""


PLACE_MARK = "place"
"""What of a look people may mark: where it was, as right, partly right or wrong."""


class Look(BaseModel):
    """One request, and where the model looked for it: a grid over the whole picture.

    attention: how much it attended to each place, row by row from the top left; sums to 1.
    occlusion: how much the log-probability of the answer falls, in nats, when the place is hidden;
    below 0 where it rises. None until it is measured. probability: of the answer, with nothing
    hidden. served: always None; stored draws have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1, le=MOST_PLACES)
    columns: int = Field(ge=1, le=MOST_PLACES)
    attention: tuple[float, ...]
    occlusion: tuple[float, ...] | None = None
    probability: float | None = None
    served: None = None

    @model_validator(mode="after")
    def has_a_number_for_each_place(self) -> "Look":
        for numbers in (self.attention, self.occlusion):
            if numbers is None:
                continue
            if len(numbers) != self.rows * self.columns:
                raise ValueError(f"{len(numbers)} numbers do not fill {self.rows}x{self.columns}")
            if not all(map(math.isfinite, numbers)):
                raise ValueError("a number of a place must be finite")
        return self

    @property
    def peak(self) -> tuple[int, int]:
        """Returns the row and the column, from 0, of the place that counts most: by occlusion where
        that is measured, else by attention. The first of equals."""
        numbers = self.attention if self.occlusion is None else self.occlusion
        return divmod(numbers.index(max(numbers)), self.columns)

    @property
    def most_attended(self) -> tuple[int, int]:
        """Returns the row and the column, from 0, of the place with the most attention."""
        return divmod(self.attention.index(max(self.attention)), self.columns)

    @property
    def hidden(self) -> tuple[float, ...] | None:
        """Returns the probability of the answer with each place hidden; None until measured."""
        if self.occlusion is None or self.probability is None:
            return None
        return tuple(min(1.0, self.probability * math.exp(-fall)) for fall in self.occlusion)


class PerceptionTrace(Trace):
    """How a draw came to its text: its looks, in order. without: what the model answers without any
    request, from the basic perception alone; None until it is measured."""

    kind: Literal["perception"] = "perception"
    looks: tuple[Look, ...]
    without: str | None = None

    @property
    def way(self) -> tuple[tuple[int, int], ...]:
        """Returns where each look went, by attention: only draws that people see are measured."""
        return tuple(look.most_attended for look in self.looks)

    @property
    def observed(self) -> Sequence[str]:
        """Returns an empty text for each look, which has a place and no words."""
        return ("",) * len(self.looks)


PERCEPTION = Strategy(
    name="perception",
    roles=(MODEL,),
    trace=PerceptionTrace,
    trace_template="judge/traces/perception.html",
    marks=(Mark(PLACE_MARK, Sentence("Did it look at the right place?"), RIGHT_OR_WRONG),),
    draws_boxes=True,
)
