"""Deciding on the questions of an image: kept ones become items with their answers, others are
dropped; taken back as long as nothing was done with the items.

The same request twice does the same as once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.events.judging import QuestionsDecided, QuestionsTakenBack
from app.kit.errors import Conflict, StaleVersion
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus, QuestionState
from app.models import AskedQuestion, Json
from app.opinions import QuestionChoices, QuestionFault
from app.queries.judging.questions import items as item_queries
from app.queries.judging.questions import reviews as queries
from app.queries.judging.questions.reviews import HeldReview
from app.queries.rounds.questions import decide_questions, list_facts
from app.services.events import record
from app.services.judging.judgements import N_TAKE_BACK
from app.services.judging.leases import lease_end
from app.services.judging.opinions import count_time
from app.services.judging.questions.choices import (
    check_choices,
    choices_of,
    final_wordings,
    store_choices,
)
from app.services.judging.questions.handing_out import change_status, renew_or_refuse
from app.services.judging.questions.items import keep_as_item
from app.services.refusals import NothingChosen, QuestionUsed, SameQuestion, TooLateToTakeBack


def save_draft(
    session: Session,
    held: HeldReview,
    choices: QuestionChoices,
    *,
    version: int,
    active_ms: int = 0,
    now: datetime | None = None,
) -> None:
    """Store what was chosen so far.

    Raises InvalidInput for choices that contradict themselves or what was asked, StaleVersion where
    another tab stored something else or it is submitted already, and LeaseLost.
    """
    now = now or datetime.now(UTC)
    questions = queries.list_questions(session, held.asked_image.id)
    _take(session, held, choices, questions, version=version, active_ms=active_ms, now=now)
    if held.review.status is JudgementStatus.LEASED:
        change_status(held.review, JudgementStatus.DRAFT)


def submit(
    session: Session,
    held: HeldReview,
    choices: QuestionChoices,
    *,
    version: int,
    active_ms: int = 0,
    now: datetime | None = None,
) -> None:
    """Make choices count: kept questions become items of the image, all others are dropped.

    The same choices again are a success that changes nothing. Raises as `save_draft` does; and
    NothingChosen, InvalidInput or SameQuestion for questions that cannot be kept as they are, which
    then stay a draft.
    """
    now = now or datetime.now(UTC)
    review = held.review
    questions = queries.list_questions(session, held.asked_image.id)
    _take(session, held, choices, questions, version=version, active_ms=active_ms, now=now)
    if review.status is JudgementStatus.SUBMITTED:
        return
    if review.status is JudgementStatus.LEASED:
        change_status(review, JudgementStatus.DRAFT)
    choices = choices_of(review)
    if not choices.says_something:
        raise NothingChosen(
            Sentence("Nothing is chosen yet: keep a question, or drop all of them.")
        )
    wordings = final_wordings(session, choices, questions)
    with session.begin_nested():  # all of them, or, where one is refused, none
        _decide(session, held, choices, questions, wordings)
    change_status(review, JudgementStatus.SUBMITTED)
    review.submitted_at, review.lease_until = now, None
    record(
        session,
        QuestionsDecided(
            review_id=review.id,
            n_kept=len(wordings),
            n_edited=len(choices.edits),
            n_dropped=len(questions) - len(wordings),
        ),
        project_id=review.project_id,
        round_id=held.round.id,
        actor=review.user_id,
    )


def _decide(
    session: Session,
    held: HeldReview,
    choices: QuestionChoices,
    questions: Sequence[AskedQuestion],
    wordings: Mapping[int, tuple[str, str]],
) -> None:
    review, image = held.review, held.asked_image.image_sha256
    facts = list_facts(session, review.project_id, [image]).get(image)
    decide_questions(
        session,
        [
            _decision(question, choices, review.user_id)
            | _kept(session, held, question, wordings.get(question.id), facts)
            for question in questions
        ],
    )


def _take(
    session: Session,
    held: HeldReview,
    choices: QuestionChoices,
    questions: Sequence[AskedQuestion],
    *,
    version: int,
    active_ms: int,
    now: datetime,
) -> None:
    """Write choices to their row, and renew the lease. Submitted ones are only compared."""
    choices = check_choices(choices, questions)
    if held.review.status is JudgementStatus.SUBMITTED:
        if choices == choices_of(held.review):
            return
        raise StaleVersion(
            Sentence(
                "You submitted other decisions on this image already. Take them back to change "
                "them."
            )
        )
    renew_or_refuse(session, held, now)
    store_choices(held.review, choices, questions, version=version, now=now)
    count_time(held.review, active_ms, now)


def _decision(question: AskedQuestion, choices: QuestionChoices, user_id: int) -> dict[str, Any]:
    """What is said of a question itself. Kept as it is, it is about the image and worth asking;
    reworded, nothing is said of what the model had asked."""
    is_kept = question.id in choices.kept
    as_asked = True if is_kept and question.id not in choices.edits else None
    faults = choices.faults.get(question.id, ())
    return {
        "id": question.id,
        "state": QuestionState.KEPT if is_kept else QuestionState.DROPPED,
        "decided_by_id": user_id,
        "is_about_image": False if QuestionFault.NOT_IN_IMAGE in faults else as_asked,
        "is_worth_asking": False if QuestionFault.NOT_WORTH_ASKING in faults else as_asked,
    }


def _kept(
    session: Session,
    held: HeldReview,
    question: AskedQuestion,
    kept_as: tuple[str, str] | None,
    facts: Json | None,
) -> dict[str, Any]:
    """What a kept question became: an item with this wording and answer."""
    if kept_as is None:
        return {"edited_text": None, "kept_answer": None, "item_id": None}
    wording, answer = kept_as
    item_id = keep_as_item(
        session,
        question,
        split=held.asked_image.split,
        wording=wording,
        answer=answer,
        facts=facts,
    )
    if item_id is None:
        raise SameQuestion(
            Sentence("The image has an item “%(text)s” already: drop the question.", text=wording)
        )
    return {
        "edited_text": wording if wording != question.text else None,
        "kept_answer": answer,
        "item_id": item_id,
    }


def take_back(session: Session, held: HeldReview, *, now: datetime | None = None) -> None:
    """Turn one of the newest own submissions into a draft again, and delete the items made of it.

    Raises QuestionUsed where an item was sampled or otherwise used, TooLateToTakeBack, and Conflict
    while somebody else has the image.
    """
    now = now or datetime.now(UTC)
    review = held.review
    if review.status is not JudgementStatus.SUBMITTED:
        return  # asked twice: it is a draft already
    newest = queries.list_recent_submissions(
        session, review.project_id, review.user_id, N_TAKE_BACK
    )
    if review.id not in newest:
        raise TooLateToTakeBack(
            Sentence("Only your last %(n)s submissions can be taken back.", n=N_TAKE_BACK)
        )
    questions = queries.list_questions(session, held.asked_image.id)
    n_items = _delete_items(
        session, [question.item_id for question in questions if question.item_id is not None]
    )
    item_queries.undecide_questions(session, [question.id for question in questions])
    _require_free(session, held)
    change_status(review, JudgementStatus.DRAFT)
    review.submitted_at, review.lease_until = None, lease_end(now)
    review.version += 1
    review.updated_at = now
    record(
        session,
        QuestionsTakenBack(review_id=review.id, n_items=n_items),
        project_id=review.project_id,
        round_id=held.round.id,
        actor=review.user_id,
    )


def _delete_items(session: Session, item_ids: Sequence[int]) -> int:
    """Delete items that nothing was done with, and say how many. Raises QuestionUsed."""
    used = QuestionUsed(
        Sentence(
            "An item made of these questions is in a round, or was used or corrected since: what "
            "you decided stays as it is. An admin can exclude the item."
        )
    )
    items = item_queries.lock_items(session, item_ids)
    if any(item.version > 1 for item in items) or item_queries.are_used(session, item_ids):
        raise used
    try:
        with session.begin_nested():
            item_queries.delete_items(session, item_ids)
    except IntegrityError:  # a round has taken it up at this moment
        raise used from None
    return len(items)


def _require_free(session: Session, held: HeldReview) -> None:
    if not queries.is_free(session, held.asked_image, held.review.user_id):
        raise Conflict(
            Sentence("Somebody else is at work on this image: take it back a little later.")
        )
