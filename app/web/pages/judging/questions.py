"""The page of questions that a model asked: one image with its questions, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.lifecycle import JudgementStatus, QuestionState
from app.models import AskedQuestion, Image, Project, User
from app.opinions import MAX_ANSWER, QuestionChoices, QuestionFault
from app.queries.judging.leases import HELD
from app.queries.judging.questions import reviews as queries
from app.queries.judging.questions.reviews import HeldReview
from app.services.judging.keys import Key, keys_of
from app.services.judging.opinions import edit_limit
from app.services.judging.questions.choices import choices_of
from app.web.assets.image_urls import image_url, srcset
from app.web.pages.judging.work import lease_mark

N_SKIPPED = 10
"""So many of the images that a person skipped are offered to them again."""

QUESTION_FAULTS: Mapping[str, str] = {
    QuestionFault.NOT_IN_IMAGE: Sentence("Not about what the image shows"),
    QuestionFault.NOT_WORTH_ASKING: Sentence("Not worth asking"),
}

_ACTIONS: Mapping[str, tuple[str, str]] = {
    "submit": ("submit", Sentence("Submit, and bring the next image")),
    "none": ("none", Sentence("Drop all")),
    "mend": ("mend", Sentence("Another wording, or why it is dropped: then its number")),
    "answer": ("wrong", Sentence("Correct its answer: then its number")),
    "skip": ("skip", Sentence("Leave this image to others")),
    "take-back": ("take-back", Sentence("Take back your last image")),
    "zoom": ("zoom", Sentence("Zoom the image; drag to move it")),
    "keys": ("keys", Sentence("Show or hide this table")),
}
"""What keys do here: the action whose key of the judging page it is, and its words."""


@dataclass(frozen=True)
class AskedOffer:
    """A question that can be kept."""

    question_id: int
    place: int
    text: str
    n_draws: int
    is_kept: bool
    faults: Sequence[str]
    edit: str
    answer: str
    own_answer: str
    """The model's; empty where it gave none."""

    @property
    def is_mended(self) -> bool:
        return bool(self.faults or self.edit)


@dataclass(frozen=True)
class AskedWork:
    """The questions of one image in front of one person."""

    review_id: int
    base: str
    """The address of the review."""
    status: JudgementStatus
    version: int
    image_url: str
    image_srcset: str
    image_width: int
    image_height: int
    description: str
    offers: Sequence[AskedOffer]
    drops_all: bool
    active_ms: int
    lease_seconds: float
    lease_until: str
    is_editable: bool
    is_open: bool
    """Whether what was skipped or lost can still be taken up again."""
    n_today: int
    max_edit: int
    max_answer: int = MAX_ANSWER
    error: str = ""

    @property
    def is_submitted(self) -> bool:
        return self.status is JudgementStatus.SUBMITTED


@dataclass(frozen=True)
class AskedEmpty:
    """No questions, and why."""

    title: str
    text: str
    skipped: Sequence[int]
    """Reviews that can be taken up again."""


@dataclass(frozen=True)
class QuestionsPage:
    """The page around them; one of `work` and `empty` is there."""

    project: Project
    keys: Sequence[Key]
    hints: Mapping[str, str]
    faults: Mapping[str, str]
    last_submitted_id: int | None
    n_images: int
    """Images whose questions wait, those of others included."""
    work: AskedWork | None = None
    empty: AskedEmpty | None = None


def review_page(
    session: Session,
    held: HeldReview,
    user: User,
    *,
    today: datetime,
    choices: QuestionChoices | None = None,
    error: str = "",
) -> QuestionsPage:
    """Returns the page of an image. `choices`, of a refused form, stand for the stored ones."""
    work = _work(session, held, today=today, choices=choices, error=error)
    return _page(session, held.project, user, n_offers=len(work.offers), work=work)


