"""Questions that wait for people: handed out image by image, held, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session, aliased

from app.lifecycle import JUDGEABLE_ROUND, JudgementStatus, QuestionState
from app.models import (
    AskedImage,
    AskedQuestion,
    Item,
    Project,
    ProjectImage,
    QuestionReview,
    Round,
)
from app.queries.judging.leases import HELD
from app.round_settings import PEOPLE

_LOST = (JudgementStatus.RELEASED,)


def waits_for_people(round_: type[Round] = Round) -> ColumnElement[bool]:
    """Returns the condition that people, and no critic, decide on the questions of a round.

    In a round that a critic judges it decides on what it can tell; the rest is left to people.
    """
    return or_(
        round_.settings["judging"]["judges"].astext == PEOPLE,
        round_.status.not_in(JUDGEABLE_ROUND),
    )


def questions_wait() -> ColumnElement[bool]:
    """Returns the condition that a `Project` has questions that wait for people."""
    asked_in = aliased(Round)
    return exists().where(
        AskedQuestion.project_id == Project.id,
        AskedQuestion.state == QuestionState.PROPOSED,
        AskedImage.id == AskedQuestion.asked_image_id,
        asked_in.id == AskedImage.round_id,
        waits_for_people(asked_in),
        Project.archived_at.is_(None),
    )


def _is_held_by_others(user_id: int) -> ColumnElement[bool]:
    """Whether somebody else has the image of an `AskedImage` before them."""
    other = aliased(QuestionReview)
    return exists().where(
        other.project_id == AskedImage.project_id,
        other.image_sha256 == AskedImage.image_sha256,
        other.status.in_(HELD),
        other.user_id != user_id,
    )


def _is_proposed() -> ColumnElement[bool]:
    return exists().where(
        AskedQuestion.project_id == AskedImage.project_id,
        AskedQuestion.asked_image_id == AskedImage.id,
        AskedQuestion.state == QuestionState.PROPOSED,
    )


def may_be_decided_by(user_id: int) -> ColumnElement[bool]:
    """Returns the condition that an `AskedImage` has undecided questions, and that nobody but this
    person has its image before them."""
    return and_(_is_proposed(), ~_is_held_by_others(user_id))


def find_own_work(session: Session, project_id: int, user_id: int) -> QuestionReview | None:
    """Returns what a person has begun: the image they hold, else one whose lease they lost and that
    nobody has taken since."""
    is_held = QuestionReview.status.in_(HELD)
    return session.scalars(
        select(QuestionReview)
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .where(
            QuestionReview.user_id == user_id,
            QuestionReview.project_id == project_id,
            QuestionReview.submitted_at.is_(None),
            or_(
                is_held,
                and_(QuestionReview.status.in_(_LOST), may_be_decided_by(user_id)),
            ),
        )
        .order_by(is_held.desc(), QuestionReview.updated_at.desc(), QuestionReview.id)
        .limit(1)
        .with_for_update(of=QuestionReview)
        .execution_options(populate_existing=True)
    ).one_or_none()


def claim_asked_image(session: Session, project_id: int, user_id: int) -> AskedImage | None:
    """Locks the next image whose questions wait, and returns it; None where none is left.

    Images that others lock at this moment are skipped, and so are those that this person has seen.
    """
    mine = exists().where(
        QuestionReview.asked_image_id == AskedImage.id, QuestionReview.user_id == user_id
    )
    return session.scalars(
        select(AskedImage)
        .join(AskedQuestion, AskedQuestion.asked_image_id == AskedImage.id)
        .join(Round, Round.id == AskedImage.round_id)
        .join(
            ProjectImage,
            and_(
                ProjectImage.project_id == AskedImage.project_id,
                ProjectImage.image_sha256 == AskedImage.image_sha256,
            ),
        )
        .where(
            AskedQuestion.project_id == project_id,
            AskedQuestion.state == QuestionState.PROPOSED,
            ProjectImage.withdrawn_at.is_(None),
            waits_for_people(),
            ~mine,
            ~_is_held_by_others(user_id),
        )
        .order_by(AskedQuestion.asked_image_id, AskedQuestion.id)
        .limit(1)
        .with_for_update(of=ProjectImage, key_share=True, skip_locked=True)
    ).one_or_none()


def insert_review(session: Session, row: dict[str, Any]) -> QuestionReview | None:
    """Store a place at an image; None where somebody else has just taken the image."""
    return session.scalars(
        pg_insert(QuestionReview).values(**row).on_conflict_do_nothing().returning(QuestionReview)
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class HeldReview:
    """A person's place at an image, locked with the image until the end of the transaction."""

    review: QuestionReview
    asked_image: AskedImage
    project: Project
    round: Round


