"""The interface of critics: programs that give verdicts on rationale texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.kit.errors import AppError


class Fault(StrEnum):
    """Why a rationale does not fit; annotators tick the same words."""

    WRONG_ABOUT_IMAGE = "wrong_about_image"
    DOES_NOT_JUSTIFY = "does_not_justify"
    RESTATES_ANSWER = "restates_answer"
    UNCLEAR = "unclear"


class CriticError(AppError):
    """A critic cannot judge this item at all; the message says what it would need."""

    status_code = 422
    code = "critic.unable"


@dataclass(frozen=True, slots=True)
class CriticItem:
    """The part of an item that a critic may know. `facts` are those stored with rendered scenes."""

    question: str
    answer: str
    gold_rationales: tuple[str, ...] = ()
    facts: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does the text fit, and why; `fault` is None exactly where it fits."""

    fits: bool
    reason: str
    fault: Fault | None = None

    def __post_init__(self) -> None:
        if self.fits == (self.fault is not None):
            raise ValueError("a verdict names a fault exactly where the text does not fit")


class Critic(Protocol):
    """Judges texts of one item, each by itself, always the same way.

    An item that it cannot judge is a CriticError, which depends on the item and on no text.
    """

    @property
    def name(self) -> str: ...

    def judge(self, item: CriticItem, texts: Sequence[str]) -> list[Verdict]: ...
