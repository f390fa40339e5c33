"""A person's own judgements, in one round and over all that they may see; nobody else's."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BigInteger, ColumnElement, Date, and_, bindparam, cast, func, select
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, RoundStatus
from app.models import Item, Judgement, Membership, Project, Round, RoundAnnotator, RoundItem


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A judgement of this person with what names its item."""

    judgement: Judgement
    question: str
    answer: str
    image_sha256: str


def list_own(session: Session, round_id: int, user_id: int, *, limit: int) -> list[OwnRow]:
    """Returns the newest submissions, and everything of this person that is begun,
    skipped or lost.
    """
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


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """A person's submissions in a round: their number, those since a time, and the newest one."""

    n_in_round: int
    n_since: int
    newest_id: int | None


ROUND_ID = bindparam("round_id", type_=BigInteger)
USER_ID = bindparam("user_id", type_=BigInteger)
_MINE = (Judgement.round_id == ROUND_ID, Judgement.user_id == USER_ID)
OWN_FIGURES = (
    select(func.coalesce(func.max(RoundAnnotator.n_submitted), 0))
    .where(RoundAnnotator.round_id == ROUND_ID, RoundAnnotator.user_id == USER_ID)
    .scalar_subquery(),
    select(func.count())
    .where(*_MINE, Judgement.submitted_at >= bindparam("since"))
    .scalar_subquery(),
    select(Judgement.id)
    .where(*_MINE, Judgement.submitted_at.is_not(None))
    .order_by(Judgement.submitted_at.desc(), Judgement.id.desc())
    .limit(1)
    .scalar_subquery(),
)


def count_own(session: Session, round_id: int, user_id: int, *, since: datetime) -> tuple[int, int]:
    """Returns a person's number of submissions in the round, and of those since a time."""
    n_in_round, n_since, _ = session.execute(
        select(*OWN_FIGURES), {"round_id": round_id, "user_id": user_id, "since": since}
    ).one()
    return n_in_round, n_since


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The submissions of a person around one of their judgements, and the newest of all."""

    previous_id: int | None
    next_id: int | None
    newest_id: int | None


def find_neighbours(session: Session, judgement: Judgement, *, newest_id: int | None) -> Neighbours:
    """Returns a person's submissions before and after one of theirs; for one that is not submitted,
    the newest is the one before.
    """
    if judgement.submitted_at is None:
        return Neighbours(previous_id=newest_id, next_id=None, newest_id=newest_id)
    own = select(Judgement.id).where(
        Judgement.round_id == judgement.round_id,
        Judgement.user_id == judgement.user_id,
        Judgement.submitted_at.is_not(None),
        Judgement.id != judgement.id,
    )
    newest_first = own.order_by(Judgement.submitted_at.desc(), Judgement.id.desc()).limit(1)
    at = judgement.submitted_at
    return Neighbours(
        previous_id=session.scalar(newest_first.where(Judgement.submitted_at <= at)),
        next_id=session.scalar(
            own.where(Judgement.submitted_at > at)
            .order_by(Judgement.submitted_at, Judgement.id)
            .limit(1)
        ),
        newest_id=newest_id if newest_id != judgement.id else session.scalar(newest_first),
    )


# --- Over all rounds


@dataclass(frozen=True, slots=True)
class Day:
    """Submitted items of a day, and the counted time that they took, in milliseconds."""

    day: date
    n_items: int
    counted_ms: int


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
    """Returns the days with submissions since a time, the newest first, as days are counted in the
    zone.
    """
    day = cast(func.timezone(zone, Judgement.submitted_at), Date)
    rows = session.execute(
        select(day, func.count(), func.sum(Judgement.counted_ms))
        .where(_own(user_id, sees_all=sees_all), Judgement.submitted_at >= since)
        .group_by(day)
        .order_by(day.desc())
    )
    return [Day(row[0], row[1], int(row[2])) for row in rows]


def median_counted_ms(
    session: Session, user_id: int, *, sees_all: bool, since: datetime
) -> float | None:
    """Returns the median counted time of the items that a person submitted since a time, in
    milliseconds.
    """
    return session.scalar(
        select(func.percentile_cont(0.5).within_group(Judgement.counted_ms)).where(
            _own(user_id, sees_all=sees_all), Judgement.submitted_at >= since
        )
    )


def list_last(session: Session, user_id: int, *, sees_all: bool, limit: int) -> list[OwnItem]:
    """Returns the newest submissions, then what is begun, skipped or lost, as many of
    each at most.
    """
    own = select(Judgement.id).where(_own(user_id, sees_all=sees_all)).limit(limit)
    newest = (Judgement.submitted_at.desc(), Judgement.id.desc())
    submitted = own.where(Judgement.status == JudgementStatus.SUBMITTED).order_by(*newest)
    others = own.where(Judgement.submitted_at.is_(None)).order_by(Judgement.updated_at.desc())
    # Chosen before anything is joined: of many thousands, a few are shown.
    named = (
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
    )
    rows = [
        *session.execute(named.where(Judgement.id.in_(submitted)).order_by(*newest)),
        *session.execute(
            named.where(Judgement.id.in_(others)).order_by(Judgement.updated_at.desc())
        ),
    ]
    return [OwnItem(OwnRow(*row[:4]), row[4], row[5], row[6]) for row in rows]
