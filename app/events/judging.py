"""Events of judging: statuses of judgements, and the practice before."""

from typing import Annotated, ClassVar

from app.events.base import BaseEvent, OwnWords
from app.kit.sentences import Sentence, Share
from app.lifecycle import JudgementStatus, PracticeMode


class JudgementStatusChanged(BaseEvent):
    """Somebody submitted, skipped or took back a judgement; `reason` is why it was skipped.

    There is one for each judgement, so pages of a round leave them out.
    """

    tag: ClassVar[str] = "judgement:status:changed"
    judgement_id: int
    old: JudgementStatus
    new: JudgementStatus
    reason: Annotated[str | None, OwnWords()] = None

    def describe(self) -> str:
        parts = {"id": self.judgement_id, "old": self.old, "new": self.new}
        if self.reason is None:
            return Sentence("Judgement %(id)s: %(old)s → %(new)s", **parts)
        return Sentence(
            "Judgement %(id)s: %(old)s → %(new)s. %(reason)s", **parts, reason=self.reason
        )


class TracesOpened(BaseEvent):
    """Somebody who had submitted a judgement looked at how its candidates came about, in a round of
    several strategies; from then on their verdicts stand.

    There is one for each judgement, so pages of a round leave them out.
    """

    tag: ClassVar[str] = "judgement:traces:opened"
    judgement_id: int

    def describe(self) -> str:
        return Sentence(
            "Judgement %(id)s: its author saw how the rationales came about", id=self.judgement_id
        )


class QuestionsDecided(BaseEvent):
    """Somebody decided on the questions that a model asked about an image.

    There is one for each image, so pages of a round leave them out.
    """

    tag: ClassVar[str] = "questions:decided"
    review_id: int
    n_kept: int
    n_edited: int
    """Of those that were kept."""
    n_dropped: int

    def describe(self) -> str:
        return Sentence(
            "Questions asked of an image: %(kept)s kept, %(edited)s of them reworded, %(dropped)s "
            "dropped",
            kept=self.n_kept,
            edited=self.n_edited,
            dropped=self.n_dropped,
        )


class QuestionsTakenBack(BaseEvent):
    """Somebody took back what they decided on the questions of an image; its new items are gone."""

    tag: ClassVar[str] = "questions:taken_back"
    review_id: int
    n_items: int

    def describe(self) -> str:
        return Sentence(
            "Decisions on the questions of an image taken back; items that are gone: %(n)s",
            n=self.n_items,
        )


class PracticeChanged(BaseEvent):
    """Practice before judging was switched off, offered, or made a condition."""

    tag: ClassVar[str] = "project:practice:changed"
    mode: PracticeMode
    pass_share: float

    def describe(self) -> str:
        match self.mode:
            case PracticeMode.OFF:
                return Sentence("Practice is off now")
            case PracticeMode.OFFERED:
                return Sentence("Practice is offered now")
            case PracticeMode.REQUIRED:
                return Sentence(
                    "Practice is required now; passed with %(share)s right",
                    share=Share(self.pass_share),
                )


class PracticeItemAdded(BaseEvent):
    """An item became a practice item."""

    tag: ClassVar[str] = "project:practice:item_added"
    item_id: int

    def describe(self) -> str:
        return Sentence("Item %(id)s became a practice item", id=self.item_id)


class PracticeItemSaved(BaseEvent):
    """The lesson of a practice item was written or changed."""

    tag: ClassVar[str] = "project:practice:item_saved"
    practice_item_id: int

    def describe(self) -> str:
        return Sentence("Practice item %(id)s saved", id=self.practice_item_id)


class PracticeItemRemoved(BaseEvent):
    """An item is no practice item any more, and its lesson is gone."""

    tag: ClassVar[str] = "project:practice:item_removed"
    item_id: int

    def describe(self) -> str:
        return Sentence("Item %(id)s is no practice item any more", id=self.item_id)
