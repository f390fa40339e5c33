"""Items that nobody is left to judge, because of those who skipped them."""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, Role, RoundItemState
from app.models import Adjudication, Judgement, Membership, RoundAnnotator, RoundItem, User

_UNJUDGED = (RoundItemState.WAITING, RoundItemState.OPEN)
# Written into the statement, so that PostgreSQL can tell that ix_judgement_skipped covers it.
_SKIPPED = literal(JudgementStatus.SKIPPED, Judgement.status.type, literal_execute=True)
_HAD_IT = (JudgementStatus.SUBMITTED, JudgementStatus.SKIPPED)


_ROUND_ID = bindparam("round_id", type_=BigInteger)
_MAX_PER_ANNOTATOR = bindparam("max_per_annotator", type_=BigInteger)
"""Items of the round that one person may judge; without a number nobody has reached it."""


def _somebody_is_left() -> ColumnElement[bool]:
    """Whether a member could still take the item: one who neither submitted nor skipped it, nor
    decided it as an adjudicator.

    Members are the project's annotators, and those of its admins who judge in this round; without
    those who have judged `max_per_annotator` items.
    """
    had = aliased(Judgement)
    part = aliased(RoundAnnotator)
    decided = aliased(Adjudication)
    takes_part = exists().where(
        part.round_id == RoundItem.round_id, part.user_id == Membership.user_id
    )
    return exists().where(
        Membership.project_id == RoundItem.project_id,
        Membership.user_id == User.id,
        User.disabled_at.is_(None),
        or_(Membership.role == Role.ANNOTATOR, takes_part),
        ~exists().where(
            had.round_item_id == RoundItem.id,
            had.user_id == Membership.user_id,
            had.status.in_(_HAD_IT),
        ),
        ~exists().where(
            decided.round_id == RoundItem.round_id,
            decided.item_id == RoundItem.item_id,
            decided.decided_by_id == Membership.user_id,
        ),
        ~takes_part.where(part.n_submitted >= _MAX_PER_ANNOTATOR),
    )


def _is_blocked() -> ColumnElement[bool]:
    """Skipped by somebody, held by nobody, and nobody is left for its free slots."""
    skipped = aliased(Judgement)
    return (
        (RoundItem.state == RoundItemState.OPEN)
        & (RoundItem.n_taken == RoundItem.n_submitted)
        & exists().where(skipped.round_item_id == RoundItem.id, skipped.status == _SKIPPED)
        & ~_somebody_is_left()
    )


# Put together once: the first is asked after every submission without a next item.
_UNSETTLED = (
    select(RoundItem.id)
    .where(RoundItem.round_id == _ROUND_ID, RoundItem.state.in_(_UNJUDGED), ~_is_blocked())
    .limit(1)
)
_BLOCKED = (
    select(RoundItem)
    .where(RoundItem.round_id == _ROUND_ID, _is_blocked())
    .order_by(RoundItem.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_IS_SOMEBODY_LEFT = (
    select(_somebody_is_left())
    .select_from(RoundItem)
    .where(RoundItem.id == bindparam("round_item_id", type_=BigInteger))
)


def has_unsettled_items(session: Session, round_id: int, max_per_annotator: int | None) -> bool:
    """Whether something of the round is waiting, or open to somebody. Stops at the first."""
    return (
        session.scalar(_UNSETTLED, {"round_id": round_id, "max_per_annotator": max_per_annotator})
        is not None
    )


def list_blocked(
    session: Session, round_id: int, max_per_annotator: int | None
) -> Sequence[RoundItem]:
    return session.scalars(
        _BLOCKED, {"round_id": round_id, "max_per_annotator": max_per_annotator}
    ).all()


def is_somebody_left(session: Session, round_item_id: int, max_per_annotator: int | None) -> bool:
    """Whether anybody could take one more slot of the item."""
    return bool(
        session.scalar(
            _IS_SOMEBODY_LEFT,
            {"round_item_id": round_item_id, "max_per_annotator": max_per_annotator},
        )
    )


def list_skip_reasons(session: Session, round_item_id: int) -> list[tuple[str, int]]:
    """Returns the reasons for which people skipped the item with counts, most frequent first."""
    n = func.count()
    rows = session.execute(
        select(Judgement.skip_reason, n)
        .where(Judgement.round_item_id == round_item_id, Judgement.status == _SKIPPED)
        .group_by(Judgement.skip_reason)
        .order_by(n.desc(), Judgement.skip_reason)
    )
    return [(reason or "", number) for reason, number in rows]
