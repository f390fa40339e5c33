"""Choices about the questions of an image: checked against what was asked, and stored."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, StaleVersion
from app.kit.sentences import Sentence
from app.models import AskedQuestion, QuestionReview
from app.opinions import MAX_ANSWER, QuestionChoices, QuestionFault
from app.queries.judging.questions import reviews as queries
from app.services.judging.opinions import edit_limit
from app.services.refusals import SameQuestion
from app.strategies.same_question import question_key

_FAULTS = frozenset(QuestionFault)


def choices_of(review: QuestionReview) -> QuestionChoices:
    """Returns the choices that are stored on a row."""
    return QuestionChoices.model_validate(review.choices)


def check_choices(choices: QuestionChoices, questions: Sequence[AskedQuestion]) -> QuestionChoices:
    """Returns the choices without wordings that are the model's own.

    Raises InvalidInput where they contradict themselves or what was asked, or a text is too long.
    """
    by_id = {question.id: question for question in questions}
    named = {*choices.kept, *choices.faults, *choices.edits, *choices.answers}
    if not named <= by_id.keys():
        raise InvalidInput(
            Sentence("A chosen question is not one of this image's. Reload the page.")
        )
    if choices.kept and choices.drops_all:
        raise InvalidInput(Sentence("Keep questions, or drop all: only one of the two can be."))
    if set(choices.faults) & set(choices.kept):
        raise InvalidInput(
            Sentence("A question that you keep has no fault: take back one of the two.")
        )
    if unknown := {name for names in choices.faults.values() for name in names} - _FAULTS:
        raise InvalidInput(
            Sentence("There is no fault called “%(name)s”. Reload the page.", name=min(unknown))
        )
    _check_lengths(choices, edit_limit(question.text for question in questions))
    edits = {key: text for key, text in choices.edits.items() if text != by_id[key].text}
    return choices.model_copy(update={"edits": edits})


def _check_lengths(choices: QuestionChoices, longest: int) -> None:
    if any(len(text) > longest for text in choices.edits.values()):
        raise InvalidInput(
            Sentence("A question is longer than %(n)s characters: shorten it.", n=longest)
        )
    if any(len(text) > MAX_ANSWER for text in choices.answers.values()):
        raise InvalidInput(
            Sentence("An answer is longer than %(n)s characters: shorten it.", n=MAX_ANSWER)
        )


def store_choices(
    review: QuestionReview,
    choices: QuestionChoices,
    questions: Sequence[AskedQuestion],
    *,
    version: int,
    now: datetime,
) -> None:
    """Write choices to the row, unless the same stand there (a request that came twice).

    Raises StaleVersion where another page wrote something else since `version`.
    """
    if choices == choices_of(review):
        return
    if version != review.version:
        raise StaleVersion(
            Sentence(
                "This image was changed in another tab or window since this page was loaded. "
                "Nothing was overwritten."
            )
        )
    review.choices = choices.model_dump(mode="json")
    review.n_typed = max(review.n_typed, _count_typed(choices, questions))
    review.version += 1
    review.updated_at = now


def _count_typed(choices: QuestionChoices, questions: Sequence[AskedQuestion]) -> int:
    own = {question.id: question.answer or "" for question in questions}
    answers = [text for key, text in choices.answers.items() if text != own[key]]
    return sum(len(text.split()) for text in (*choices.edits.values(), *answers))


def final_wordings(
    session: Session, choices: QuestionChoices, questions: Sequence[AskedQuestion]
) -> Mapping[int, tuple[str, str]]:
    """Returns the wording and the answer of each question that is kept.

    Raises InvalidInput for one without an answer, or reworded and not kept, and SameQuestion for
    one that the image has already.
    """
    places = {question.id: place for place, question in enumerate(questions, start=1)}
    if stray := sorted(places[key] for key in choices.edits.keys() - set(choices.kept)):
        raise InvalidInput(
            Sentence(
                "You reworded question %(place)s and do not keep it: keep it, or take the new "
                "wording away.",
                place=stray[0],
            )
        )
    kept = [question for question in questions if question.id in choices.kept]
    found: dict[int, tuple[str, str]] = {}
    for question in kept:
        answer = choices.answers.get(question.id, question.answer or "")
        if not answer:
            raise InvalidInput(
                Sentence(
                    "Question %(place)s has no answer: give one, or drop the question.",
                    place=places[question.id],
                )
            )
        found[question.id] = (choices.edits.get(question.id, question.text), answer)
    _refuse_known(session, {places[key]: words for key, (words, _) in found.items()}, kept)
    return found


def _refuse_known(
    session: Session, wordings: Mapping[int, str], kept: Sequence[AskedQuestion]
) -> None:
    known: set[tuple[str, ...]] = set()
    if kept:
        of_items: Collection[str] = queries.list_item_questions(
            session, kept[0].project_id, kept[0].image_sha256
        )
        known = {question_key(text) for text in of_items}
    for place, wording in wordings.items():
        key = question_key(wording)
        if not key:
            raise InvalidInput(
                Sentence("Question %(place)s asks nothing: write what it asks.", place=place)
            )
        if key in known:
            raise SameQuestion(
                Sentence(
                    "Question %(place)s is asked of this image already: drop it, or ask something "
                    "else.",
                    place=place,
                )
            )
        known.add(key)
