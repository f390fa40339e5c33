"""Self-questioning: a model that learns to ask about a picture as well as to answer.

Source: Sun et al. 2024, "SQ-LLaVA: Self-Questioning for Large Vision-Language Assistant" (arXiv
2403.11299). docs/self_questioning.md says what is the same here, and what differs.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.strategies.contract import Strategy, Trace
from app.strategies.direct import MODEL
from app.strategies.same_question import question_key

__all__ = ["MODEL", "SELF_QUESTIONING", "Doubt", "ProbedTrace"]


class Doubt(BaseModel):
    """A question that the model asked about its own rationale, and its two answers: from the image
    alone and from the rationale alone. `differs`: whether these say different things."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    from_picture: str
    from_rationale: str
    differs: bool


class ProbedTrace(Trace):
    """What the model asked about the rationale of a draw. Draws of one text have the same."""

    kind: Literal["self_questioning"] = "self_questioning"
    doubts: tuple[Doubt, ...]

    @property
    def way(self) -> tuple[tuple[str, ...], ...]:
        """Returns the keys of what was asked, in order."""
        return tuple(question_key(doubt.asked) for doubt in self.doubts)

    @property
    def observed(self) -> tuple[str, ...]:
        """Returns nothing: people mark no turn of it."""
        return ()

    @property
    def differing(self) -> tuple[Doubt, ...]:
        """Returns the doubts whose answers differ; the rationale is warned of where there are
        any."""
        return tuple(doubt for doubt in self.doubts if doubt.differs)


def _warns(settings: Mapping[str, Any]) -> bool:
    own = settings.get("self_questioning", {})
    return bool(own.get("probe_questions")) and bool(own.get("probe_warns", True))


SELF_QUESTIONING = Strategy(
    name="self_questioning",
    roles=(MODEL,),
    asks_about_images=True,
    trace=ProbedTrace,
    trace_template="judge/traces/self_questioning.html",
    shows_traces=_warns,
)
