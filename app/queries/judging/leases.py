"""Reservations of items: what a person holds, its locks, and the leases that ran out."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, and_, bindparam, func, or_, select, text, update
from sqlalchemy.orm import Session, make_transient_to_detached

from app.lifecycle import JUDGEABLE_ITEM, JudgementStatus
from app.models import Adjudication, Judgement, RoundAnnotator, RoundItem, User
from app.queries.judging.own_work import ROUND_ID, USER_ID

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
    """Locks and returns the item, or returns None at once where somebody else has locked it."""
    return session.scalars(
        select(RoundItem)
        .where(RoundItem.id == round_item_id)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


_IS_HELD = Judgement.status.in_(HELD)


def select_own_work(round_item: type[RoundItem]) -> Select[Judgement]:
    """Selects the judgements of a round that a person began: those held, and lost with room left.

    `round_item` stands for the table of their items.
    """
    return (
        select(Judgement)
        .join(round_item, round_item.id == Judgement.round_item_id)
        .where(
            Judgement.round_id == ROUND_ID,
            Judgement.user_id == USER_ID,
            Judgement.submitted_at.is_(None),
            round_item.state.in_(JUDGEABLE_ITEM),
            or_(
                _IS_HELD,
                and_(
                    Judgement.status == JudgementStatus.RELEASED,
                    round_item.n_taken < round_item.slots,
                ),
            ),
        )
    )


_OWN_WORK = (
    select_own_work(RoundItem)
    .order_by(_IS_HELD.desc(), Judgement.updated_at.desc(), Judgement.id)
    .limit(1)
    .with_for_update(of=Judgement)
    .execution_options(populate_existing=True)
)


def find_own_work(session: Session, round_id: int, user_id: int) -> Judgement | None:
    """Returns a judgement that the person began: one they hold, else a lost one with room left."""
    return session.scalars(_OWN_WORK, {"round_id": round_id, "user_id": user_id}).one_or_none()


_COLUMNS = tuple(name for name in Judgement.__table__.c.keys() if name != "id")  # noqa: SIM118
_INSERT = text(
    f"INSERT INTO judgement ({', '.join(_COLUMNS)})"  # noqa: S608 - made of names of columns
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "RETURNING id, n_words, n_trace_words, n_typed"
).bindparams(*(bindparam(name, type_=Judgement.__table__.c[name].type) for name in _COLUMNS))


def insert_judgement(session: Session, **values: object) -> Judgement:
    """Store a judgement at once; what is not given is NULL. The session then knows it as stored."""
    row = {**dict.fromkeys(_COLUMNS), **values}
    made_by_database = session.connection().execute(_INSERT, row).one()
    judgement = Judgement(**{**row, **made_by_database._mapping})
    # The unit of work and reading the row back would cost more than the statement.
    make_transient_to_detached(judgement)
    session.add(judgement)
    return judgement


def list_taken_slots(session: Session, round_item_id: int) -> Sequence[int | None]:
    return session.scalars(
        select(Judgement.slot).where(
            Judgement.round_item_id == round_item_id, Judgement.slot.is_not(None)
        )
    ).all()


def free_expired_leases(
    session: Session, *, now: datetime, round_id: int | None, limit: int
) -> int:
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
    return _free(session, session.scalars(due).all())


def give_back_held(session: Session, user_id: int, *, project_id: int | None) -> int:
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
    return _free(session, session.scalars(held).all())


def give_back_held_in_round(session: Session, user_id: int, *, round_id: int) -> int:
    """Free what one person holds in a round that nobody can judge meanwhile; how many."""
    held = select(Judgement.id).where(
        Judgement.round_id == round_id, Judgement.user_id == user_id, Judgement.status.in_(HELD)
    )
    return _free(session, session.scalars(held).all())


def _free(session: Session, ids: Sequence[int]) -> int:
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


def count_submitted(session: Session, round_id: int, user_id: int) -> int:
    """Returns the number of items of the round that this person has submitted."""
    found = session.get(RoundAnnotator, (round_id, user_id), populate_existing=True)
    return found.n_submitted if found else 0


def count_held(session: Session, round_id: int, user_id: int) -> int:
    """Returns the number of items of the round that this person holds and has not submitted."""
    return session.scalars(
        select(func.count()).where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_(None),
            Judgement.status.in_(HELD),
        )
    ).one()


def has_decided(session: Session, round_item: RoundItem, user_id: int) -> bool:
    """Whether a person decided something of an item as an adjudicator: others judge it then."""
    return (
        session.scalars(
            select(Adjudication.candidate_id)
            .where(
                Adjudication.round_id == round_item.round_id,
                Adjudication.item_id == round_item.item_id,
                Adjudication.decided_by_id == user_id,
            )
            .limit(1)
        ).first()
        is not None
    )
