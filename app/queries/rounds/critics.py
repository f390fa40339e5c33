"""Judgements of critics: the same rows as people's, under an account that nobody signs in with."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState, Split, UserKind
from app.models import Item, Judgement, RoundItem, User, VerdictRow
from app.queries.rounds.candidates import usable_items_statement


def _lacks(*, facts: bool) -> ColumnElement[bool]:
    """Whether an `Item` is without what a critic judges by: facts, else a gold rationale."""
    if facts:
        return Item.facts.is_(None)
    return func.jsonb_array_length(Item.gold_rationales) == 0


def list_lacking(session: Session, project_id: int, split: Split, *, facts: bool) -> Sequence[int]:
    """Returns the ids of the usable items of a split that have no facts, or no gold rationale."""
    usable = usable_items_statement(project_id).where(Item.split == split, _lacks(facts=facts))
    return session.scalars(usable.order_by(Item.id)).all()


def count_lacking(
    session: Session, project_id: int, splits: Collection[Split], *, facts: bool
) -> tuple[int, int]:
    """Returns how many usable items of some splits have no facts, or no gold rationale, and how
    many items there are."""
    usable = usable_items_statement(project_id).where(Item.split.in_(splits))
    counts = usable.with_only_columns(func.count().filter(_lacks(facts=facts)), func.count())
    n_lacking, n_items = session.execute(counts).one()
    return n_lacking, n_items


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


def list_open(session: Session, round_id: int, item_ids: Collection[int]) -> Sequence[RoundItem]:
    """Returns the places of these items in a round that are open, in order."""
    return session.scalars(
        select(RoundItem)
        .where(
            RoundItem.round_id == round_id,
            RoundItem.item_id.in_(item_ids),
            RoundItem.state == RoundItemState.OPEN,
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
