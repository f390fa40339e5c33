"""Judgements of critics: the same rows as people's, under an account that nobody signs in with."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState, UserKind
from app.models import Item, Judgement, RoundItem, User, VerdictRow


def get_critic_user(session: Session, name: str) -> User:
    """Returns the account of this name that is a critic's; makes it where there is none."""
    session.execute(
        pg_insert(User)
        .values(name=name, kind=UserKind.CRITIC)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return session.scalars(select(User).where(User.name == name)).one()


def list_items(session: Session, item_ids: Collection[int]) -> Sequence[Item]:
    """Returns the items with these ids, in order."""
    return session.scalars(select(Item).where(Item.id.in_(item_ids)).order_by(Item.id)).all()


def list_unjudged(
    session: Session, round_id: int, user_id: int, item_ids: Collection[int]
) -> Sequence[RoundItem]:
    """Returns the places of these items in a round that the critic has not judged yet, in order."""
    done_before = select(Judgement.round_item_id).where(
        Judgement.round_id == round_id, Judgement.user_id == user_id
    )
    return session.scalars(
        select(RoundItem)
        .where(
            RoundItem.round_id == round_id,
            RoundItem.item_id.in_(item_ids),
            RoundItem.id.not_in(done_before),
        )
        .order_by(RoundItem.id)
    ).all()


def insert_judgements(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Keep judgements; returns the id of each by its place in the round."""
    inserted = insert(Judgement).returning(Judgement.round_item_id, Judgement.id)
    return dict(session.execute(inserted, rows).all())


def insert_verdicts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the verdicts of judgements."""
    session.execute(insert(VerdictRow), rows)


def finish_items(session: Session, round_item_ids: Collection[int]) -> None:
    """Let open items of a round be done."""
    session.execute(
        update(RoundItem)
        .where(RoundItem.id.in_(round_item_ids), RoundItem.state == RoundItemState.OPEN)
        .values(state=RoundItemState.DONE)
    )
