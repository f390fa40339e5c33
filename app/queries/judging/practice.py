"""The practice round: its items, people's tries at it, and what they said."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, select
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, PracticeMode, Split
from app.models import (
    Candidate,
    Image,
    Item,
    Judgement,
    PracticeAnswer,
    PracticeAttempt,
    PracticeCandidate,
    PracticeItem,
    Project,
    Round,
)


def _is_ready() -> ColumnElement[bool]:
    """Practised on is what has texts; an item that was only chosen waits for its admin."""
    return exists().where(PracticeCandidate.practice_item_id == PracticeItem.id)


_COUNT_READY = select(func.count()).where(
    PracticeItem.project_id == bindparam("project_id"), _is_ready()
)


def count_ready(session: Session, project_id: int) -> int:
    return session.scalars(_COUNT_READY, {"project_id": project_id}).one()


@dataclass(frozen=True, slots=True)
class PracticeRow:
    """A practice item with its item; how often it was answered and with how many right."""

    practice_item: PracticeItem
    item: Item
    n_candidates: int
    n_answers: int
    n_right: int
    n_asked: int


def list_rows(session: Session, project_id: int) -> list[PracticeRow]:
    answers = (
        select(
            PracticeAnswer.practice_item_id,
            func.count().label("n"),
            func.sum(PracticeAnswer.n_right).label("n_right"),
            func.sum(PracticeAnswer.n_asked).label("n_asked"),
        )
        .where(PracticeAnswer.project_id == project_id)
        .group_by(PracticeAnswer.practice_item_id)
        .subquery()
    )
    n_candidates = (
        select(func.count())
        .where(PracticeCandidate.practice_item_id == PracticeItem.id)
        .correlate(PracticeItem)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            PracticeItem,
            Item,
            n_candidates,
            func.coalesce(answers.c.n, 0),
            func.coalesce(answers.c.n_right, 0),
            func.coalesce(answers.c.n_asked, 0),
        )
        .join(Item, Item.id == PracticeItem.item_id)
        .outerjoin(answers, answers.c.practice_item_id == PracticeItem.id)
        .where(PracticeItem.project_id == project_id)
        .order_by(PracticeItem.position, PracticeItem.id)
    )
    return [PracticeRow(*row) for row in rows]


def find_practice_item(session: Session, practice_item_id: int) -> PracticeItem | None:
    return session.get(PracticeItem, practice_item_id)


def find_of_item(session: Session, project_id: int, item_id: int) -> PracticeItem | None:
    return session.scalars(
        select(PracticeItem).where(
            PracticeItem.project_id == project_id, PracticeItem.item_id == item_id
        )
    ).one_or_none()


def get_item(session: Session, practice_item: PracticeItem) -> tuple[Item, Image]:
    row = session.execute(
        select(Item, Image)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(Item.id == practice_item.item_id)
    ).one()
    return row[0], row[1]


def list_candidates(session: Session, practice_item_id: int) -> Sequence[PracticeCandidate]:
    return session.scalars(
        select(PracticeCandidate)
        .where(PracticeCandidate.practice_item_id == practice_item_id)
        .order_by(PracticeCandidate.position)
    ).all()


def delete_candidates(session: Session, practice_item_id: int) -> None:
    session.execute(
        delete(PracticeCandidate).where(PracticeCandidate.practice_item_id == practice_item_id)
    )


def list_model_texts(session: Session, item_id: int, limit: int) -> Sequence[str]:
    """Returns texts that the model wrote for the item, oldest first: material for practice."""
    return session.scalars(
        select(Candidate.text)
        .where(Candidate.item_id == item_id)
        .order_by(Candidate.id)
        .limit(limit)
    ).all()


def list_material(session: Session, project_id: int) -> Sequence[Item]:
    """Returns held-out items in the order of their import, as material for practice: people never
    judge them, nor are they trained on.
    """
    return session.scalars(
        select(Item)
        .where(
            Item.project_id == project_id,
            Item.split == Split.VALIDATION,
            Item.excluded_at.is_(None),
        )
        .order_by(Item.id)
    ).all()


def last_position(session: Session, project_id: int) -> int:
    return session.scalars(
        select(func.coalesce(func.max(PracticeItem.position), 0)).where(
            PracticeItem.project_id == project_id
        )
    ).one()


# --- Tries ----------------------------------------------------------------------------------


def find_last_attempt(session: Session, project_id: int, user_id: int) -> PracticeAttempt | None:
    return session.scalars(
        select(PracticeAttempt)
        .where(PracticeAttempt.project_id == project_id, PracticeAttempt.user_id == user_id)
        .order_by(PracticeAttempt.number.desc())
        .limit(1)
    ).one_or_none()


def lock_attempt(session: Session, attempt_id: int) -> PracticeAttempt:
    return session.scalars(
        select(PracticeAttempt)
        .where(PracticeAttempt.id == attempt_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def find_next_item(session: Session, attempt: PracticeAttempt) -> PracticeItem | None:
    """Returns the first item that this try has no answer to."""
    answered = exists().where(
        PracticeAnswer.attempt_id == attempt.id,
        PracticeAnswer.practice_item_id == PracticeItem.id,
    )
    return session.scalars(
        select(PracticeItem)
        .where(PracticeItem.project_id == attempt.project_id, _is_ready(), ~answered)
        .order_by(PracticeItem.position, PracticeItem.id)
        .limit(1)
    ).one_or_none()


def find_answer(session: Session, attempt_id: int, practice_item_id: int) -> PracticeAnswer | None:
    return session.scalars(
        select(PracticeAnswer).where(
            PracticeAnswer.attempt_id == attempt_id,
            PracticeAnswer.practice_item_id == practice_item_id,
        )
    ).one_or_none()


def list_answers(session: Session, attempt_id: int) -> Sequence[PracticeAnswer]:
    return session.scalars(
        select(PracticeAnswer)
        .where(PracticeAnswer.attempt_id == attempt_id)
        .order_by(PracticeAnswer.id)
    ).all()


def has_passed(session: Session, project_id: int, user_id: int) -> bool:
    passed = exists().where(
        PracticeAttempt.project_id == project_id,
        PracticeAttempt.user_id == user_id,
        PracticeAttempt.is_passed,
    )
    return session.scalar(select(passed)) or False


def has_finished(session: Session, project_id: int, user_id: int) -> bool:
    finished = exists().where(
        PracticeAttempt.project_id == project_id,
        PracticeAttempt.user_id == user_id,
        PracticeAttempt.finished_at.is_not(None),
    )
    return session.scalar(select(finished)) or False


def _judged_in_project(user_id: int) -> ColumnElement[bool]:
    """Whether the person submitted a judgement in any round of the project of the statement."""
    judged = select(Judgement.id).where(
        Judgement.round_id == Round.id,
        Judgement.user_id == user_id,
        Judgement.status == JudgementStatus.SUBMITTED,
    )
    return select(Round.id).where(Round.project_id == Project.id, judged.exists()).exists()


def has_judged(session: Session, project_id: int, user_id: int) -> bool:
    statement = select(_judged_in_project(user_id)).where(Project.id == project_id)
    return session.scalar(statement) or False


@dataclass(frozen=True, slots=True)
class PracticeOffer:
    """A practice round that is offered to a person who has not finished it."""

    slug: str
    mode: PracticeMode
    n_items: int
    has_begun: bool
    has_passed: bool
    has_judged: bool


def list_offers(session: Session, user_id: int, slugs: Sequence[str]) -> dict[str, PracticeOffer]:
    """Returns the practice rounds of the projects named, by slug, with a single statement."""
    n_items = (
        select(func.count())
        .where(PracticeItem.project_id == Project.id, _is_ready())
        .correlate(Project)
        .scalar_subquery()
    )
    mine = select(PracticeAttempt.id).where(
        PracticeAttempt.project_id == Project.id, PracticeAttempt.user_id == user_id
    )
    rows = session.execute(
        select(
            Project.slug,
            Project.practice,
            n_items,
            mine.exists().label("has_begun"),
            mine.where(PracticeAttempt.is_passed).exists().label("has_passed"),
            _judged_in_project(user_id).label("has_judged"),
        ).where(Project.slug.in_(slugs), Project.practice != PracticeMode.OFF)
    )
    return {row[0]: PracticeOffer(*row) for row in rows if row[2]}


@dataclass(frozen=True, slots=True)
class PracticeFigures:
    """Counts of how the practice round of a project went so far, over all people."""

    n_people: int
    n_passed: int
    n_attempts: int


def get_figures(session: Session, project_id: int) -> PracticeFigures:
    row = session.execute(
        select(
            func.count(PracticeAttempt.user_id.distinct()),
            func.count(PracticeAttempt.user_id.distinct()).filter(PracticeAttempt.is_passed),
            func.count(),
        ).where(PracticeAttempt.project_id == project_id)
    ).one()
    return PracticeFigures(*row)
