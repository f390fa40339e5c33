"""What the judging pages show besides the item: own work, counts, why a queue is empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Boolean, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from app.lifecycle import CLOSED_ROUND, JudgementStatus, Role, RoundItemState, RoundStatus
from app.models import (
    Candidate,
    GuidelinesReading,
    Image,
    Item,
    Judgement,
    Membership,
    Project,
    Round,
    RoundAnnotator,
    RoundItem,
)
from app.queries.judging.judgements import HELD, count_submitted
from app.queries.judging.queue import UPCOMING
from app.queries.rounds.candidates import cut_candidates_statement


def get_candidate_texts(session: Session, candidate_ids: Sequence[int]) -> dict[int, str]:
    rows = session.execute(
        select(Candidate.id, Candidate.text).where(Candidate.id.in_(candidate_ids))
    )
    return {row.id: row.text for row in rows}


def get_item(session: Session, round_item_id: int) -> tuple[Item, Image]:
    """The item behind a place in a round, with the size of its image."""
    row = session.execute(
        select(Item, Image)
        .join(RoundItem, RoundItem.item_id == Item.id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(RoundItem.id == round_item_id)
    ).one()
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A judgement of this person with what names its item."""

    judgement: Judgement
    question: str
    answer: str
    image_sha256: str


def list_own(session: Session, round_id: int, user_id: int, *, limit: int) -> list[OwnRow]:
    """The newest submissions, and everything of this person that is begun, skipped or lost."""
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
    """How many items this person submitted in the round, how many since a time, and the newest."""

    n_in_round: int
    n_since: int
    newest_id: int | None


_ROUND_ID = bindparam("round_id", type_=BigInteger)
_USER_ID = bindparam("user_id", type_=BigInteger)
_MINE = (Judgement.round_id == _ROUND_ID, Judgement.user_id == _USER_ID)
_OWN_FIGURES = (
    select(func.coalesce(func.max(RoundAnnotator.n_submitted), 0))
    .where(RoundAnnotator.round_id == _ROUND_ID, RoundAnnotator.user_id == _USER_ID)
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
    """How many items this person submitted in the round, and how many of them since a time."""
    n_in_round, n_since, _ = session.execute(
        select(*_OWN_FIGURES), {"round_id": round_id, "user_id": user_id, "since": since}
    ).one()
    return n_in_round, n_since


@dataclass(frozen=True, slots=True)
class ShownItem:
    """What a person sees of an item, and what stands around it."""

    question: str
    answer: str
    image_sha256: str
    image_width: int
    image_height: int
    texts: dict[int, str]
    """Of the candidates that this person is shown."""
    cut: frozenset[int]
    """Ids of the candidates whose text ended at the limit of tokens."""
    own: OwnFigures
    guidelines_read: int | None
    """The newest version of the guidelines that the person has read; none before the first look."""
    upcoming: list[tuple[str, int]]
    """Images that will probably be next, with their widths."""


_CANDIDATE_IDS = bindparam("candidate_ids", type_=ARRAY(BigInteger))

# All in one look-up: what a request costs is mostly what its statements cost to be sent and read.
_SHOWN_ITEM = (
    select(
        Item.question,
        Item.answer,
        Image.sha256,
        Image.width,
        Image.height,
        select(func.jsonb_object_agg(Candidate.id, Candidate.text))
        .where(Candidate.id == func.any(_CANDIDATE_IDS))
        .scalar_subquery(),
        func.array(cut_candidates_statement(_CANDIDATE_IDS).scalar_subquery()),
        *_OWN_FIGURES,
        select(GuidelinesReading.number)
        .where(
            GuidelinesReading.project_id == RoundItem.project_id,
            GuidelinesReading.user_id == _USER_ID,
        )
        .scalar_subquery(),
        UPCOMING.bindparams(
            _ROUND_ID,
            _USER_ID,
            bindparam("looks_ahead", type_=Boolean),
            bindparam("most", type_=BigInteger),
        )
        .columns(upcoming=JSONB)
        .scalar_subquery(),
    )
    .select_from(RoundItem)
    .join(Item, Item.id == RoundItem.item_id)
    .join(Image, Image.sha256 == Item.image_sha256)
    .where(RoundItem.id == bindparam("round_item_id", type_=BigInteger))
)


def get_shown_item(
    session: Session,
    judgement: Judgement,
    *,
    since: datetime,
    looks_ahead: bool,
    most: int | None,
) -> ShownItem:
    """The item of a judgement as its author sees it. `since`: when their day began; `looks_ahead`:
    whether the images that come next are wanted; `most`: how many items one person may judge."""
    question, answer, sha256, width, height, found, cut, *own, read, upcoming = session.execute(
        _SHOWN_ITEM,
        {
            "candidate_ids": judgement.shown_order,
            "round_item_id": judgement.round_item_id,
            "round_id": judgement.round_id,
            "user_id": judgement.user_id,
            "since": since,
            "looks_ahead": looks_ahead,
            "most": most,
        },
    ).one()
    return ShownItem(
        question=question,
        answer=answer,
        image_sha256=sha256,
        image_width=width,
        image_height=height,
        texts={int(candidate_id): text for candidate_id, text in (found or {}).items()},
        cut=frozenset(cut),
        own=OwnFigures(*own),
        guidelines_read=read,
        upcoming=[(image, image_width) for image, image_width in upcoming or ()],
    )


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Why a person's queue is empty, in numbers of items of the round."""

    n_waiting: int
    n_held_by_others: int
    n_skipped: int
    n_for_others: int
    n_limit: int | None
    """How many items one person may judge, where this person has reached that."""
    next_free_at: datetime | None


def get_queue_figures(
    session: Session, round_id: int, user_id: int, *, most: int | None = None
) -> QueueFigures:
    """`most`: how many items of the round one person may judge."""
    mine = aliased(Judgement)
    is_open = RoundItem.state == RoundItemState.OPEN
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
            func.count().filter(is_open, has_room, mine.status == JudgementStatus.SUBMITTED),
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
    is_at_limit = most is not None and count_submitted(session, round_id, user_id) >= most
    return QueueFigures(*counts, n_limit=most if is_at_limit else None, next_free_at=next_free_at)


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


def list_home_rows(
    session: Session, user_id: int, *, sees_all: bool, since: datetime
) -> list[HomeRow]:
    """One statement, whatever the number of projects; those with an open round first."""
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
            RoundItem.round_id == Round.id,
            RoundItem.state != RoundItemState.RESTING,
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
    judged = in_round.where(RoundItem.state.in_((RoundItemState.DONE, RoundItemState.SET_ASIDE)))
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
    """Submissions of a person since a time, over all rounds."""
    return session.scalars(
        select(func.count())
        .select_from(Judgement)
        .join(Round, Round.id == Judgement.round_id)
        .where(Judgement.user_id == user_id, Judgement.submitted_at >= since)
    ).one()


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The submissions of a person around one of their judgements, and the newest of all."""

    previous_id: int | None
    next_id: int | None
    newest_id: int | None


def find_neighbours(session: Session, judgement: Judgement, *, newest_id: int | None) -> Neighbours:
    """Own submissions before and after; for what is not submitted, the newest is the one before."""
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
