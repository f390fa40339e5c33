"""Handing out images with questions: one person has an image at a time, until a lease ends.

Locks are taken in one order: the person, the image in its project, the review. Two people who ask
at once get two images; the database lets no image have two.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.kit.errors import InvalidTransition
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus, can_advance
from app.models import AskedImage, AskedQuestion, Project, QuestionReview, User
from app.queries.judging.leases import HELD, lock_person
from app.queries.judging.questions import reviews as queries
from app.queries.judging.questions.reviews import HeldReview
from app.services.archived import require_open
from app.services.judging.leases import EXPIRED_BATCH, lease_end
from app.services.judging.opinions import count_time
from app.services.refusals import LeaseLost

_TRIES = 10
"""So often is another image looked for, where others take those that were found."""


def open_next(
    session: Session, project: Project, user: User, *, now: datetime | None = None
) -> QuestionReview | None:
    """Reserve an image for a person: the one that they have begun, else the next whose questions
    wait.

    Returns None where nothing is left for them. Raises ProjectArchived.
    """
    require_open(project)
    now = now or datetime.now(UTC)
    lock_person(session, user.id)
    begun = queries.find_own_work(session, project.id, user.id)
    if begun is not None and _renew(session, queries.lock_review(session, begun.id), now):
        return begun
    taken = _take_next(session, project, user, now)
    if taken is None and free_expired(session, now=now, project_id=project.id):
        return _take_next(session, project, user, now)
    return taken


def _take_next(
    session: Session, project: Project, user: User, now: datetime
) -> QuestionReview | None:
    for _ in range(_TRIES):
        asked_image = queries.claim_asked_image(session, project.id, user.id)
        if asked_image is None:
            return None
        row = _first_row(session, asked_image, user, now)
        if (review := queries.insert_review(session, row)) is not None:
            return review
    return None


def _first_row(
    session: Session, asked_image: AskedImage, user: User, now: datetime
) -> dict[str, object]:
    questions = queries.list_questions(session, asked_image.id)
    return {
        "asked_image_id": asked_image.id,
        "project_id": asked_image.project_id,
        "image_sha256": asked_image.image_sha256,
        "user_id": user.id,
        "lease_until": lease_end(now),
        "leased_at": now,
        "updated_at": now,
        "n_words": sum(map(_count_words, questions)),
        "n_trace_words": len(asked_image.description.split()),
    }


def _count_words(question: AskedQuestion) -> int:
    return len(f"{question.text} {question.answer or ''}".split())


def hold(session: Session, review: QuestionReview) -> HeldReview:
    """Lock a person's own review, with the person and the image, until the transaction ends."""
    lock_person(session, review.user_id)
    return queries.lock_review(session, review.id)


def resume(session: Session, held: HeldReview, *, now: datetime | None = None) -> None:
    """Take up again what was skipped, given back or lost. Raises LeaseLost where it cannot be."""
    review, now = held.review, now or datetime.now(UTC)
    if review.status is not JudgementStatus.SUBMITTED:
        renew_or_refuse(session, held, now)
        review.updated_at = now  # what was taken up last is shown first


def heartbeat(
    session: Session, held: HeldReview, *, active_ms: int, now: datetime | None = None
) -> None:
    """Renew the lease of an image whose page is open in front of somebody.

    Raises LeaseLost where it ran out and somebody else has the image.
    """
    now = now or datetime.now(UTC)
    if held.review.status in (*HELD, JudgementStatus.RELEASED):
        renew_or_refuse(session, held, now)
        count_time(held.review, active_ms, now)


def give_back(held: HeldReview) -> None:
    """End the lease of an image, which is free for others at once. What was chosen is kept."""
    if held.review.status in HELD:
        change_status(held.review, JudgementStatus.RELEASED)
        held.review.lease_until = None


def skip(held: HeldReview, *, now: datetime | None = None) -> None:
    """Leave an image to others; this person gets it again only when they ask for it."""
    review = held.review
    if review.status in HELD:
        change_status(review, JudgementStatus.SKIPPED)
        review.lease_until = None
        review.updated_at = now or datetime.now(UTC)


def free_expired(
    session: Session, *, now: datetime | None = None, project_id: int | None = None
) -> int:
    """Free images whose leases ran out, of one project or of all. Returns how many."""
    return queries.free_expired(
        session, now=now or datetime.now(UTC), project_id=project_id, limit=EXPIRED_BATCH
    )


def renew_or_refuse(session: Session, held: HeldReview, now: datetime) -> None:
    """Renew a lease; one that was lost is taken again. Raises LeaseLost where that is over."""
    if not _renew(session, held, now):
        raise LeaseLost(
            Sentence(
                "Your reservation of this image ended, and somebody else has taken it. What you "
                "chose does not count."
            )
        )


def _renew(session: Session, held: HeldReview, now: datetime) -> bool:
    review = held.review
    if review.status not in HELD:
        if not queries.is_free(session, held.asked_image, review.user_id):
            return False
        change_status(review, JudgementStatus.DRAFT if review.choices else JudgementStatus.LEASED)
    review.lease_until = lease_end(now)
    return True


def change_status(review: QuestionReview, status: JudgementStatus) -> None:
    """Change the status of a review, which nothing else does; as those of judgements change."""
    if not can_advance(review.status, status):
        raise InvalidTransition(f"This review is {review.status}; it cannot become {status}.")
    review.status = status
