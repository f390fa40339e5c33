"""Own decisions of a person on questions, in one round and over all projects; nobody else's."""

from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.models import AskedImage, AskedQuestion, Membership, Project, QuestionReview
from app.queries.judging.questions.items import has_used_items
from app.queries.judging.questions.reviews import may_be_decided_by


@dataclass(frozen=True, slots=True)
class OwnReview:
    """A person's place at the questions of an image, with its project.

    question: the one that was asked most; is_open: whether it can be taken up by them; is_used:
    whether an item made of it stays.
    """

    review: QuestionReview
    project_name: str
    project_slug: str
    is_archived: bool
    question: str
    n_questions: int
    is_open: bool
    is_used: bool


def list_own_reviews(
    session: Session, user_id: int, *, sees_all: bool, limit: int, round_id: int | None = None
) -> list[OwnReview]:
    """Returns the newest submitted reviews, then what is begun, skipped or lost, as many of each at
    most: of all projects of a person, or of what one round asked."""
    most_asked = (
        select(AskedQuestion.text)
        .where(AskedQuestion.asked_image_id == AskedImage.id)
        .order_by(AskedQuestion.n_draws.desc(), AskedQuestion.id)
        .limit(1)
        .scalar_subquery()
    )
    n_questions = (
        select(func.count()).where(AskedQuestion.asked_image_id == AskedImage.id).scalar_subquery()
    )
    own = (
        select(
            QuestionReview,
            Project.name,
            Project.slug,
            Project.archived_at.is_not(None),
            func.coalesce(most_asked, ""),
            n_questions,
            may_be_decided_by(user_id),
            has_used_items(),
        )
        .join(AskedImage, AskedImage.id == QuestionReview.asked_image_id)
        .join(Project, Project.id == QuestionReview.project_id)
        .where(QuestionReview.user_id == user_id)
        .limit(limit)
    )
    if not sees_all:
        own = own.join(
            Membership,
            and_(Membership.project_id == Project.id, Membership.user_id == user_id),
        )
    if round_id is not None:
        own = own.where(AskedImage.round_id == round_id)
    submitted = own.where(QuestionReview.submitted_at.is_not(None)).order_by(
        QuestionReview.submitted_at.desc(), QuestionReview.id.desc()
    )
    others = own.where(QuestionReview.submitted_at.is_(None)).order_by(
        QuestionReview.updated_at.desc(), QuestionReview.id.desc()
    )
    rows = [*session.execute(submitted), *session.execute(others)]
    return [OwnReview(*row) for row in rows]
