"""Answers: every click kept, submitted, taken back, or the item skipped.

- An answer that was acknowledged is never lost: an expired lease frees the slot, not the content.
- The same request twice (double Enter, retried after a lost reply) does the same as once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from app.kit.db import on_commit, session_scope
from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.kit.texts import Sentence
from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Json, Judgement, JudgementRevision, Round, User
from app.queries.judging import judgements as queries
from app.queries.judging.judgements import LockedItem, LockedPlace
from app.queries.judging.pages import get_candidate_texts
from app.services.judging.answers import (
    MAX_EDIT,
    Answer,
    AnswerKept,
    answer_of,
    clean_text,
    count_time,
    read_answer,
    sort_edits,
    write,
)
from app.services.judging.leases import (
    advance,
    heartbeat,
    judging_settings,
    keep_or_refuse,
    lease_end,
    leave,
    release,
    release_all,
    release_expired,
    require_judgeable,
    resume,
    take_next,
)
from app.services.judging.settling import is_all_settled, settle_skip, settle_submission
from app.services.rounds import rounds

__all__ = [
    "AnswerKept",
    "find_too_long",
    "go_on",
    "heartbeat",
    "lease_next",
    "leave",
    "release",
    "release_all",
    "release_expired",
    "resume",
    "save_draft",
    "skip",
    "submit",
    "take_back",
]

N_TAKE_BACK = 10
"""How many of their newest submissions people may take back."""

MAX_SKIP_REASON = 500

NOTHING: Mapping[int, Any] = MappingProxyType({})


def lease_next(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement | None:
    """The item for who comes to judge."""
    require_judgeable(round_)
    queries.lock_person(session, user.id)
    return go_on(session, round_, user, now=now)


def go_on(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement | None:
    """The item for who has just answered another one of an open round, and is locked.

    Whoever finds nothing more to judge asks whether the round is over. After the commit and in a
    transaction of its own: two people who submit the last two items at the same moment do not see
    each other's before.
    """
    judgement = take_next(session, round_, user, now=now or datetime.now(UTC))
    if judgement is None:
        on_commit(session, partial(close_if_all_judged, round_.id))
    return judgement


def save_draft(
    session: Session,
    place: LockedPlace,
    *,
    version: int,
    picked: Iterable[int],
    none_fits: bool,
    answer_is_wrong: bool,
    comment: str,
    is_flagged: bool,
    active_ms: int,
    faults: Mapping[int, Sequence[str]] = NOTHING,
    edits: Mapping[int, str] = NOTHING,
    now: datetime | None = None,
) -> Judgement:
    """Keep what was clicked so far.

    Raises:
        StaleVersion: another tab stored something else since `version`.
        AnswerKept: the slot went to somebody else; the content is stored nevertheless.
        Conflict: the round is closed, or the judgement is already submitted.
    """
    now = now or datetime.now(UTC)
    require_judgeable(place.round_)
    judgement = place.judgement
    answer = read_answer(
        judgement,
        picked=picked,
        none_fits=none_fits,
        answer_is_wrong=answer_is_wrong,
        comment=comment,
        is_flagged=is_flagged,
        faults=faults,
        edits=_sort_edits(session, judgement, edits)[0],
    )
    if judgement.status is JudgementStatus.SUBMITTED:
        if answer == answer_of(judgement):
            return judgement
        raise StaleVersion(
            Sentence(
                "This item is already submitted with another answer. Take it back to change it."
            )
        )
    write(judgement, answer, version=version, now=now)
    count_time(judgement, active_ms, now)
    keep_or_refuse(session, judgement, now)
    if judgement.status is JudgementStatus.LEASED:
        advance(session, judgement, JudgementStatus.DRAFT)
    return judgement


def submit(
    session: Session,
    place: LockedItem,
    *,
    version: int,
    picked: Iterable[int],
    none_fits: bool,
    answer_is_wrong: bool,
    comment: str,
    is_flagged: bool,
    active_ms: int,
    faults: Mapping[int, Sequence[str]] = NOTHING,
    edits: Mapping[int, str] = NOTHING,
    now: datetime | None = None,
) -> Judgement:
    """Make the answer count: verdicts, a revision, an event, and the item done when all slots are.

    The same answer again is a success that changes nothing. A lease that ran out meanwhile is taken
    up again if the item still has room.

    Raises:
        InvalidInput: nothing was chosen and nothing said.
        StaleVersion, AnswerKept, Conflict: as in `save_draft`.
    """
    now = now or datetime.now(UTC)
    round_, judgement = place.round_, place.judgement
    answer = read_answer(
        judgement,
        picked=picked,
        none_fits=none_fits,
        answer_is_wrong=answer_is_wrong,
        comment=comment,
        is_flagged=is_flagged,
        faults=faults,
        edits=_sort_edits(session, judgement, edits)[0],
    )
    if judgement.status is JudgementStatus.SUBMITTED:
        if answer == answer_of(judgement):
            return judgement
        raise StaleVersion(
            Sentence(
                "This item is already submitted with another answer. Take it back to change it."
            )
        )
    require_judgeable(round_)
    if not answer.says_something:
        raise InvalidInput(
            Sentence(
                "Nothing is chosen yet: pick at least one rationale, or say that none fits or that "
                "the answer is wrong. An item can also be skipped."
            )
        )
    write(judgement, answer, version=version, now=now)
    count_time(judgement, active_ms, now)
    keep_or_refuse(session, judgement, now)
    old = judgement.status
    advance(session, judgement, JudgementStatus.SUBMITTED)
    judgement.submitted_at = now
    judgement.lease_until = None
    session.flush()  # verdicts refer to the flags as stored; the trigger counts the submission
    round_item = queries.store_submission(
        session,
        judgement,
        project_id=round_.project_id,
        old=old,
        content=_revision_content(judgement, answer),
    )
    _write_edits(session, judgement, round_item.item_id, answer)
    settle_submission(session, round_item, judgement, judging_settings(round_))
    return judgement


def take_back(session: Session, place: LockedItem, *, now: datetime | None = None) -> Judgement:
    """Turn one of the newest own submissions into a draft again. It keeps its slot."""
    now = now or datetime.now(UTC)
    round_, round_item, judgement = place.round_, place.round_item, place.judgement
    if judgement.status is not JudgementStatus.SUBMITTED:
        return judgement  # asked twice: it is a draft already
    require_judgeable(round_)
    newest = queries.list_recent_submissions(
        session, judgement.round_id, judgement.user_id, N_TAKE_BACK
    )
    if judgement.id not in newest:
        raise Conflict(
            Sentence("Only your last %(n)s submissions can be taken back.", n=N_TAKE_BACK)
        )
    if queries.is_excluded(session, round_item.item_id):
        raise Conflict(Sentence("An admin took this item out; what you submitted stays as it is."))
    session.add(
        JudgementRevision(
            judgement_id=judgement.id,
            number=queries.last_revision_number(session, judgement.id) + 1,
            action="take_back",
            content=_revision_content(judgement, answer_of(judgement)),
        )
    )
    queries.delete_verdicts(session, judgement.id)
    queries.delete_written_rationales(session, judgement.id)
    advance(session, judgement, JudgementStatus.DRAFT, round_=round_)
    judgement.submitted_at = None
    judgement.lease_until = lease_end(now)
    judgement.version += 1
    judgement.updated_at = now
    session.flush()  # the trigger counts the submission out before the item is looked at
    session.refresh(round_item)
    if round_item.state in (RoundItemState.DONE, RoundItemState.SET_ASIDE):
        round_item.state = RoundItemState.OPEN
        round_item.set_aside_reason = None
    return judgement


def skip(
    session: Session, place: LockedItem, *, reason: str, now: datetime | None = None
) -> Judgement:
    """Leave the item to others, with a reason. What was chosen so far is kept.

    An item that too many have skipped is set aside. So is one that nobody is left for, as soon as
    nothing else of the round is to be judged (app/services/judging/settling.py).
    """
    now = now or datetime.now(UTC)
    round_, round_item, judgement = place.round_, place.round_item, place.judgement
    if judgement.status is JudgementStatus.SKIPPED:
        return judgement
    require_judgeable(round_)
    reason = clean_text(reason)
    if not reason:
        raise InvalidInput(Sentence("Say in a word why this item cannot be judged."))
    if len(reason) > MAX_SKIP_REASON:
        raise InvalidInput(
            Sentence("The reason is longer than %(n)s characters.", n=MAX_SKIP_REASON)
        )
    if judgement.status is JudgementStatus.SUBMITTED:
        raise Conflict(Sentence("This item is already submitted. Take it back to skip it."))
    if judgement.status is not JudgementStatus.RELEASED:
        advance(session, judgement, JudgementStatus.SKIPPED, round_=round_, reason=reason)
        judgement.slot = None
        judgement.lease_until = None
    judgement.skip_reason = reason
    judgement.updated_at = now
    session.flush()  # this skip counts too
    settle_skip(session, round_item, judging_settings(round_))
    return judgement


def find_too_long(
    session: Session, judgement: Judgement, edits: Mapping[int, str]
) -> frozenset[int]:
    """Returns the candidates whose better text is longer than what is kept of them."""
    if all(len(text) <= MAX_EDIT for text in edits.values()):
        return frozenset()
    return _sort_edits(session, judgement, edits)[1]


# --- Steps ----------------------------------------------------------------------------------


def _sort_edits(
    session: Session, judgement: Judgement, edits: Mapping[int, str]
) -> tuple[dict[int, str], frozenset[int]]:
    """Look up the texts that the better ones are of; mostly there are none, at no cost."""
    given = {key: text for key, text in edits.items() if text.strip()}
    texts = get_candidate_texts(session, judgement.shown_order) if given else {}
    return sort_edits(judgement, given, texts)


def _write_edits(session: Session, judgement: Judgement, item_id: int, answer: Answer) -> None:
    """Corrected texts as rationales of this person."""
    if answer.answer_is_wrong or not answer.edits:
        return
    queries.insert_written_rationales(
        session,
        [
            {
                "judgement_id": judgement.id,
                "candidate_id": candidate_id,
                "item_id": item_id,
                "text": text,
            }
            for candidate_id, text in answer.edits.items()
        ],
    )


def _revision_content(judgement: Judgement, answer: Answer) -> Json:
    return {
        **answer.as_json(),
        "shown_order": judgement.shown_order,
        "guidelines_version": judgement.guidelines_version,
        "active_ms": judgement.active_ms,
    }


def close_if_all_judged(round_id: int) -> None:
    """Close the round when its last item is done. The sweep does the same, where nobody asks."""
    with session_scope() as session:
        if is_all_settled(session, round_id):
            rounds.close_if_all_judged(session, round_id)
