"""Events of rounds: their statuses, their end, and the base model that they hold to."""

from typing import ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import CountedSentence, Sentence, Told
from app.lifecycle import Decision, RoundStatus


class RoundCreated(BaseEvent):
    """A round was made, with this number in its project."""

    tag: ClassVar[str] = "round:created"
    number: int

    def describe(self) -> str:
        return Sentence("Round made")


class RoundStatusChanged(BaseEvent):
    """A round went on to another status."""

    tag: ClassVar[str] = "round:status:changed"
    old: RoundStatus
    new: RoundStatus

    def describe(self) -> str:
        return Sentence("%(old)s → %(new)s", old=self.old, new=self.new)


class JudgingClosed(BaseEvent):
    """The judging of a round was closed; these rationales, of so many items, were admitted."""

    tag: ClassVar[str] = "round:judging:closed"
    n_rationales: int
    n_items: int

    def describe(self) -> str:
        return Sentence(
            "Judging closed. Admitted: %(rationales)s of %(items)s",
            rationales=CountedSentence("%(n)s rationale", "%(n)s rationales", n=self.n_rationales),
            items=CountedSentence("%(n)s item", "%(n)s items", n=self.n_items),
        )


class RoundDecided(BaseEvent):
    """At the end of a round it was decided whether another one follows, and why."""

    tag: ClassVar[str] = "round:decided"
    decision: Decision
    reason: Told

    def describe(self) -> str:
        return Sentence(
            "Decided: %(decision)s. %(reason)s", decision=self.decision, reason=self.reason
        )


# --- The base model -------------------------------------------------------------------------


class BasePinned(BaseEvent):
    """The first round of a project pinned the content of its base model."""

    tag: ClassVar[str] = "base:pinned"
    base_model: str
    digest: str

    def describe(self) -> str:
        return Sentence("Base model pinned by its content")


class BaseModelChanged(BaseEvent):
    """Somebody went on although the base model has another content; the pin moved to that."""

    tag: ClassVar[str] = "base:changed"
    base_model: str
    old: str
    new: str

    def describe(self) -> str:
        return Sentence("Went on with a changed base model")


class ModelProved(BaseEvent):
    """A base model passed its proof."""

    tag: ClassVar[str] = "model:proved"
    base_model: str
    digest: str

    def describe(self) -> str:
        return Sentence("The model was tried, and holds")


class ModelRefused(BaseEvent):
    """A base model did not pass its proof."""

    tag: ClassVar[str] = "model:refused"
    base_model: str
    digest: str

    def describe(self) -> str:
        return Sentence("The model was tried, and refused")
