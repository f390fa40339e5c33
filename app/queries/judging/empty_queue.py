"""Figures that tell a person why their queue is empty."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Adjudication, Judgement, RoundItem
from app.queries.judging.leases import HELD, count_submitted


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The items of a round by the reason why one person does not get them."""

    n_waiting: int
    n_held_by_others: int
    n_skipped: int
    n_for_others: int
    n_limit: int | None
    """The number of items that one person may judge, once this person has reached it."""
    next_free_at: datetime | None


def get_queue_figures(
    session: Session, round_id: int, user_id: int, *, max_per_annotator: int | None = None
) -> QueueFigures:
    """Returns what is left of a round for one person, who may judge `max_per_annotator` of its
    items.
    """
    mine = aliased(Judgement)
    is_open = RoundItem.state == RoundItemState.OPEN
    decided = exists().where(
        Adjudication.round_id == RoundItem.round_id,
        Adjudication.item_id == RoundItem.item_id,
        Adjudication.decided_by_id == user_id,
    )
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
            func.count().filter(
                is_open, has_room, or_(mine.status == JudgementStatus.SUBMITTED, decided)
            ),
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
    is_at_limit = (
        max_per_annotator is not None
        and count_submitted(session, round_id, user_id) >= max_per_annotator
    )
    return QueueFigures(
        *counts, n_limit=max_per_annotator if is_at_limit else None, next_free_at=next_free_at
    )
