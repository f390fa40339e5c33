"""The queue that people judge from: look-ups, locks and the release of expired leases.

Locks are taken in one order: the person's own account row, the round (shared), the item of the
round, the judgement. A person's own actions are therefore serial; nobody ever waits for another
person's judgement, because only its owner and the release of expired leases touch it, and the
latter skips what is locked.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, RoundItemState, UserKind
from app.models import (
    Image,
    Item,
    Judgement,
    JudgementRevision,
    Round,
    RoundCandidate,
    RoundItem,
    User,
    VerdictRow,
    WrittenRationale,
)

HELD = (JudgementStatus.LEASED, JudgementStatus.DRAFT)

# Written into the statement instead of being bound, so that PostgreSQL can prove that the partial
# index ix_round_item_queue covers the query, also with a prepared statement.
_OPEN = literal(RoundItemState.OPEN, RoundItem.state.type, literal_execute=True)


def _has_free_slot() -> ColumnElement[bool]:
    return and_(RoundItem.state == _OPEN, RoundItem.n_taken < RoundItem.slots)


def lock_person(session: Session, user_id: int) -> None:
    """Make this person's actions serial: two tabs, a double Enter, a retried request."""
    session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))


def lock_round_shared(session: Session, round_id: int) -> Round:
    """The round, kept from being closed until the end of the transaction, and read anew."""
    return session.scalars(
        select(Round)
        .where(Round.id == round_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one()


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


def lock_judgement(session: Session, judgement_id: int) -> Judgement:
    return session.scalars(
        select(Judgement)
        .where(Judgement.id == judgement_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def find_judgement(session: Session, judgement_id: int) -> Judgement | None:
    return session.get(Judgement, judgement_id)


def find_own_work(session: Session, round_id: int, user_id: int) -> Judgement | None:
    """What this person has begun: held first, then what they lost while its item still has room."""
    is_held = Judgement.status.in_(HELD)
    return session.scalars(
        select(Judgement)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_(None),
            RoundItem.state == _OPEN,
            or_(
                is_held,
                and_(
                    Judgement.status == JudgementStatus.RELEASED,
                    RoundItem.n_taken < RoundItem.slots,
                ),
            ),
        )
        .order_by(is_held.desc(), Judgement.updated_at.desc(), Judgement.id)
        .limit(1)
        .with_for_update(of=Judgement)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _open_to(
    round_id: int, user_id: int, order: Literal["random", "fewest_first"]
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[Any]]]:
    """Conditions and order of the queue for one person.

    Descending on both columns, so that `random` walks the partial index backwards. `fewest_first`
    sorts what is open instead: it is for rounds where that is thousands, not millions.
    """
    mine = aliased(Judgement)
    conditions = [
        RoundItem.round_id == round_id,
        _has_free_slot(),
        ~exists(select(mine.id).where(mine.round_item_id == RoundItem.id, mine.user_id == user_id)),
    ]
    ordering: list[ColumnElement[Any]] = [RoundItem.priority.desc()]
    if order == "fewest_first":
        ordering.append(RoundItem.n_taken.asc())
    ordering.append(RoundItem.random_key.desc())
    return conditions, ordering


def claim_open_item(
    session: Session, round_id: int, user_id: int, order: Literal["random", "fewest_first"]
) -> RoundItem | None:
    """Lock the next item with a free slot that this person has not had. Never waits."""
    conditions, ordering = _open_to(round_id, user_id, order)
    return session.scalars(
        select(RoundItem)
        .where(*conditions)
        .order_by(*ordering)
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def list_upcoming_images(
    session: Session,
    round_id: int,
    user_id: int,
    order: Literal["random", "fewest_first"],
    limit: int = 2,
) -> list[tuple[str, int]]:
    """Images that this person will probably see next, with their widths, to be fetched ahead."""
    conditions, ordering = _open_to(round_id, user_id, order)
    rows = session.execute(
        select(Item.image_sha256, Image.width)
        .join(RoundItem, RoundItem.item_id == Item.id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(*conditions)
        .order_by(*ordering)
        .limit(limit)
    )
    return [(sha256, width) for sha256, width in rows]


def list_taken_slots(session: Session, round_item_id: int) -> Sequence[int | None]:
    return session.scalars(
        select(Judgement.slot).where(
            Judgement.round_item_id == round_item_id, Judgement.slot.is_not(None)
        )
    ).all()


def list_shown_candidate_ids(session: Session, round_id: int, item_id: int) -> Sequence[int]:
    return session.scalars(
        select(RoundCandidate.candidate_id).where(
            RoundCandidate.round_id == round_id,
            RoundCandidate.item_id == item_id,
            RoundCandidate.is_shown,
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
    ids = session.scalars(due).all()
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


def count_wrong_answers(session: Session, round_item_id: int) -> int:
    """Submissions of people that say the answer of this item is wrong."""
    return session.scalars(
        select(func.count()).where(
            Judgement.round_item_id == round_item_id,
            Judgement.user_kind == UserKind.PERSON,
            Judgement.status == JudgementStatus.SUBMITTED,
            Judgement.answer_is_wrong,
        )
    ).one()


def insert_verdicts(session: Session, rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(VerdictRow), rows)


def delete_verdicts(session: Session, judgement_id: int) -> None:
    session.execute(delete(VerdictRow).where(VerdictRow.judgement_id == judgement_id))


def insert_written_rationales(session: Session, rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(WrittenRationale), rows)


def delete_written_rationales(session: Session, judgement_id: int) -> None:
    session.execute(delete(WrittenRationale).where(WrittenRationale.judgement_id == judgement_id))


def is_all_judged(session: Session, round_id: int) -> bool:
    """Whether nothing of the round is waiting or open: one look into an index, without a lock."""
    unjudged = select(RoundItem.id).where(
        RoundItem.round_id == round_id,
        RoundItem.state.in_((RoundItemState.WAITING, RoundItemState.OPEN)),
    )
    return session.get(Round, round_id) is not None and not session.scalar(
        select(unjudged.exists())
    )


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
