"""Check items: those that serve, their uses, what is expected, and what people said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.orm import Session

from app.check_score import CheckCounts
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus, Split, UserKind
from app.models import (
    Candidate,
    CheckCandidate,
    CheckItem,
    Item,
    Judgement,
    PracticeItem,
    ProjectImage,
    Round,
    RoundItem,
    User,
    VerdictRow,
)
from app.queries.admission.votes import votes_statement
from app.queries.counted import counted_judgements


def _n_used() -> ColumnElement[int]:
    """How many people have submitted a check item, or hold it now."""
    return (
        select(func.coalesce(func.sum(RoundItem.n_taken), 0))
        .where(RoundItem.check_item_id == CheckItem.id)
        .scalar_subquery()
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """A check item that is not retired, and by how many people it can still be judged."""

    check_item: CheckItem
    n_left: int


def list_serving(session: Session, project_id: int) -> list[Serving]:
    """Returns the check items that can be mixed in: not retired, used up, excluded or withdrawn."""
    n_left = CheckItem.max_uses - _n_used()
    rows = session.execute(
        select(CheckItem, n_left)
        .join(Item, Item.id == CheckItem.item_id)
        .join(
            ProjectImage,
            (ProjectImage.project_id == Item.project_id)
            & (ProjectImage.image_sha256 == Item.image_sha256),
        )
        .where(
            CheckItem.project_id == project_id,
            CheckItem.retired_at.is_(None),
            Item.excluded_at.is_(None),
            ProjectImage.withdrawn_at.is_(None),
            n_left > 0,
        )
        .order_by(CheckItem.id)
    )
    return [Serving(check_item, int(left)) for check_item, left in rows]


def is_in_round(session: Session, round_id: int, item_id: int) -> bool:
    place = exists().where(RoundItem.round_id == round_id, RoundItem.item_id == item_id)
    return bool(session.scalar(select(place)))


def get_split(session: Session, item_id: int) -> Split:
    return session.scalars(select(Item.split).where(Item.id == item_id)).one()


def list_expected(session: Session, check_item_id: int) -> Sequence[CheckCandidate]:
    """Returns the candidates of a check item with what is expected of them."""
    return session.scalars(
        select(CheckCandidate)
        .where(CheckCandidate.check_item_id == check_item_id)
        .order_by(CheckCandidate.candidate_id)
    ).all()


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check item with its item: how many of its candidates fit, and its uses."""

    check_item: CheckItem
    item: Item
    n_fit: int
    n_candidates: int
    n_submitted: int
    n_right: int
    """Of the verdicts that people gave, those as expected."""
    n_said: int


def list_rows(session: Session, project_id: int) -> list[CheckRow]:
    """Returns the check items of a project: those that serve first, then the newest."""
    n_fit, n_candidates = (
        select(count)
        .where(CheckCandidate.check_item_id == CheckItem.id)
        .correlate(CheckItem)
        .scalar_subquery()
        for count in (func.count().filter(CheckCandidate.fits), func.count())
    )
    said = _said().group_by(RoundItem.check_item_id).subquery()
    rows = session.execute(
        select(
            CheckItem,
            Item,
            n_fit,
            n_candidates,
            func.coalesce(said.c.n_judgements, 0),
            func.coalesce(said.c.n_hits + said.c.n_rejected, 0),
            func.coalesce(said.c.n_fit + said.c.n_misfit, 0),
        )
        .join(Item, Item.id == CheckItem.item_id)
        .outerjoin(said, said.c.check_item_id == CheckItem.id)
        .where(CheckItem.project_id == project_id)
        .order_by(CheckItem.retired_at.is_not(None), CheckItem.id.desc())
    )
    return [CheckRow(*row) for row in rows]


def _said() -> Select[int | None, int, int, int, int, int]:
    """What people said of check items, added up: to be grouped."""
    is_picked = CheckCandidate.candidate_id == func.any(Judgement.picked)
    return (
        select(
            RoundItem.check_item_id,
            func.count(Judgement.id.distinct()).label("n_judgements"),
            func.count().filter(CheckCandidate.fits, is_picked).label("n_hits"),
            func.count().filter(CheckCandidate.fits).label("n_fit"),
            func.count().filter(~CheckCandidate.fits, ~is_picked).label("n_rejected"),
            func.count().filter(~CheckCandidate.fits).label("n_misfit"),
        )
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(CheckCandidate, CheckCandidate.check_item_id == RoundItem.check_item_id)
        .where(
            Judgement.user_kind == UserKind.PERSON, Judgement.status == JudgementStatus.SUBMITTED
        )
    )


def list_counts(
    session: Session, project_id: int, *, round_id: int | None = None
) -> dict[int, CheckCounts]:
    """Returns what each person said of the check items of a project, in all rounds or in one.

    Picking nothing because the answer is called wrong is picking nothing.
    """
    places = [RoundItem.project_id == project_id]
    if round_id is not None:
        places.append(RoundItem.round_id == round_id)
    rows = session.execute(
        _said()
        .with_only_columns(Judgement.user_id, *_said().selected_columns[1:])
        .where(*places)
        .group_by(Judgement.user_id)
    )
    return {user_id: CheckCounts(*counts) for user_id, *counts in rows}


