"""The queue that people judge from: look-ups, locks and the release of expired leases.

Locks are taken in one order: the person's own account row, the round (shared), the item of the
round, the judgement. A person's own actions are therefore serial; nobody ever waits for another
person's judgement, because only its owner and the release of expired leases touch it, and the
latter skips what is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, Role, RoundItemState, UserKind
from app.models import (
    Item,
    Json,
    Judgement,
    JudgementRevision,
    Membership,
    Project,
    Round,
    RoundAnnotator,
    RoundItem,
    User,
    VerdictRow,
    WrittenRationale,
)
from app.queries.accounts.users import IS_SIGNED_IN
from app.uncertainty import ItemVotes

HELD = (JudgementStatus.LEASED, JudgementStatus.DRAFT)


_LOCK_PERSON = (
    select(User.id).where(User.id == bindparam("user_id")).with_for_update(key_share=True)
)


def lock_person(session: Session, user_id: int) -> None:
    """Make this person's actions serial: two tabs, a double Enter, a retried request."""
    session.execute(_LOCK_PERSON, {"user_id": user_id})


def lock_round_item(session: Session, round_item_id: int) -> RoundItem:
    return session.scalars(
        select(RoundItem)
        .where(RoundItem.id == round_item_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def try_lock_round_item(session: Session, round_item_id: int) -> RoundItem | None:
    """The item locked, or None at once where somebody else has it."""
    return session.scalars(
        select(RoundItem)
        .where(RoundItem.id == round_item_id)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class RoundPlace:
    """A round, its project, a person, and their role there, if they have any.

    `is_signed_in` says whether the session that asks has not ended.
    """

    round_: Round
    project: Project
    user: User
    role: Role | None
    is_signed_in: bool


@dataclass(frozen=True, slots=True)
class OwnPlace(RoundPlace):
    """The same, with a judgement of the person."""

    judgement: Judgement


@dataclass(frozen=True, slots=True)
class LockedPlace(OwnPlace):
    """The same, locked until the end of the transaction: what people change is theirs alone."""


@dataclass(frozen=True, slots=True)
class LockedItem(LockedPlace):
    """The item of the round as well: its places and its state can be changed."""

    round_item: RoundItem


_PLACE = (Round, Project, User, Membership.role, IS_SIGNED_IN)
_IS_MEMBER = and_(Membership.project_id == Project.id, Membership.user_id == User.id)
_ROUND_PLACE = (
    select(*_PLACE)
    .select_from(Round)
    .join(Project, Project.id == Round.project_id)
    .join(User, User.id == bindparam("user_id"))
    .outerjoin(Membership, _IS_MEMBER)
    .where(Round.id == bindparam("round_id"))
)
_OWN_PLACE = (
    select(*_PLACE, Judgement)
    .select_from(Judgement)
    .join(Round, Round.id == Judgement.round_id)
    .join(Project, Project.id == Round.project_id)
    .join(User, User.id == Judgement.user_id)
    .outerjoin(Membership, _IS_MEMBER)
    .where(Judgement.id == bindparam("judgement_id"), Judgement.user_id == bindparam("user_id"))
)


# What every click asks is put together once: building a statement costs more than sending it.
# PostgreSQL locks the rows in the order of these clauses.
_LOCKED_PLACE = _OWN_PLACE.suffix_with(
    text('FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR UPDATE OF judgement')
).execution_options(populate_existing=True)
_LOCKED_ITEM = (
    _OWN_PLACE.add_columns(RoundItem)
    .join(RoundItem, RoundItem.id == Judgement.round_item_id)
    .suffix_with(
        text(
            'FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR NO KEY UPDATE OF round_item'
            " FOR UPDATE OF judgement"
        )
    )
    .execution_options(populate_existing=True)
)


def find_round_place(
    session: Session, round_id: int, user_id: int, key_hash: str
) -> RoundPlace | None:
    """One look-up for all that a request about a round needs."""
    ids = {"round_id": round_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_ROUND_PLACE, ids).one_or_none()
    return RoundPlace(*row) if row else None


def find_own_place(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> OwnPlace | None:
    """The same for a judgement, if it is this person's."""
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_OWN_PLACE, ids).one_or_none()
    return OwnPlace(*row) if row else None


def lock_own_place(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> LockedPlace | None:
    """The same, read anew, with the person, the round (shared) and the judgement locked."""
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_LOCKED_PLACE, ids).one_or_none()
    return LockedPlace(*row) if row else None


def lock_own_item(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> LockedItem | None:
    """The same, with the item of the round locked too, after the round."""
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_LOCKED_ITEM, ids).one_or_none()
    return LockedItem(*row) if row else None


_IS_HELD = Judgement.status.in_(HELD)
_OWN_WORK = (
    select(Judgement)
    .join(RoundItem, RoundItem.id == Judgement.round_item_id)
    .where(
        Judgement.round_id == bindparam("round_id"),
        Judgement.user_id == bindparam("user_id"),
        Judgement.submitted_at.is_(None),
        RoundItem.state == RoundItemState.OPEN,
        or_(
            _IS_HELD,
            and_(
                Judgement.status == JudgementStatus.RELEASED,
                RoundItem.n_taken < RoundItem.slots,
            ),
        ),
    )
    .order_by(_IS_HELD.desc(), Judgement.updated_at.desc(), Judgement.id)
    .limit(1)
    .with_for_update(of=Judgement)
    .execution_options(populate_existing=True)
)


def find_own_work(session: Session, round_id: int, user_id: int) -> Judgement | None:
    """What this person has begun: held first, then what they lost while its item still has room."""
    return session.scalars(_OWN_WORK, {"round_id": round_id, "user_id": user_id}).one_or_none()


def list_taken_slots(session: Session, round_item_id: int) -> Sequence[int | None]:
    return session.scalars(
        select(Judgement.slot).where(
            Judgement.round_item_id == round_item_id, Judgement.slot.is_not(None)
        )
    ).all()


def release_expired(session: Session, *, now: datetime, round_id: int | None, limit: int) -> int:
    """Free the slots of leases that ran out; what their authors had chosen stays on the rows."""
    due = (
        select(Judgement.id)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .where(Judgement.status.in_(HELD), Judgement.lease_until < now)
        .order_by(Judgement.lease_until)
        .limit(limit)
        .with_for_update(of=(RoundItem, Judgement), key_share=True, skip_locked=True)
    )
    if round_id is not None:
        due = due.where(Judgement.round_id == round_id)
    return _release(session, session.scalars(due).all())


def release_held(session: Session, user_id: int, *, project_id: int | None) -> int:
    """Free what one person holds, everywhere or in one project; how many. What was chosen stays."""
    held = (
        select(Judgement.id)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .where(Judgement.user_id == user_id, Judgement.status.in_(HELD))
        .order_by(RoundItem.id)
        .with_for_update(of=(RoundItem, Judgement), key_share=True)
    )
    if project_id is not None:
        held = held.where(RoundItem.project_id == project_id)
    return _release(session, session.scalars(held).all())


def _release(session: Session, ids: Sequence[int]) -> int:
    if ids:
        session.execute(
            update(Judgement)
            .where(Judgement.id.in_(ids))
            .values(
                status=JudgementStatus.RELEASED, slot=None, lease_until=None, updated_at=func.now()
            )
            .execution_options(synchronize_session=False)
        )
    return len(ids)


def is_excluded(session: Session, item_id: int) -> bool:
    return session.get_one(Item, item_id).excluded_at is not None


def get_item_votes(session: Session, round_item_id: int) -> ItemVotes:
    """What people submitted about an item of a round."""
    submitted = (
        Judgement.round_item_id == round_item_id,
        Judgement.user_kind == UserKind.PERSON,
        Judgement.status == JudgementStatus.SUBMITTED,
    )
    n_submitted, n_wrong = session.execute(
        select(func.count(), func.count().filter(Judgement.answer_is_wrong)).where(*submitted)
    ).one()
    fits = session.execute(
        select(func.count().filter(VerdictRow.fits), func.count())
        .join(Judgement, Judgement.id == VerdictRow.judgement_id)
        .where(*submitted)
        .group_by(VerdictRow.candidate_id)
        .order_by(VerdictRow.candidate_id)
    )
    return ItemVotes(n_submitted, n_wrong, tuple((row[0], row[1]) for row in fits))


_STORE_SUBMISSION = text(
    """
    WITH verdicts AS (
      INSERT INTO verdict
        (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits, position, faults)
      SELECT judgement.id, shown.candidate_id, judgement.round_id, judgement.none_fits, false,
        shown.candidate_id = ANY (judgement.picked), shown.position,
        coalesce(judgement.faults -> CAST(shown.candidate_id AS text), '[]')
      FROM judgement,
        unnest(judgement.shown_order) WITH ORDINALITY AS shown (candidate_id, position)
      WHERE judgement.id = :judgement_id AND NOT judgement.answer_is_wrong
    ), revision AS (
      INSERT INTO judgement_revision (judgement_id, number, action, content)
      SELECT :judgement_id, coalesce(max(number), 0) + 1, 'submit', :content
      FROM judgement_revision WHERE judgement_id = :judgement_id
    ), history AS (
      INSERT INTO event (project_id, round_id, actor_id, tag, details)
      SELECT :project_id, round_id, user_id, 'judgement:status:changed',
        jsonb_build_object('judgement_id', id, 'old', CAST(:old AS text), 'new', status)
      FROM judgement WHERE id = :judgement_id
    )
    SELECT round_item.* FROM round_item JOIN judgement ON judgement.round_item_id = round_item.id
    WHERE judgement.id = :judgement_id
    """
).bindparams(bindparam("content", type_=JSONB))


def store_submission(
    session: Session,
    judgement: Judgement,
    *,
    project_id: int,
    old: JudgementStatus,
    content: Json,
) -> RoundItem:
    """Verdicts, a revision and an event of a judgement that was just stored as submitted, having
    been `old` before; its item, counted anew.

    One verdict per shown candidate, none where the answer itself is wrong.
    """
    round_item: RoundItem = session.scalars(
        select(RoundItem).from_statement(_STORE_SUBMISSION),
        {
            "judgement_id": judgement.id,
            "project_id": project_id,
            "old": old.value,
            "content": content,
        },
        execution_options={"populate_existing": True},
    ).one()
    return round_item


def delete_verdicts(session: Session, judgement_id: int) -> None:
    session.execute(delete(VerdictRow).where(VerdictRow.judgement_id == judgement_id))


def insert_written_rationales(session: Session, rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(WrittenRationale), rows)


def delete_written_rationales(session: Session, judgement_id: int) -> None:
    session.execute(delete(WrittenRationale).where(WrittenRationale.judgement_id == judgement_id))


def count_submitted(session: Session, round_id: int, user_id: int) -> int:
    """Items of the round that this person has submitted."""
    found = session.get(RoundAnnotator, (round_id, user_id), populate_existing=True)
    return found.n_submitted if found else 0


def count_held(session: Session, round_id: int, user_id: int) -> int:
    """Items of the round that this person holds and has not submitted."""
    return session.scalars(
        select(func.count()).where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_(None),
            Judgement.status.in_(HELD),
        )
    ).one()


def last_revision_number(session: Session, judgement_id: int) -> int:
    return session.scalars(
        select(func.coalesce(func.max(JudgementRevision.number), 0)).where(
            JudgementRevision.judgement_id == judgement_id
        )
    ).one()


def list_recent_submissions(
    session: Session, round_id: int, user_id: int, limit: int
) -> Sequence[int]:
    """Ids of this person's newest submissions in the round, newest first."""
    return session.scalars(
        select(Judgement.id)
        .where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_not(None),
        )
        .order_by(Judgement.submitted_at.desc(), Judgement.id.desc())
        .limit(limit)
    ).all()