def lock_review(session: Session, review_id: int) -> HeldReview:
    """Locks a review and its image in the project, which the person is locked for already."""
    row = session.execute(
        select(QuestionReview, AskedImage, Project, Round)
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .join(Project, Project.id == QuestionReview.project_id)
        .join(Round, Round.id == AskedImage.round_id)
        .join(
            ProjectImage,
            and_(
                ProjectImage.project_id == QuestionReview.project_id,
                ProjectImage.image_sha256 == QuestionReview.image_sha256,
            ),
        )
        .where(QuestionReview.id == review_id)
        .with_for_update(of=(ProjectImage, QuestionReview), key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    return HeldReview(*row)


def find_review(session: Session, review_id: int, user_id: int) -> HeldReview | None:
    """Returns a person's own review with what hangs on it, not locked; None where it is not
    theirs."""
    row = session.execute(
        select(QuestionReview, AskedImage, Project, Round)
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .join(Project, Project.id == QuestionReview.project_id)
        .join(Round, Round.id == AskedImage.round_id)
        .where(QuestionReview.id == review_id, QuestionReview.user_id == user_id)
    ).one_or_none()
    return HeldReview(*row) if row else None


def is_free(session: Session, asked_image: AskedImage, user_id: int) -> bool:
    """Whether the image has undecided questions and nobody else holds it. It is locked."""
    return bool(
        session.scalar(select(may_be_decided_by(user_id)).where(AskedImage.id == asked_image.id))
    )


def list_questions(session: Session, asked_image_id: int) -> Sequence[AskedQuestion]:
    """Returns the distinct questions of an image that was asked about, the most drawn first."""
    return session.scalars(
        select(AskedQuestion)
        .where(AskedQuestion.asked_image_id == asked_image_id)
        .order_by(AskedQuestion.n_draws.desc(), AskedQuestion.id)
        .execution_options(populate_existing=True)
    ).all()


def list_item_questions(session: Session, project_id: int, image_sha256: str) -> Sequence[str]:
    """Returns the questions of all items of an image in a project."""
    return session.scalars(
        select(Item.question).where(
            Item.project_id == project_id, Item.image_sha256 == image_sha256
        )
    ).all()


def list_recent_submissions(
    session: Session, project_id: int, user_id: int, limit: int
) -> Sequence[int]:
    """Returns ids of this person's newest submitted reviews in the project, newest first."""
    return session.scalars(
        select(QuestionReview.id)
        .where(
            QuestionReview.user_id == user_id,
            QuestionReview.project_id == project_id,
            QuestionReview.submitted_at.is_not(None),
        )
        .order_by(QuestionReview.submitted_at.desc(), QuestionReview.id.desc())
        .limit(limit)
    ).all()


def count_own_since(session: Session, project_id: int, user_id: int, since: datetime) -> int:
    """Returns on how many images of a project a person has decided since a time."""
    return session.scalars(
        select(func.count()).where(
            QuestionReview.user_id == user_id,
            QuestionReview.project_id == project_id,
            QuestionReview.submitted_at >= since,
        )
    ).one()


def list_skipped(session: Session, project_id: int, user_id: int, *, limit: int) -> Sequence[int]:
    """Returns ids of the reviews that a person skipped and that nobody has taken since, the newest
    first."""
    return session.scalars(
        select(QuestionReview.id)
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .where(
            QuestionReview.user_id == user_id,
            QuestionReview.project_id == project_id,
            QuestionReview.status == JudgementStatus.SKIPPED,
            may_be_decided_by(user_id),
        )
        .order_by(QuestionReview.updated_at.desc(), QuestionReview.id)
        .limit(limit)
    ).all()


MOST_COUNTED = 1000


def count_waiting(session: Session, project_id: int) -> int:
    """Returns how many images of a project have questions that wait for people, at most
    `MOST_COUNTED`: pages ask with every image."""
    waiting = (
        select(AskedQuestion.asked_image_id)
        .distinct()
        .join(AskedImage, AskedImage.id == AskedQuestion.asked_image_id)
        .join(Round, Round.id == AskedImage.round_id)
        .where(
            AskedQuestion.project_id == project_id,
            AskedQuestion.state == QuestionState.PROPOSED,
            waits_for_people(),
        )
        .order_by(AskedQuestion.asked_image_id)
        .limit(MOST_COUNTED)
    )
    return session.scalars(select(func.count()).select_from(waiting.subquery())).one()


# --- Leases that end ----------------------------------------------------------------------------


def free_expired(session: Session, *, now: datetime, project_id: int | None, limit: int) -> int:
    """Free images whose leases ran out; how many. What was chosen stays on the rows."""
    due = (
        select(QuestionReview.id)
        .where(QuestionReview.status.in_(HELD), QuestionReview.lease_until < now)
        .order_by(QuestionReview.lease_until)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    if project_id is not None:
        due = due.where(QuestionReview.project_id == project_id)
    return _free(session, session.scalars(due).all())


def give_back_held(session: Session, user_id: int, *, project_id: int | None) -> int:
    """Free the images that one person holds, everywhere or in one project; how many."""
    held = (
        select(QuestionReview.id)
        .where(QuestionReview.user_id == user_id, QuestionReview.status.in_(HELD))
        .order_by(QuestionReview.id)
        .with_for_update(key_share=True)
    )
    if project_id is not None:
        held = held.where(QuestionReview.project_id == project_id)
    return _free(session, session.scalars(held).all())


def _free(session: Session, ids: Sequence[int]) -> int:
    if ids:
        session.execute(
            update(QuestionReview)
            .where(QuestionReview.id.in_(ids))
            .values(status=JudgementStatus.RELEASED, lease_until=None, updated_at=func.now())
        )
    return len(ids)
