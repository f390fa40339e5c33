"""What one person did, over all rounds that they may see. Nobody else's rows are read."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Date, and_, cast, func, select
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, RoundStatus
from app.models import Item, Judgement, Membership, Project, Round, RoundItem
from app.queries.judging.pages import OwnRow


@dataclass(frozen=True, slots=True)
class Day:
    """Submitted items of a day, and the active time they took in milliseconds."""

    day: date
    n_items: int
    active_ms: int


@dataclass(frozen=True, slots=True)
class OwnItem:
    """A judgement of this person with its item, project and round."""

    row: OwnRow
    project_name: str
    project_slug: str
    round_status: RoundStatus


def _own(user_id: int, *, sees_all: bool) -> ColumnElement[bool]:
    """Their judgements in rounds of their projects: an index look-up per round."""
    rounds = select(Round.id)
    if not sees_all:
        rounds = rounds.join(
            Membership,
            and_(Membership.project_id == Round.project_id, Membership.user_id == user_id),
        )
    return and_(Judgement.round_id.in_(rounds), Judgement.user_id == user_id)


def list_days(
    session: Session, user_id: int, *, sees_all: bool, since: datetime, zone: str
) -> list[Day]:
    """Days with submissions since a time, as days are counted in the zone; the newest first."""
    day = cast(func.timezone(zone, Judgement.submitted_at), Date)
    rows = session.execute(
        select(day, func.count(), func.sum(Judgement.active_ms))
        .where(_own(user_id, sees_all=sees_all), Judgement.submitted_at >= since)
        .group_by(day)
        .order_by(day.desc())
    )
    return [Day(row[0], row[1], int(row[2])) for row in rows]


def median_active_ms(
    session: Session, user_id: int, *, sees_all: bool, since: datetime
) -> float | None:
    """Of the items submitted since a time: half took less than this."""
    return session.scalar(
        select(func.percentile_cont(0.5).within_group(Judgement.active_ms)).where(
            _own(user_id, sees_all=sees_all), Judgement.submitted_at >= since
        )
    )


def list_last(session: Session, user_id: int, *, sees_all: bool, limit: int) -> list[OwnItem]:
    """The newest submissions, then what is begun, skipped or lost, as many of each at most."""
    base = (
        select(
            Judgement,
            Item.question,
            Item.answer,
            Item.image_sha256,
            Project.name,
            Project.slug,
            Round.status,
        )
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Item, Item.id == RoundItem.item_id)
        .join(Round, Round.id == Judgement.round_id)
        .join(Project, Project.id == Round.project_id)
        .where(_own(user_id, sees_all=sees_all))
        .limit(limit)
    )
    submitted = base.where(Judgement.status == JudgementStatus.SUBMITTED).order_by(
        Judgement.submitted_at.desc(), Judgement.id.desc()
    )
    others = base.where(Judgement.submitted_at.is_(None)).order_by(Judgement.updated_at.desc())
    rows = [*session.execute(submitted), *session.execute(others)]
    return [OwnItem(OwnRow(*row[:4]), row[4], row[5], row[6]) for row in rows]
