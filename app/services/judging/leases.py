"""Handing out items: a slot held by one person until a time.

An item of a round never has more than its number of slots held or submitted. The database enforces
it (unique slot, CHECK and trigger on the counters); the order of locks, which keeps people from
waiting for each other, is in app/queries/judging/access.py.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.events.judging import JudgementStatusChanged
from app.kit.errors import InvalidTransition
from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.lifecycle import (
    JUDGEABLE_ITEM,
    JUDGEABLE_ROUND,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    can_advance,
)
from app.models import Judgement, Project, Round, RoundItem, User
from app.opinions import NOTHING
from app.queries.judging import leases as queries
from app.queries.judging.access import LockedJudgement
from app.queries.judging.questions import reviews as question_queries
from app.queries.judging.queue import ClaimedItem, claim_open_item
from app.round_settings import JudgingSettings
from app.services.events import record
from app.services.judging.checks import claim_check
from app.services.judging.opinions import count_time, opinion_of
from app.services.refusals import LeaseLost, RoundClosed

EXPIRED_BATCH = 500
"""Leases freed in one transaction."""

LEAVE_SECONDS = 20
"""How long an item is kept for somebody whose page was closed: a reload looks like that too."""


def hand_out_item(
    session: Session, round_: Round, user: User, *, now: datetime
) -> Judgement | None:
    """Reserve an item for a person: their own unfinished one, else the next of the queue.

    Returns None where nothing is left for them. The caller has locked the person, so that two tabs
    get the same item. Then:

    1. Unless they have begun another item, lock one with a free slot, skipping what others lock at
       this moment. So it is after a submission, and that is one statement (three where a check
       item is due: app/services/judging/checks.py).
    2. Else renew what they hold; or take up again what they lost, if its item still has room.
    3. Else look for an item again; if there is none, free the slots of leases of the round that ran
       out, and look once more.
    """
    claimed = _claim(session, round_, user, even_if_begun=False)
    if claimed is None:
        begun = queries.find_own_work(session, round_.id, user.id)
        # Not waiting for the item's lock: the caller may hold another one, after a submission.
        if begun is not None and renew_lease(session, begun, now, waits=False):
            return begun
        claimed = _claim_after_all(session, round_, user, now)
    return _begin(session, round_, user, claimed, now) if claimed else None


def _claim(
    session: Session, round_: Round, user: User, *, even_if_begun: bool
) -> ClaimedItem | None:
    settings = judging_settings(round_)
    if settings.check_share:
        check = claim_check(
            session, round_, user.id, share=settings.check_share, even_if_begun=even_if_begun
        )
        if check is not None:
            return check
    return claim_open_item(
        session,
        round_.id,
        user.id,
        max_per_annotator=settings.max_per_annotator,
        even_if_begun=even_if_begun,
    )


def _claim_after_all(
    session: Session, round_: Round, user: User, now: datetime
) -> ClaimedItem | None:
    """Lock the next item of the queue for somebody who has no other to go on with.

    Leases that ran out are normally freed by the sweep; where nothing else is left, they are freed
    at once.
    """
    claimed = _claim(session, round_, user, even_if_begun=True)
    if claimed is None and free_expired_leases(session, now=now, round_id=round_.id):
        return _claim(session, round_, user, even_if_begun=True)
    return claimed


def _begin(
    session: Session, round_: Round, user: User, claimed: ClaimedItem, now: datetime
) -> Judgement:
    """Take a slot of a locked item."""
    project = session.get_one(Project, round_.project_id)
    return queries.insert_judgement(
        session,
        round_item_id=claimed.id,
        round_id=round_.id,
        user_id=user.id,
        user_kind=user.kind,
        status=JudgementStatus.LEASED,
        slot=_free_slot(session, claimed),
        max_slots=claimed.max_slots,
        lease_until=lease_end(now),
        version=0,
        shown_order=shown_order(
            round_, item_id=claimed.item_id, user_id=user.id, candidate_ids=claimed.shown_ids
        ),
        guidelines_version=project.guidelines_version,
        active_ms=0,
        leased_at=now,
        updated_at=now,
        **NOTHING.model_dump(mode="json"),
    )


def shown_order(
    round_: Round, *, item_id: int, user_id: int, candidate_ids: Iterable[int]
) -> list[int]:
    """Returns the candidates in the order for one person: random to them, the same every time."""
    key = round_.order_key.encode()

    def position(candidate_id: int) -> bytes:
        message = f"{item_id}:{user_id}:{candidate_id}".encode()
        return hmac.new(key, message, hashlib.sha256).digest()

    return sorted(candidate_ids, key=position)


def free_expired_leases(
    session: Session, *, now: datetime | None = None, round_id: int | None = None
) -> int:
    """Free the slots of leases that ran out, of one round or of all. Returns how many."""
    return queries.free_expired_leases(
        session, now=now or datetime.now(UTC), round_id=round_id, limit=EXPIRED_BATCH
    )


def heartbeat(
    session: Session, locked: LockedJudgement, *, active_ms: int, now: datetime | None = None
) -> Judgement:
    """Renew the lease of an item whose page is open in front of somebody.

    Raises Conflict where the round is closed, or the lease ran out and the item has no room left.
    """
    now = now or datetime.now(UTC)
    require_judgeable(locked.round_)
    judgement = locked.judgement
    if judgement.status in (*queries.HELD, JudgementStatus.RELEASED):
        _renew_or_refuse(session, judgement, now)
        count_time(judgement, active_ms, now)
    return judgement


def give_back_item(session: Session, locked: LockedJudgement) -> Judgement:
    """End the lease of an item, which is free for others at once. What was chosen is kept."""
    judgement = locked.judgement
    if judgement.status in queries.HELD:
        change_status(session, judgement, JudgementStatus.RELEASED)
        judgement.slot = None
        judgement.lease_until = None
    return judgement


class Leased(Protocol):
    """A row that is held until a time."""

    lease_until: datetime | None


def shorten_lease(held: Leased, *, lease: datetime, now: datetime | None = None) -> None:
    """Shorten the lease of a page that was closed to what a reload may take.

    `lease` is the newest end that the page knew of. Where a later one was given since, another page
    or a later heartbeat has the item: then nothing changes, however late this message comes. The
    page that comes back, its heartbeat, or an opinion makes it a whole lease again.
    """
    soon = (now or datetime.now(UTC)) + timedelta(seconds=LEAVE_SECONDS)
    if held.lease_until is not None and held.lease_until <= lease:
        held.lease_until = min(held.lease_until, soon)


def give_back_all(session: Session, user_id: int, *, project_id: int | None = None) -> int:
    """End all leases of a person, of items and of images with questions, in one project or
    everywhere. Returns how many it was.

    For somebody who signs out, or who may not judge any more: others need not wait for a lease to
    end. What was chosen is kept, and taken up again where the item still has room.
    """
    queries.lock_person(session, user_id)
    n_images = question_queries.give_back_held(session, user_id, project_id=project_id)
    return n_images + queries.give_back_held(session, user_id, project_id=project_id)


def resume(session: Session, locked: LockedJudgement, *, now: datetime | None = None) -> Judgement:
    """Take up again an item that was skipped, given back or lost.

    Raises Conflict where the round is closed or the item has no room left.
    """
    now = now or datetime.now(UTC)
    require_judgeable(locked.round_)
    judgement = locked.judgement
    if judgement.status is not JudgementStatus.SUBMITTED:
        _renew_or_refuse(session, judgement, now)
        judgement.updated_at = now  # what was taken up last is shown first
    return judgement


# --- Shared with opinions ---------------------------------------------------------------------


def require_judgeable(round_: Round) -> None:
    """Raises Conflict, with the reason, where a round cannot be judged now."""
    if round_.status in JUDGEABLE_ROUND:
        return
    raise RoundClosed(
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
    """Returns how a round is judged; what it says is checked once per process, not per request."""
    return _read_settings(tuple(round_.settings.get("judging", {}).items()))


@lru_cache(maxsize=256)
def _read_settings(stored: tuple[tuple[str, Any], ...]) -> JudgingSettings:
    return JudgingSettings.model_validate(dict(stored))


def has_reached_limit(session: Session, judgement: Judgement) -> bool:
    """Whether its author has submitted, or holds, as many items of the round as one person may."""
    limit = judging_settings(session.get_one(Round, judgement.round_id)).max_per_annotator
    return limit is not None and (
        queries.count_submitted(session, judgement.round_id, judgement.user_id)
        + queries.count_held(session, judgement.round_id, judgement.user_id)
        >= limit
    )


def lease_end(now: datetime) -> datetime:
    return now + timedelta(minutes=get_settings().lease_minutes)


def renew_lease(session: Session, judgement: Judgement, now: datetime, *, waits: bool) -> bool:
    """Renew a lease; one that was lost is taken again while the item has room. False if it has not.

    `waits` says whether to wait for the lock of an item that has to be taken again.
    """
    if judgement.status in queries.HELD:
        judgement.lease_until = lease_end(now)
        return True
    lock = queries.lock_round_item if waits else queries.try_lock_round_item
    round_item = lock(session, judgement.round_item_id)
    if (
        round_item is None
        or judgement.status is JudgementStatus.WITHDRAWN
        or round_item.state not in JUDGEABLE_ITEM
        or round_item.n_taken >= round_item.slots
        or has_reached_limit(session, judgement)
        or queries.has_decided(session, round_item, judgement.user_id)
    ):
        return False
    slot = _free_slot(session, round_item)
    is_empty = opinion_of(judgement) == NOTHING
    change_status(session, judgement, JudgementStatus.LEASED if is_empty else JudgementStatus.DRAFT)
    judgement.slot = slot
    judgement.skip_reason = None
    judgement.lease_until = lease_end(now)
    session.flush()  # the trigger counts the place
    session.refresh(round_item)
    return True


def renew_lease_or_explain(
    session: Session, judgement: Judgement, now: datetime
) -> Sentence | None:
    """Renew a lease, or return the sentence that tells its author why it cannot be renewed."""
    if renew_lease(session, judgement, now, waits=True):
        return None
    round_item = session.get_one(RoundItem, judgement.round_item_id)
    if judgement.status is JudgementStatus.WITHDRAWN:
        reason = Sentence("an admin set your answers of this round apart")
    elif has_reached_limit(session, judgement):
        reason = Sentence("you have judged as many items of this round as one person may")
    elif queries.has_decided(session, round_item, judgement.user_id):
        reason = Sentence("you decided it as an adjudicator, so others judge it")
    elif round_item.state in (*JUDGEABLE_ITEM, RoundItemState.DONE):
        reason = Sentence("its last place went to somebody else")
    else:
        reason = Sentence("the item was taken out of this round")
    return Sentence(
        "Your reservation of this item ended: %(reason)s. Your answer is kept with the item, "
        "but it does not count.",
        reason=reason,
    )


def _renew_or_refuse(session: Session, judgement: Judgement, now: datetime) -> None:
    """Renew a lease. Raises Conflict where that is over."""
    if why_not := renew_lease_or_explain(session, judgement, now):
        raise LeaseLost(why_not)


def change_status(
    session: Session,
    judgement: Judgement,
    status: JudgementStatus,
    *,
    round_: Round | None = None,
    reason: str | None = None,
) -> None:
    """Change a judgement's status, which nothing else does; with `round_`, history keeps it, and
    the reason of a skip.

    Raises InvalidTransition where the one cannot follow the other.
    """
    old = judgement.status
    if not can_advance(old, status):
        raise InvalidTransition(f"This item is {old}; it cannot become {status}.")
    judgement.status = status
    if round_ is not None:
        record(
            session,
            JudgementStatusChanged(judgement_id=judgement.id, old=old, new=status, reason=reason),
            project_id=round_.project_id,
            round_id=round_.id,
            actor=judgement.user_id,
        )


def _free_slot(session: Session, round_item: RoundItem | ClaimedItem) -> int:
    """Returns the lowest free number. The item is locked, and has a slot left."""
    if round_item.n_taken == 0:
        return 1
    taken = set(queries.list_taken_slots(session, round_item.id))
    return next(number for number in range(1, round_item.max_slots + 1) if number not in taken)
