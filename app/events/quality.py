"""Events of quality: check items, answers that are set apart, and comparisons of adapters."""

from typing import ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import CountedSentence, Sentence


class CheckItemAdded(BaseEvent):
    """An item became a check item."""

    tag: ClassVar[str] = "project:check:added"
    item_id: int

    def describe(self) -> str:
        return Sentence("Item %(id)s became a check item", id=self.item_id)


class CheckItemRetired(BaseEvent):
    """A check item is mixed in no more."""

    tag: ClassVar[str] = "project:check:retired"
    item_id: int

    def describe(self) -> str:
        return Sentence("Item %(id)s is no check item any more", id=self.item_id)


class AnswersWithdrawn(BaseEvent):
    """An admin set the answers of a person in a round apart; others are asked instead."""

    tag: ClassVar[str] = "round:answers:withdrawn"
    user_id: int
    n_answers: int

    def describe(self) -> str:
        return CountedSentence(
            "%(n)s answer of person %(id)s set apart",
            "%(n)s answers of person %(id)s set apart",
            n=self.n_answers,
            id=self.user_id,
        )


class AnswersGivenBack(BaseEvent):
    """Answers of a person that had been set apart count again."""

    tag: ClassVar[str] = "round:answers:given_back"
    user_id: int
    n_answers: int

    def describe(self) -> str:
        return CountedSentence(
            "%(n)s answer of person %(id)s counts again",
            "%(n)s answers of person %(id)s count again",
            n=self.n_answers,
            id=self.user_id,
        )


class ComparisonRequested(BaseEvent):
    """An admin asked whether the adapter of a round writes better than the one before it."""

    tag: ClassVar[str] = "round:comparison:requested"
    n_items: int
    strategy: str | None = None
    """Whose adapters, in a round of several strategies."""

    def describe(self) -> str:
        if self.strategy is not None:
            return CountedSentence(
                "Comparison of the adapters of %(strategy)s asked for, on %(n)s test item",
                "Comparison of the adapters of %(strategy)s asked for, on %(n)s test items",
                n=self.n_items,
                strategy=self.strategy,
            )
        return CountedSentence(
            "Comparison of the adapters asked for, on %(n)s test item",
            "Comparison of the adapters asked for, on %(n)s test items",
            n=self.n_items,
        )


class ComparisonCancelled(BaseEvent):
    """A comparison of adapters was stopped; what was said of it counts nowhere."""

    tag: ClassVar[str] = "round:comparison:cancelled"

    def describe(self) -> str:
        return Sentence("Comparison of the adapters cancelled")
