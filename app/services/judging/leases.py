"""Handing out items: a slot held by one person until a time.

An item of a round never has more than its number of slots held or submitted. The database enforces
it (unique slot, CHECK and trigger on the counters); the order of locks, which keeps people from
waiting for each other, is in app/queries/judging/judgements.py.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidTransition
from app.kit.settings import get_settings
from app.kit.texts import Sentence
from app.lifecycle import (
    JUDGEABLE_ROUND,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    can_advance,
)
from app.models import Judgement, Project, Round, RoundItem, User
from app.queries.judging import judgements as queries
from app.queries.judging.judgements import LockedPlace
from app.queries.judging.queue import claim_open_item
from app.round_settings import JudgingSettings
from app.services.events import record
from app.services.judging.answers import EMPTY, AnswerKept, answer_of, count_time

RELEASE_BATCH = 500
"""Leases freed in one transaction."""

LEAVE_SECONDS = 20
"""How long an item is kept for somebody whose page was closed: a reload looks like that too."""


def take_next(session: Session, round_: Round, user: User, *, now: datetime) -> Judgement | None:
    """The item this person works on: their own unfinished one first, else the next of the queue.

    The caller has locked the person, so that two tabs get the same item. Then:

    1. Renew what they hold; else take up again what they lost, if its item still has room.
    2. Lock an item with a free slot, skipping what others lock at this moment, and take the slot;
       if there is none, free the slots of leases of the round that ran out, and look again.
    """
    own = queries.find_own_work(session, round_.id, user.id)
    # Not waiting for the item's lock: the caller may hold another one, after a submission.
    if own is not None and hold(session, own, now, wait=False):
        return own
    claimed = _claim(session, round_, user, now)
    if claimed is None:
        return None
    round_item, shown_ids = claimed
    project = session.get_one(Project, round_.project_id)
    judgement = Judgement(
        round_item_id=round_item.id,
        round_id=round_.id,
        user_id=user.id,
        user_kind=user.kind,
        status=JudgementStatus.LEASED,
        slot=_free_slot(session, round_item),
        max_slots=round_item.max_slots,
        lease_until=lease_end(now),
        version=0,
        shown_order=shown_order(
            round_,
            item_id=round_item.item_id,
            user_id=user.id,
            candidate_ids=shown_ids,
        ),
        picked=[],
        none_fits=False,
        answer_is_wrong=False,
        is_flagged=False,
        comment="",
        guidelines_version=project.guidelines_version,
        active_ms=0,
        leased_at=now,
        updated_at=now,
    )
    session.add(judgement)
    session.flush()  # the page links to the judgement's id
    return judgement


def _claim(
    session: Session, round_: Round, user: User, now: datetime
) -> tuple[RoundItem, list[int]] | None:
    """The next item of the queue. Leases that ran out are the sweep's, unless nothing else is left:
    then they are freed now."""
    most = judging_settings(round_).max_per_annotator
    claimed = claim_open_item(session, round_.id, user.id, most=most)
    if claimed is None and release_expired(session, now=now, round_id=round_.id):
        return claim_open_item(session, round_.id, user.id, most=most)
    return claimed


def shown_order(
    round_: Round, *, item_id: int, user_id: int, candidate_ids: Iterable[int]
) -> list[int]:
    """The order of the candidates for one person: random to them, the same at every look."""
    key = round_.order_key.encode()

    def place(candidate_id: int) -> bytes:
        message = f"{item_id}:{user_id}:{candidate_id}".encode()
        return hmac.new(key, message, hashlib.sha256).digest()

    return sorted(candidate_ids, key=place)


def release_expired(
    session: Session, *, now: datetime | None = None, round_id: int | None = None
) -> int:
    """Free the slots of leases that ran out; how many. The sweep calls it for all rounds."""
    return queries.release_expired(
        session, now=now or datetime.now(UTC), round_id=round_id, limit=RELEASE_BATCH
    )


def heartbeat(
    session: Session, place: LockedPlace, *, active_ms: int, now: datetime | None = None
) -> Judgement:
    """The page is open and somebody works on it: keep the item for them.

    Raises:
        AnswerKept: the lease ran out before, and the last place went to somebody else.
        Conflict: the round is closed.
    """
    now = now or datetime.now(UTC)
    require_judgeable(place.round_)
    judgement = place.judgement
    if judgement.status in (*queries.HELD, JudgementStatus.RELEASED):
        keep_or_refuse(session, judgement, now)
        count_time(judgement, active_ms, now)
    return judgement


def release(session: Session, place: LockedPlace) -> Judgement:
    """Give the item back before the lease ends. What was chosen is kept for its author."""
    judgement = place.judgement
    if judgement.status in queries.HELD:
        advance(session, judgement, JudgementStatus.RELEASED)
        judgement.slot = None
        judgement.lease_until = None
    return judgement


def leave(place: LockedPlace, *, lease: datetime, now: datetime | None = None) -> Judgement:
    """Shorten the lease of a page that was closed to what a reload may take.

    `lease` is the newest end that the page knew of. Where a later one was given since, another page
    or a later heartbeat has the item: then nothing changes, however late this message comes. The
    page that comes back, its heartbeat, or an answer makes it a whole lease again.
    """
    soon = (now or datetime.now(UTC)) + timedelta(seconds=LEAVE_SECONDS)
    judgement = place.judgement
    if judgement.lease_until is not None and judgement.lease_until <= lease:
        judgement.lease_until = min(judgement.lease_until, soon)
    return judgement


def release_all(session: Session, user_id: int, *, project_id: int | None = None) -> int:
    """Free everything that a person holds, in one project or in all, and return how many it was.

    For somebody who signs out, or who may not judge any more: others need not wait for a lease to
    end. What was chosen is kept, and taken up again where the item still has room.
    """
    queries.lock_person(session, user_id)
    return queries.release_held(session, user_id, project_id=project_id)


def resume(session: Session, place: LockedPlace, *, now: datetime | None = None) -> Judgement:
    """Take up again an item that was skipped, given back or lost, if it still has room."""
    now = now or datetime.now(UTC)
    require_judgeable(place.round_)
    judgement = place.judgement
    if judgement.status is not JudgementStatus.SUBMITTED:
        keep_or_refuse(session, judgement, now)
        judgement.updated_at = now  # what was taken up last is shown first
    return judgement


# --- Shared with answers ----------------------------------------------------------------------


def require_judgeable(round_: Round) -> None:
    if round_.status in JUDGEABLE_ROUND:
        return
    raise Conflict(
        Sentence(
            "%(why)s Answers can be neither added nor changed any more; what you submitted before "
            "is kept.",
            why=_why_closed(round_),
        )
    )


def _why_closed(round_: Round) -> Sentence:
    match round_.status:
        case RoundStatus.DRAFT:
            return Sentence("Round %(number)s has not started yet.", number=round_.number)
        case RoundStatus.CANCELLED:
            return Sentence("Round %(number)s was cancelled.", number=round_.number)
        case RoundStatus.COMPLETED:
            return Sentence("Round %(number)s is completed.", number=round_.number)
    return Sentence(
        "Round %(number)s is closed for judging; the model is learning from it now.",
        number=round_.number,
    )


def judging_settings(round_: Round) -> JudgingSettings:
    """Those of the round; checked when it was made, and read here on every request."""
    return JudgingSettings.model_validate(round_.settings.get("judging", {}))


def has_reached_limit(session: Session, judgement: Judgement) -> bool:
    """Whether its author has submitted, or holds, as many items of the round as one person may."""
    most = judging_settings(session.get_one(Round, judgement.round_id)).max_per_annotator
    return most is not None and (
        queries.count_submitted(session, judgement.round_id, judgement.user_id)
        + queries.count_held(session, judgement.round_id, judgement.user_id)
        >= most
    )


def lease_end(now: datetime) -> datetime:
    return now + timedelta(minutes=get_settings().lease_minutes)


def hold(session: Session, judgement: Judgement, now: datetime, *, wait: bool) -> bool:
    """Renew the lease; one that was lost is taken again while the item has room. False if not."""
    if judgement.status not in queries.HELD:
        lock = queries.lock_round_item if wait else queries.try_lock_round_item
        round_item = lock(session, judgement.round_item_id)
        if (
            round_item is None
            or round_item.state is not RoundItemState.OPEN
            or round_item.n_taken >= round_item.slots
            or has_reached_limit(session, judgement)
        ):
            return False
        slot = _free_slot(session, round_item)
        has_content = answer_of(judgement) != EMPTY
        advance(
            session, judgement, JudgementStatus.DRAFT if has_content else JudgementStatus.LEASED
        )
        judgement.slot = slot
        judgement.skip_reason = None
    judgement.lease_until = lease_end(now)
    return True


def keep_or_refuse(session: Session, judgement: Judgement, now: datetime) -> None:
    """Hold the item, or say why that is over; what was written to the row stays."""
    if hold(session, judgement, now, wait=True):
        return
    round_item = session.get_one(RoundItem, judgement.round_item_id)
    if has_reached_limit(session, judgement):
        reason = Sentence("you have judged as many items of this round as one person may")
    elif round_item.state in (RoundItemState.OPEN, RoundItemState.DONE):
        reason = Sentence("its last place went to somebody else")
    else:
        reason = Sentence("the item was taken out of this round")
    raise AnswerKept(
        Sentence(
            "Your reservation of this item ended: %(reason)s. Your answer is kept with the item, "
            "but it does not count.",
            reason=reason,
        )
    )


def advance(
    session: Session,
    judgement: Judgement,
    status: JudgementStatus,
    *,
    round_: Round | None = None,
    **details: Any,
) -> None:
    """The one door for a judgement's status; with `round_`, a change that history keeps."""
    old = judgement.status
    if not can_advance(old, status):
        raise InvalidTransition(f"This item is {old}; it cannot become {status}.")
    judgement.status = status
    if round_ is not None:
        record(
            session,
            "judgement:status:changed",
            project_id=round_.project_id,
            round_id=round_.id,
            actor_id=judgement.user_id,
            judgement_id=judgement.id,
            old=old.value,
            new=status.value,
            **details,
        )


def _free_slot(session: Session, round_item: RoundItem) -> int:
    """The lowest free number. The item is locked, and has fewer taken than it has slots."""
    if round_item.n_taken == 0:
        return 1
    taken = set(queries.list_taken_slots(session, round_item.id))
    return next(number for number in range(1, round_item.max_slots + 1) if number not in taken)