def _work(
    session: Session,
    held: HeldReview,
    *,
    today: datetime,
    choices: QuestionChoices | None,
    error: str,
) -> AskedWork:
    review, slug = held.review, held.project.slug
    image = session.get_one(Image, review.image_sha256)
    questions = queries.list_questions(session, review.asked_image_id)
    chosen = choices or choices_of(review)
    return AskedWork(
        review_id=review.id,
        base=f"/projects/{slug}/questions/{review.id}",
        status=review.status,
        version=review.version,
        image_url=image_url(slug, image.sha256),
        image_srcset=srcset(slug, image.sha256, image.width),
        image_width=image.width,
        image_height=image.height,
        description=held.asked_image.description,
        offers=[_offer(place, one, chosen) for place, one in enumerate(questions, start=1)],
        drops_all=chosen.drops_all,
        active_ms=review.active_ms,
        lease_seconds=get_settings().lease_minutes * 60,
        lease_until=lease_mark(review),
        is_editable=review.status in HELD,
        is_open=any(one.state is QuestionState.PROPOSED for one in questions),
        n_today=queries.count_own_since(session, held.project.id, review.user_id, today),
        max_edit=edit_limit(one.text for one in questions),
        error=error,
    )


def _offer(place: int, question: AskedQuestion, chosen: QuestionChoices) -> AskedOffer:
    own = question.answer or ""
    return AskedOffer(
        question_id=question.id,
        place=place,
        text=question.text,
        n_draws=question.n_draws,
        is_kept=question.id in chosen.kept,
        faults=chosen.faults.get(question.id, ()),
        edit=chosen.edits.get(question.id, ""),
        answer=chosen.answers.get(question.id, own),
        own_answer=own,
    )


def empty_page(session: Session, project: Project, user: User) -> QuestionsPage:
    skipped = queries.list_skipped(session, project.id, user.id, limit=N_SKIPPED)
    page = _page(session, project, user, n_offers=0)
    title, text = _explain(project, page.n_images, n_skipped=len(skipped))
    is_open = project.archived_at is None
    return replace(page, empty=AskedEmpty(title, text, skipped if is_open else ()))


def _explain(project: Project, n_images: int, *, n_skipped: int) -> tuple[str, str]:
    if project.archived_at is not None:
        return (
            Sentence("This project is archived"),
            Sentence("Nothing is decided until it is taken out of the archive."),
        )
    if n_skipped:
        return (
            Sentence("You skipped what is left"),
            Sentence("Others can decide on it, or you take it up again."),
        )
    if n_images:
        return (
            Sentence("Others are at work on what is left"),
            Sentence("An image whose questions they leave comes to you when you look again."),
        )
    return (
        Sentence("No questions wait"),
        Sentence(
            "In rounds of self-questioning the model asks about images. Where no critic decides "
            "what is worth keeping, its questions come here."
        ),
    )


def _page(
    session: Session,
    project: Project,
    user: User,
    *,
    n_offers: int,
    work: AskedWork | None = None,
) -> QuestionsPage:
    keys = _keys(user, n_offers)
    last = queries.list_recent_submissions(session, project.id, user.id, 1)
    is_open = project.archived_at is None
    return QuestionsPage(
        project=project,
        keys=keys,
        hints={key.action: key.shown for key in keys},
        faults=QUESTION_FAULTS,
        last_submitted_id=last[0] if last and is_open else None,
        n_images=queries.count_waiting(session, project.id) if is_open else 0,
        work=work,
    )


def _keys(user: User, n_offers: int) -> list[Key]:
    """Returns the keys of the page as this person has them on the judging page."""
    own = {key.action: key for key in keys_of(user)}
    picks = [own[f"pick-{place}"] for place in range(1, n_offers + 1) if f"pick-{place}" in own]
    actions = _ACTIONS if n_offers else {name: _ACTIONS[name] for name in ("take-back", "keys")}
    return [
        *picks,
        *(Key(action, own[same].key, label) for action, (same, label) in actions.items()),
    ]
