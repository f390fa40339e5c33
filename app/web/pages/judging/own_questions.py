"""A person's own decisions on questions of the model, as *Your work* lists them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus
from app.models import User
from app.queries.judging.questions.own import OwnReview, list_own_reviews
from app.services.judging.judgements import N_TAKE_BACK
from app.services.judging.questions.choices import choices_of
from app.web.assets.image_urls import image_url
from app.web.pages.judging.words import STATUS_WORDS


@dataclass(frozen=True)
class OwnQuestionsLine:
    """What a person said of the questions of an image."""

    review_id: int
    project_slug: str
    label: str
    kind: str
    image_url: str
    question: str
    """The one that the model asked most."""
    n_more: int
    said: Sentence
    at: datetime
    project_name: str
    can_take_back: bool
    can_resume: bool


def list_own_questions(
    session: Session, user: User, *, sees_all: bool, round_id: int | None = None
) -> Sequence[OwnQuestionsLine]:
    """Returns the newest decisions of a person, and what is begun, skipped or lost: of all their
    projects, or of what one round asked."""
    own = list_own_reviews(
        session, user.id, sees_all=sees_all, limit=N_TAKE_BACK, round_id=round_id
    )
    return [_line(one) for one in own]


def _line(own: OwnReview) -> OwnQuestionsLine:
    review = own.review
    label, kind = STATUS_WORDS[review.status]
    is_submitted = review.status is JudgementStatus.SUBMITTED
    return OwnQuestionsLine(
        review_id=review.id,
        project_slug=own.project_slug,
        label=label,
        kind=kind,
        image_url=image_url(own.project_slug, review.image_sha256, 160),
        question=own.question,
        n_more=max(0, own.n_questions - 1),
        said=_said(own),
        at=review.submitted_at or review.updated_at,
        project_name=own.project_name,
        can_take_back=is_submitted and not own.is_archived and not own.is_used,
        can_resume=not is_submitted and not own.is_archived and own.is_open,
    )


def _said(own: OwnReview) -> Sentence:
    choices = choices_of(own.review)
    if not choices.says_something:
        return Sentence("nothing chosen yet")
    n_kept = len(choices.kept)
    if not n_kept:
        return Sentence("all dropped")
    return Sentence("kept: %(kept)s, dropped: %(rest)s", kept=n_kept, rest=own.n_questions - n_kept)
