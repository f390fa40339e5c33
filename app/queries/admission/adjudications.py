"""Items on which people differ, and what adjudicators decide of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    exists,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, RoundItemState, UserKind
from app.models import (
    Adjudication,
    Candidate,
    Item,
    Judgement,
    Round,
    RoundItem,
    User,
)
from app.queries.counted import counted_items, counted_judgements

# Written out, so that PostgreSQL knows that ix_round_item_disputed covers it.
_NOTHING: ColumnElement[Any] = literal_column("'{}'")
_JUDGED = (JudgementStatus.SUBMITTED, JudgementStatus.WITHDRAWN)


def _is_disputed(round_id: int) -> ColumnElement[bool]:
    """Whether an item of a round is for adjudicators: people differ on it, nobody else will judge
    it, and it is not excluded."""
    excluded = exists().where(Item.id == counted_items.item_id, Item.excluded_at.is_not(None))
    return (
        (counted_items.round_id == round_id)
        & (counted_items.disputed != _NOTHING)
        & (counted_items.state == RoundItemState.DONE)
        & ~excluded
    )


def _judged_by(user_id: int) -> ColumnElement[bool]:
    """Whether a person has judged the item: then it is for others to decide."""
    return exists().where(
        Judgement.round_item_id == counted_items.id,
        Judgement.user_id == user_id,
        Judgement.status.in_(_JUDGED),
    )


@dataclass(frozen=True)
class DisputeCounts:
    """How many items people differ on, and how many of them are decided; and of what is left, how
    many one adjudicator has judged and may not decide, where it is asked for one."""

    n_items: int
    n_decided: int
    n_own: int


def count_disputes(session: Session, round_id: int, user_id: int | None) -> DisputeCounts:
    """Returns how far the adjudication of a round is, for one of its adjudicators or for nobody."""
    n_items, n_decided = session.execute(
        select(func.count(), func.count().filter(counted_items.is_decided)).where(
            _is_disputed(round_id)
        )
    ).one()
    n_own = 0
    if user_id is not None and n_decided < n_items:
        own = _undecided(round_id).where(_judged_by(user_id))
        n_own = session.scalar(select(func.count()).select_from(own.subquery())) or 0
    return DisputeCounts(n_items, n_decided, n_own)


def has_undecided(session: Session, round_id: int) -> bool:
    """Whether a round has an item for adjudicators that is not decided. Stops at the first."""
    return session.scalar(_undecided(round_id).limit(1)) is not None


def _undecided(round_id: int) -> Select[int]:
    return select(counted_items.item_id).where(_is_disputed(round_id), ~counted_items.is_decided)


def find_undecided(session: Session, round_id: int, user_id: int, *, start: float) -> int | None:
    """Returns an item that this adjudicator can decide: the first from `start` on in the random
    order of the round, else from its beginning. None where nothing is left for them."""
    theirs = _undecided(round_id).where(~_judged_by(user_id)).order_by(counted_items.random_key)
    found = session.scalar(theirs.where(counted_items.random_key >= start).limit(1))
    return found if found is not None else session.scalar(theirs.limit(1))


def has_judged(session: Session, round_item_id: int, user_id: int) -> bool:
    """Whether a person has judged an item of a round, also where it counts no more."""
    return bool(
        session.scalar(
            select(
                exists().where(
                    Judgement.round_item_id == round_item_id,
                    Judgement.user_id == user_id,
                    Judgement.status.in_(_JUDGED),
                )
            )
        )
    )


# --- One item -------------------------------------------------------------------------------


def hold_round(session: Session, round_id: int) -> Round:
    """Returns the round, which nobody can close until the end of the transaction."""
    return session.scalars(
        select(Round)
        .where(Round.id == round_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one()


def find_place(
    session: Session, round_id: int, item_id: int, *, for_update: bool = False
) -> tuple[RoundItem, Item] | None:
    """Returns an item of a round that is there for training, with itself; None where there is none.
    for_update: others who decide it wait until the end of the transaction."""
    statement = (
        select(counted_items, Item)
        .join(Item, Item.id == counted_items.item_id)
        .where(counted_items.round_id == round_id, counted_items.item_id == item_id)
        .execution_options(populate_existing=True)  # a trigger writes it too
    )
    if for_update:
        locked = aliased(RoundItem)
        session.execute(
            select(locked.id)
            .where(locked.round_id == round_id, locked.item_id == item_id)
            .with_for_update(key_share=True)
        )
    found = session.execute(statement).one_or_none()
    return (found[0], found[1]) if found else None


@dataclass(frozen=True)
class Said:
    """What one person said of an item: what they pick, or that its answer is wrong."""

    user_id: int
    picked: Sequence[int]
    faults: Mapping[str, Sequence[str]]
    answer_is_wrong: bool


def list_said(session: Session, round_item_id: int) -> list[Said]:
    """Returns what people submitted of an item of a round, in any order."""
    rows = session.execute(
        select(
            counted_judgements.user_id,
            counted_judgements.picked,
            counted_judgements.faults,
            counted_judgements.answer_is_wrong,
        ).where(
            counted_judgements.round_item_id == round_item_id,
            counted_judgements.user_kind == UserKind.PERSON,
        )
    )
    return [Said(*row) for row in rows]


def list_shown(session: Session, round_item_id: int) -> Sequence[Candidate]:
    """Returns the candidates that people judged of an item of a round, in order."""
    shown = (
        select(func.unnest(counted_judgements.shown_order))
        .where(
            counted_judgements.round_item_id == round_item_id,
            counted_judgements.user_kind == UserKind.PERSON,
        )
        .scalar_subquery()
    )
    return session.scalars(
        select(Candidate).where(Candidate.id.in_(shown)).order_by(Candidate.id)
    ).all()


def list_decisions(session: Session, round_id: int, item_id: int) -> dict[int, Adjudication]:
    """Returns what is decided of an item in a round, by candidate."""
    rows = session.scalars(
        select(Adjudication)
        .where(Adjudication.round_id == round_id, Adjudication.item_id == item_id)
        .execution_options(populate_existing=True)
    )
    return {row.candidate_id: row for row in rows}


def store_decisions(
    session: Session,
    round_id: int,
    item_id: int,
    fits: Mapping[int, bool],
    *,
    decided_by_id: int,
    now: datetime,
) -> None:
    """Keep what is decided of candidates of an item, in place of earlier decisions on them."""
    rows: list[dict[str, Any]] = [
        {
            "round_id": round_id,
            "item_id": item_id,
            "candidate_id": candidate_id,
            "fits": decision,
            "decided_by_id": decided_by_id,
            "decided_at": now,
        }
        for candidate_id, decision in sorted(fits.items())
    ]
    statement = insert(Adjudication).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["round_id", "item_id", "candidate_id"],
            set_={
                name: statement.excluded[name] for name in ("fits", "decided_by_id", "decided_at")
            },
        )
    )


def delete_decisions(session: Session, round_id: int, item_id: int) -> int:
    """Forget what is decided of an item in a round; returns of how many candidates it was."""
    gone = session.execute(
        delete(Adjudication)
        .where(Adjudication.round_id == round_id, Adjudication.item_id == item_id)
        .returning(Adjudication.candidate_id)
    )
    return len(gone.all())


# --- What is decided ------------------------------------------------------------------------


def list_adjudicated(session: Session, round_id: int) -> dict[int, bool]:
    """Returns whether each decided candidate of a round fits."""
    rows = session.execute(
        select(Adjudication.candidate_id, Adjudication.fits).where(
            Adjudication.round_id == round_id
        )
    )
    return dict(rows.all())


def count_decisions(session: Session, round_id: int) -> tuple[int, datetime | None]:
    """Returns of how many candidates of a round adjudicators decided, and when they last did."""
    n, last = session.execute(
        select(func.count(), func.max(Adjudication.decided_at)).where(
            Adjudication.round_id == round_id
        )
    ).one()
    return n, last


def find_last_decided(session: Session, round_id: int, user_id: int) -> int | None:
    """Returns the item of a round that an adjudicator decided last; None where they have none."""
    return session.scalar(
        select(Adjudication.item_id)
        .where(Adjudication.round_id == round_id, Adjudication.decided_by_id == user_id)
        .order_by(Adjudication.decided_at.desc())
        .limit(1)
    )


@dataclass(frozen=True)
class DecidedItem:
    """An item of a round that an adjudicator decided."""

    item: Item
    decided_by: User
    decided_at: datetime
    n_fits: int
    n_decided: int


def list_decided(
    session: Session, round_id: int, *, before: tuple[datetime, int] | None, limit: int
) -> list[DecidedItem]:
    """Returns decided items of a round, newest first: those decided before this time, or at it with
    a lower id."""
    newest = (
        select(Adjudication.decided_at, Adjudication.item_id)
        .distinct()
        .where(Adjudication.round_id == round_id)
        .order_by(Adjudication.decided_at.desc(), Adjudication.item_id.desc())
        .limit(limit)
    )
    if before is not None:
        newest = newest.where(tuple_(Adjudication.decided_at, Adjudication.item_id) < before)
    item_ids = [item_id for _, item_id in session.execute(newest)]
    # All decisions on an item are made at once, by one person.
    rows = session.execute(
        select(
            Item,
            User,
            Adjudication.decided_at,
            func.count().filter(Adjudication.fits),
            func.count(),
        )
        .join(Item, Item.id == Adjudication.item_id)
        .join(User, User.id == Adjudication.decided_by_id)
        .where(Adjudication.round_id == round_id, Adjudication.item_id.in_(item_ids))
        .group_by(Item.id, User.id, Adjudication.decided_at)
        .order_by(Adjudication.decided_at.desc(), Item.id.desc())
    )
    return [DecidedItem(*row) for row in rows]


def has_adjudications(item_id: Any, round_id: int) -> ColumnElement[bool]:
    """Returns the condition that something of an item is decided in a round."""
    return exists().where(Adjudication.round_id == round_id, Adjudication.item_id == item_id)
