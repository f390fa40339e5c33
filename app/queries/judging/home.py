"""The start page: a person's projects, with the open round of each and their part in it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.lifecycle import CLOSED_ROUND, Role, RoundItemState, RoundStatus
from app.models import Judgement, Membership, Project, Round
from app.queries.counted import counted_items
from app.queries.judging.questions.reviews import questions_wait


@dataclass(frozen=True, slots=True)
class HomeRow:
    """A project of a person, with its open round (or its last one) and their part in it."""

    name: str
    slug: str
    description: str
    role: Role | None
    round_id: int | None
    round_number: int | None
    round_status: RoundStatus | None
    n_items: int
    n_judged: int
    n_mine: int
    n_mine_since: int
    questions_wait: bool
    """Whether the model asked questions that wait for people."""


def list_home_rows(
    session: Session, user_id: int, *, sees_all: bool, since: datetime
) -> list[HomeRow]:
    """Returns a row per project, those with an open round first, with a single statement."""
    newest = (
        select(Round.id)
        .where(Round.project_id == Project.id)
        .order_by(Round.number.desc())
        .limit(1)
        .correlate(Project)
        .scalar_subquery()
    )
    in_round = (
        select(func.count())
        .where(
            counted_items.round_id == Round.id,
            counted_items.state != RoundItemState.RESTING,
        )
        .correlate(Round)
    )
    mine = (
        select(func.count())
        .where(
            Judgement.round_id == Round.id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_not(None),
        )
        .correlate(Round)
    )
    judged = in_round.where(
        counted_items.state.in_((RoundItemState.DONE, RoundItemState.SET_ASIDE))
    )
    statement = (
        select(
            Project.name,
            Project.slug,
            Project.description,
            Membership.role,
            Round.id.label("round_id"),
            Round.number.label("round_number"),
            Round.status.label("round_status"),
            in_round.scalar_subquery().label("n_items"),
            judged.scalar_subquery().label("n_judged"),
            mine.scalar_subquery().label("n_mine"),
            mine.where(Judgement.submitted_at >= since).scalar_subquery().label("n_mine_since"),
            questions_wait().label("questions_wait"),
        )
        .select_from(Project)
        .outerjoin(
            Membership,
            and_(Membership.project_id == Project.id, Membership.user_id == user_id),
        )
        .outerjoin(Round, Round.id == newest)
        .order_by(Round.status.in_(CLOSED_ROUND).asc().nulls_last(), Project.name, Project.id)
    )
    if not sees_all:
        statement = statement.where(Membership.id.is_not(None))
    return [HomeRow(**row._mapping) for row in session.execute(statement)]


def count_own_since(session: Session, user_id: int, since: datetime) -> int:
    """Returns the number of a person's submissions since a time, over all rounds."""
    return session.scalars(
        select(func.count())
        .select_from(Judgement)
        .join(Round, Round.id == Judgement.round_id)
        .where(Judgement.user_id == user_id, Judgement.submitted_at >= since)
    ).one()
