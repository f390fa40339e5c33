"""Items of a round as rows: put in, opened, set aside."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, RoundItemState
from app.models import RoundItem
from app.queries.counted import is_mixed_in

MIXED_IN = (Purpose.ANCHOR, Purpose.COMPARISON)
"""Purposes of items that stand in the queue among those that are sampled."""


def insert_round_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put items into a round."""
    if rows:
        session.execute(insert(RoundItem), rows)


def open_items(
    session: Session, round_id: int, item_ids: Collection[int], *, priority: float
) -> None:
    """Let people judge items that waited for their candidates; one that was excluded stays out."""
    session.execute(
        update(RoundItem)
        .where(*_waiting(round_id), RoundItem.item_id.in_(item_ids))
        .values(state=RoundItemState.OPEN, priority=priority)
    )


def open_mixed_in(session: Session, round_id: int, share: float) -> None:
    """Let people judge a share of the items that are mixed in to measure, in the order in which
    they were put in. Never waits: what somebody else opens at this moment is theirs to open.
    """
    mixed_in = select(RoundItem.id).where(
        RoundItem.round_id == round_id,
        RoundItem.purpose.in_(MIXED_IN),
        is_mixed_in(),
    )
    ids = session.scalars(mixed_in.order_by(RoundItem.id)).all()
    if not ids:
        return
    waiting = (
        select(RoundItem.id)
        .where(
            RoundItem.id.in_(ids[: math.ceil(share * len(ids))]),
            RoundItem.state == RoundItemState.WAITING,
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    session.execute(
        update(RoundItem)
        .where(RoundItem.id.in_(session.scalars(waiting).all()))
        .values(state=RoundItemState.OPEN)
        .execution_options(synchronize_session="fetch")
    )


def finish_waiting(session: Session, round_id: int, item_ids: Collection[int]) -> None:
    """Let items be done that have nothing new to judge in this round."""
    session.execute(
        update(RoundItem)
        .where(*_waiting(round_id), RoundItem.item_id.in_(item_ids))
        .values(state=RoundItemState.DONE)
    )


def set_waiting_aside(
    session: Session, round_id: int, item_ids: Collection[int], reason: str
) -> None:
    """Set items aside that waited for candidates and will get none."""
    if item_ids:
        session.execute(
            update(RoundItem)
            .where(
                RoundItem.round_id == round_id,
                RoundItem.item_id.in_(item_ids),
                RoundItem.state == RoundItemState.WAITING,
            )
            .values(state=RoundItemState.SET_ASIDE, set_aside_reason=reason)
        )


def _waiting(round_id: int) -> tuple[Any, ...]:
    return (
        RoundItem.round_id == round_id,
        RoundItem.purpose == Purpose.TRAINING,
        RoundItem.state == RoundItemState.WAITING,
    )