def list_people(session: Session, user_ids: Sequence[int]) -> Sequence[User]:
    return session.scalars(select(User).where(User.id.in_(user_ids)).order_by(User.name)).all()


def find_check_item(session: Session, check_item_id: int) -> CheckItem | None:
    return session.get(CheckItem, check_item_id)


def find_serving(session: Session, item_id: int) -> CheckItem | None:
    """Returns the check item that an item serves as."""
    return session.scalars(
        select(CheckItem).where(CheckItem.item_id == item_id, CheckItem.retired_at.is_(None))
    ).one_or_none()


def is_practised(session: Session, item_id: int) -> bool:
    """Whether people see the verdicts on an item in the practice round."""
    return bool(session.scalar(select(exists().where(PracticeItem.item_id == item_id))))


@dataclass(frozen=True, slots=True)
class SaidOfCandidate:
    """A candidate of a check item, what is expected, and what people said."""

    text: str
    fits: bool
    n_picked: int
    n_asked: int


def list_said(session: Session, check_item_id: int) -> list[SaidOfCandidate]:
    """Returns the candidates of a check item with what people said of them."""
    is_picked = CheckCandidate.candidate_id == func.any(Judgement.picked)
    rows = session.execute(
        select(
            Candidate.text,
            CheckCandidate.fits,
            func.count(Judgement.id).filter(is_picked),
            func.count(Judgement.id),
        )
        .join(Candidate, Candidate.id == CheckCandidate.candidate_id)
        .outerjoin(RoundItem, RoundItem.check_item_id == CheckCandidate.check_item_id)
        .outerjoin(
            Judgement,
            (Judgement.round_item_id == RoundItem.id)
            & (Judgement.status == JudgementStatus.SUBMITTED)
            & (Judgement.user_kind == UserKind.PERSON),
        )
        .where(CheckCandidate.check_item_id == check_item_id)
        .group_by(Candidate.id, Candidate.text, CheckCandidate.fits)
        .order_by(CheckCandidate.fits.desc(), Candidate.id)
    )
    return [SaidOfCandidate(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class JudgedText:
    """A candidate with the votes of people that count, over all rounds."""

    candidate_id: int
    text: str
    n_fits: int
    n_votes: int


def list_judged_texts(session: Session, item_id: int, *, limit: int) -> list[JudgedText]:
    """Returns candidates of an item: those that most people judged first."""
    n_votes = func.count(counted_judgements.id)
    is_fit = VerdictRow.fits & counted_judgements.id.is_not(None)
    rows = session.execute(
        select(Candidate.id, Candidate.text, func.count().filter(is_fit), n_votes)
        .outerjoin(VerdictRow, VerdictRow.candidate_id == Candidate.id)
        .outerjoin(
            counted_judgements,
            (counted_judgements.id == VerdictRow.judgement_id)
            & (counted_judgements.user_kind == UserKind.PERSON),
        )
        .where(Candidate.item_id == item_id)
        .group_by(Candidate.id, Candidate.text)
        .order_by(n_votes.desc(), Candidate.id)
        .limit(limit)
    )
    return [JudgedText(*row) for row in rows]


def find_judged_round(session: Session, project_id: int) -> int | None:
    """Returns the newest round of a project that people have judged, or are judging."""
    return session.scalar(
        select(Round.id)
        .where(
            Round.project_id == project_id,
            Round.status != RoundStatus.CANCELLED,
            exists().where(
                counted_judgements.round_id == Round.id,
                counted_judgements.user_kind == UserKind.PERSON,
            ),
        )
        .order_by(Round.number.desc())
        .limit(1)
    )


def list_agreed_items(session: Session, round_id: int, *, n_each: int) -> list[int]:
    """Returns the items of a round of whose candidates several people say the same, and at least
    `n_each` that they fit and as many that they do not. None that serves already, is practised, or
    was set aside since its answer is in doubt.
    """
    votes = votes_statement(round_id, UserKind.PERSON).subquery()
    all_fit, none_fits = votes.c.n_fits == votes.c.n_votes, votes.c.n_fits == 0
    return list(
        session.scalars(
            select(votes.c.item_id)
            .where(
                ~exists().where(
                    CheckItem.item_id == votes.c.item_id, CheckItem.retired_at.is_(None)
                ),
                ~exists().where(PracticeItem.item_id == votes.c.item_id),
            )
            .group_by(votes.c.item_id)
            .having(
                func.bool_and((all_fit | none_fits) & (votes.c.n_votes > 1)),
                func.count().filter(all_fit) >= n_each,
                func.count().filter(none_fits) >= n_each,
            )
            .order_by(votes.c.item_id)
        )
    )


def stop_standing(session: Session, check_item_id: int, *, now: datetime) -> None:
    """Let nobody else be handed a check item. Who has it in front of them can submit it."""
    session.execute(
        update(RoundItem)
        .where(RoundItem.check_item_id == check_item_id, RoundItem.state == RoundItemState.STANDING)
        .values(slots=func.greatest(RoundItem.n_taken, 1))
    )
    session.execute(update(CheckItem).where(CheckItem.id == check_item_id).values(retired_at=now))
