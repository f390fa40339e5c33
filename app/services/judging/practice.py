"""The practice round: a person judges items whose verdicts are known, and is told why.

Answers go to tables of their own and nowhere else. What was said is kept with the explanations as
they stood, so that an admin who edits an item changes nobody's feedback.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import PracticeMode
from app.models import (
    PracticeAnswer,
    PracticeAttempt,
    PracticeCandidate,
    PracticeItem,
    Project,
    User,
)
from app.opinions import FACTS, Opinion
from app.queries.judging import practice as queries
from app.services.judging.opinions import check_opinion
from app.services.refusals import NothingChosen, PracticeOver


def begin(session: Session, project: Project, user: User) -> PracticeAttempt:
    """Returns the open try of this person, or a new one."""
    if project.practice is PracticeMode.OFF or not queries.count_ready(session, project.id):
        raise PracticeOver(Sentence("This project has no practice round."))
    last = queries.find_last_attempt(session, project.id, user.id)
    if last is not None and last.finished_at is None:
        return last
    attempt = PracticeAttempt(
        project_id=project.id, user_id=user.id, number=last.number + 1 if last else 1
    )
    try:
        with session.begin_nested():
            session.add(attempt)
    except IntegrityError:
        # Two clicks at once: the other one began it.
        begun = queries.find_last_attempt(session, project.id, user.id)
        if begun is None:
            raise
        return begun
    return attempt


def open_next_item(
    session: Session, project: Project, attempt: PracticeAttempt, *, now: datetime | None = None
) -> PracticeItem | None:
    """Returns the item to answer now. When none is left, finishes the try, passed or not."""
    item = queries.find_next_item(session, attempt)
    if item is None and attempt.finished_at is None:
        _finish(session, project, attempt, now or datetime.now(UTC))
    return item


def answer(
    session: Session,
    project: Project,
    attempt: PracticeAttempt,
    practice_item: PracticeItem,
    opinion: Opinion,
    *,
    now: datetime | None = None,
) -> PracticeAnswer:
    """Keep a person's first answer to an item; asked again, returns what was kept first.

    Raises InvalidInput for an opinion without verdicts, or one that contradicts itself or the item,
    and Conflict where the try is finished.
    """
    if not opinion.says_something:
        raise NothingChosen(
            Sentence(
                "Nothing is chosen yet: pick at least one rationale, or say that none fits or "
                "that the answer is wrong."
            )
        )
    attempt = queries.lock_attempt(session, attempt.id)
    given = queries.find_answer(session, attempt.id, practice_item.id)
    if given is not None:
        return given
    if attempt.finished_at is not None:
        raise PracticeOver(
            Sentence("This try at the practice round is finished. Begin another one.")
        )
    candidates = queries.list_candidates(session, practice_item.id)
    check_opinion(opinion, {candidate.id for candidate in candidates})
    n_right, n_asked = count_right(practice_item, candidates, opinion)
    given = PracticeAnswer(
        attempt_id=attempt.id,
        project_id=attempt.project_id,
        practice_item_id=practice_item.id,
        content=_content(session, practice_item, candidates, opinion),
        n_right=n_right,
        n_asked=n_asked,
    )
    session.add(given)
    session.flush()  # the page of the answer is named by its id
    open_next_item(session, project, attempt, now=now)
    return given


def count_right(
    practice_item: PracticeItem, candidates: Sequence[PracticeCandidate], opinion: Opinion
) -> tuple[int, int]:
    """Returns how many verdicts are as expected, and how many were asked for.

    A wrong answer is one verdict. Where the answer is right, each text is one: `none fits` says
    that none does, and calling the answer wrong gets none of them.
    """
    if practice_item.answer_is_wrong:
        return int(opinion.answer_is_wrong), 1
    if opinion.answer_is_wrong:
        return 0, len(candidates)
    return sum((one.id in opinion.picked) == one.fits for one in candidates), len(candidates)


def share_right(answers: Sequence[PracticeAnswer]) -> float | None:
    n_asked = sum(answer.n_asked for answer in answers)
    return sum(answer.n_right for answer in answers) / n_asked if n_asked else None


def is_due(session: Session, project: Project, user: User) -> bool:
    """Whether this person must pass the practice round before their first item of the project.

    Who has judged in the project already goes on: a rule that comes later stops nobody midway.
    """
    return (
        project.practice is PracticeMode.REQUIRED
        and queries.count_ready(session, project.id) > 0
        and not queries.has_passed(session, project.id, user.id)
        and not queries.has_judged(session, project.id, user.id)
    )


def count_offered(session: Session, project: Project, user: User) -> int:
    """Returns the number of items of the practice round, as long as it is offered and this person
    has not finished it.
    """
    if project.practice is PracticeMode.OFF:
        return 0
    n_items = queries.count_ready(session, project.id)
    if n_items and queries.has_finished(session, project.id, user.id):
        return 0
    return n_items


# --- Steps ----------------------------------------------------------------------------------


def _finish(session: Session, project: Project, attempt: PracticeAttempt, now: datetime) -> None:
    session.flush()  # the last answer counts
    share = share_right(queries.list_answers(session, attempt.id))
    attempt.finished_at = now
    # Without any item left there is nothing to fail.
    attempt.is_passed = share is None or share >= project.practice_pass_share


def _content(
    session: Session,
    practice_item: PracticeItem,
    candidates: Sequence[PracticeCandidate],
    opinion: Opinion,
) -> dict[str, object]:
    item, image = queries.get_item(session, practice_item)
    return {
        "question": item.question,
        "answer": practice_item.answer,
        "image_sha256": image.sha256,
        "image_size": [image.width, image.height],
        "explanation": practice_item.explanation,
        "answer_is_wrong": practice_item.answer_is_wrong,
        "said": opinion.model_dump(mode="json", include=FACTS),
        "candidates": [
            {
                "text": candidate.text,
                "fits": candidate.fits,
                "explanation": candidate.explanation,
                "is_picked": candidate.id in opinion.picked,
            }
            for candidate in candidates
        ],
    }
