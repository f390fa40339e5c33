"""Opinions on their way to the row: checked against what was shown, compared, stored, read back."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.orm import Session

from app.critics.base import Fault
from app.kit.errors import InvalidInput, StaleVersion
from app.kit.sentences import Sentence
from app.kit.texts import collapse
from app.models import Judgement
from app.opinions import MAX_COMMENT, MAX_EDIT, Opinion
from app.queries.judging.shown_item import get_candidate_texts

FAULTS = frozenset(Fault)
"""The faults that people can name: the same words as critics use."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The opinion stands on the row, and the item is still reserved for its author, or submitted.

    `too_long` names the candidates whose better text was left out for its length. An opinion with
    such a text is never submitted: it stays a draft.
    """

    judgement: Judgement
    too_long: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Kept:
    """The opinion stands on the row, but the item is no longer its author's: it does not count."""

    judgement: Judgement
    sentence: Sentence
    """Says to the author why."""


def opinion_of(judgement: Judgement) -> Opinion:
    """Returns the opinion that is stored on a row."""
    return Opinion.model_validate(judgement)


def check_opinion(opinion: Opinion, shown: Collection[int]) -> None:
    """Raises InvalidInput for an opinion that contradicts itself or what was shown."""
    named = {*opinion.picked, *opinion.faults, *opinion.edits}
    if not named <= set(shown):
        raise InvalidInput(
            Sentence("A chosen rationale does not belong to this item. Reload the page.")
        )
    if opinion.n_facts > 1:
        raise InvalidInput(
            Sentence(
                "Choose rationales, or “None fits”, or “The answer is wrong”: only one of the "
                "three can be true."
            )
        )
    if len(opinion.comment) > MAX_COMMENT:
        raise InvalidInput(Sentence("The comment is longer than %(n)s characters.", n=MAX_COMMENT))
    if unknown := {name for names in opinion.faults.values() for name in names} - FAULTS:
        raise InvalidInput(
            Sentence("There is no fault called “%(name)s”. Reload the page.", name=min(unknown))
        )
    if set(opinion.faults) & set(opinion.picked):
        raise InvalidInput(
            Sentence("A rationale that you pick has no fault: take back the pick or the fault.")
        )


def edit_limit(texts: Iterable[str]) -> int:
    """Returns how long a better text may be: no shorter than the longest text of the item."""
    return max([MAX_EDIT, *map(len, texts)])


def sort_edits(
    session: Session, judgement: Judgement, opinion: Opinion
) -> tuple[Opinion, frozenset[int]]:
    """Returns the opinion with the better texts to keep, and the candidates whose text is too long.

    A better text that says the same as its candidate is left out. In place of one that is too long
    stays what was stored before, so that the rest of the opinion can be stored.
    """
    if not opinion.edits:
        return opinion, frozenset()
    texts = get_candidate_texts(session, judgement.shown_order)
    limit = edit_limit(texts.values())
    too_long = frozenset(key for key, text in opinion.edits.items() if len(text) > limit)
    kept: Mapping[int, str] = {
        key: judgement.edits.get(str(key), "") if key in too_long else text
        for key, text in opinion.edits.items()
    }
    edits = {
        key: text
        for key, text in kept.items()
        if text and collapse(text) != collapse(texts.get(key, ""))
    }
    return opinion.model_copy(update={"edits": edits}), too_long


def store_opinion(judgement: Judgement, opinion: Opinion, *, version: int, now: datetime) -> None:
    """Write an opinion to the row, unless the same stands there (a request that came twice).

    Raises StaleVersion where another page wrote something else since `version`.
    """
    if opinion == opinion_of(judgement):
        return
    if version != judgement.version:
        raise StaleVersion(
            Sentence(
                "This item was changed in another tab or window since this page was loaded. "
                "Nothing was overwritten."
            )
        )
    for name, value in opinion.model_dump(mode="json").items():
        setattr(judgement, name, value)
    judgement.version += 1
    judgement.updated_at = now


class Timed(Protocol):
    """A row that tells since when it is held, and how long its page was looked at."""

    leased_at: datetime
    active_ms: int


def count_time(held: Timed, active_ms: int, now: datetime) -> None:
    """Raise the active time; it never exceeds the time since the item was handed out."""
    since_lease = int((now - held.leased_at) / timedelta(milliseconds=1))
    held.active_ms = max(held.active_ms, min(active_ms, since_lease))
