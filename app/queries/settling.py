"""Items that nobody is left to judge, because of those who skipped them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JudgementStatus, Role, RoundItemState
from app.models import Judgement, Membership, Round, RoundAnnotator, RoundItem, User

_UNJUDGED = (RoundItemState.WAITING, RoundItemState.OPEN)
# Written into the statement, so that PostgreSQL can tell that ix_judgement_skipped covers it.
_SKIPPED = literal(JudgementStatus.SKIPPED, Judgement.status.type, literal_execute=True)
_HAD_IT = (JudgementStatus.SUBMITTED, JudgementStatus.SKIPPED)


def _somebody_is_left(most: int | None) -> ColumnElement[bool]:
    """Whether a member could still take the item: one who neither submitted nor skipped it.

    Members are the project's annotators, and those of its admins who judge in this round; without
    those who have judged `most` items.
    """
    had = aliased(Judgement)
    part = aliased(RoundAnnotator)
    takes_part = exists().where(
        part.round_id == RoundItem.round_id, part.user_id == Membership.user_id
    )
    conditions = [
        Membership.project_id == RoundItem.project_id,
        Membership.user_id == User.id,
        User.disabled_at.is_(None),
        or_(Membership.role == Role.ANNOTATOR, takes_part),
        ~exists().where(
            had.round_item_id == RoundItem.id,
            had.user_id == Membership.user_id,
            had.status.in_(_HAD_IT),
        ),
    ]
    if most is not None:
        conditions.append(~takes_part.where(part.n_submitted >= most))
    return exists().where(*conditions)


def _is_blocked(most: int | None) -> ColumnElement[bool]:
    """Skipped by somebody, held by nobody, and nobody is left for its free slots."""
    skipped = aliased(Judgement)
    return (
        (RoundItem.state == RoundItemState.OPEN)
        & (RoundItem.n_taken == RoundItem.n_submitted)
        & exists().where(skipped.round_item_id == RoundItem.id, skipped.status == _SKIPPED)
        & ~_somebody_is_left(most)
    )


def has_unsettled_items(session: Session, round_id: int, most: int | None) -> bool:
    """Whether something of the round is waiting, or open to somebody. Stops at the first."""
    return session.get(Round, round_id) is not None and bool(
        session.scalar(
            select(RoundItem.id)
            .where(
                RoundItem.round_id == round_id,
                RoundItem.state.in_(_UNJUDGED),
                ~_is_blocked(most),
            )
            .limit(1)
        )
    )


def list_blocked(session: Session, round_id: int, most: int | None) -> Sequence[RoundItem]:
    return session.scalars(
        select(RoundItem)
        .where(RoundItem.round_id == round_id, _is_blocked(most))
        .order_by(RoundItem.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def is_somebody_left(session: Session, round_item_id: int, most: int | None) -> bool:
    """Whether anybody could take one more slot of the item."""
    statement = select(_somebody_is_left(most)).select_from(RoundItem)
    return bool(session.scalar(statement.where(RoundItem.id == round_item_id)))


def list_skip_reasons(session: Session, round_item_id: int) -> list[tuple[str, int]]:
    """Why people skipped the item, with how many said so; the most frequent first."""
    n = func.count()
    rows = session.execute(
        select(Judgement.skip_reason, n)
        .where(Judgement.round_item_id == round_item_id, Judgement.status == _SKIPPED)
        .group_by(Judgement.skip_reason)
        .order_by(n.desc(), Judgement.skip_reason)
    )
    return [(reason or "", number) for reason, number in rows]
