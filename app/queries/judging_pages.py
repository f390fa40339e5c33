"""What the judging pages show besides the item: own work, counts, why a queue is empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Candidate, Item, Judgement, RoundItem
from app.queries.judging import HELD


def get_candidate_texts(session: Session, candidate_ids: Sequence[int]) -> dict[int, str]:
    rows = session.execute(
        select(Candidate.id, Candidate.text).where(Candidate.id.in_(candidate_ids))
    )
    return {row.id: row.text for row in rows}


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A judgement of this person with what names its item."""

    judgement: Judgement
    question: str
    answer: str
    image_sha256: str


def list_own(session: Session, round_id: int, user_id: int, *, limit: int) -> list[OwnRow]:
    """The newest submissions, and everything of this person that is begun, skipped or lost."""
    columns = (Judgement, Item.question, Item.answer, Item.image_sha256)
    base = (
        select(*columns)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Item, Item.id == RoundItem.item_id)
        .where(Judgement.round_id == round_id, Judgement.user_id == user_id)
    )
    submitted = session.execute(
        base.where(Judgement.submitted_at.is_not(None))
        .order_by(Judgement.submitted_at.desc(), Judgement.id.desc())
        .limit(limit)
    ).all()
    others = session.execute(
        base.where(Judgement.submitted_at.is_(None)).order_by(Judgement.updated_at.desc()).limit(50)
    ).all()
    return [OwnRow(*row) for row in (*submitted, *others)]


def count_own(session: Session, round_id: int, user_id: int, *, since: datetime) -> tuple[int, int]:
    """How many items this person submitted in the round, and how many of them since a time."""
    row = session.execute(
        select(func.count(), func.count().filter(Judgement.submitted_at >= since)).where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_not(None),
        )
    ).one()
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Why a person's queue is empty, in numbers of items of the round."""

    n_waiting: int
    n_held_by_others: int
    n_skipped: int
    n_for_others: int
    next_free_at: datetime | None


def get_queue_figures(session: Session, round_id: int, user_id: int) -> QueueFigures:
    mine = aliased(Judgement)
    is_open = RoundItem.state == RoundItemState.OPEN
    has_room = RoundItem.n_taken < RoundItem.slots
    counts = session.execute(
        select(
            func.count().filter(RoundItem.state == RoundItemState.WAITING),
            func.count().filter(
                is_open,
                ~has_room,
                or_(mine.id.is_(None), mine.status == JudgementStatus.RELEASED),
            ),
            func.count().filter(is_open, mine.status == JudgementStatus.SKIPPED),
            func.count().filter(is_open, has_room, mine.status == JudgementStatus.SUBMITTED),
        )
        .select_from(RoundItem)
        .outerjoin(mine, and_(mine.round_item_id == RoundItem.id, mine.user_id == user_id))
        .where(
            RoundItem.round_id == round_id,
            RoundItem.state.in_((RoundItemState.WAITING, RoundItemState.OPEN)),
        )
    ).one()
    next_free_at = session.scalars(
        select(func.min(Judgement.lease_until)).where(
            Judgement.round_id == round_id,
            Judgement.user_id != user_id,
            Judgement.status.in_(HELD),
        )
    ).one()
    return QueueFigures(*counts, next_free_at=next_free_at)
