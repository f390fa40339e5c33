"""The practice round as its admin writes it: its items, expected verdicts and rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.events.judging import (
    PracticeChanged,
    PracticeItemAdded,
    PracticeItemRemoved,
    PracticeItemSaved,
)
from app.kit.errors import InvalidInput, NotFound
from app.kit.sentences import Amount, Sentence
from app.kit.texts import collapse, is_unchanged, plain_lines
from app.lifecycle import PracticeMode
from app.models import Item, PracticeCandidate, PracticeItem, Project, User
from app.queries.dataset.items import find_item_by_external_id
from app.queries.judging import practice as queries
from app.same_text import text_key
from app.services.events import record

MAX_CANDIDATES = 10
"""As many as there are digit keys, and as a round shows at most."""
MAX_TEXT = 2000


@dataclass(frozen=True)
class Expected:
    """A text with its verdict and the reason; `fits` is None while nobody has said."""

    text: str
    fits: bool | None
    explanation: str = ""


@dataclass(frozen=True)
class Lesson:
    """All that an admin writes about one practice item."""

    position: int
    answer: str
    answer_is_wrong: bool
    explanation: str
    candidates: tuple[Expected, ...]


def update_rules(
    session: Session, project: Project, *, mode: PracticeMode, pass_share: float, actor: User
) -> None:
    """Set whether practice is required, offered or off, and from which share it is passed."""
    if not 0 <= pass_share <= 1:
        raise InvalidInput(Sentence("The share of right verdicts is between 0 and 100 %%."))
    if (mode, pass_share) == (project.practice, project.practice_pass_share):
        return
    project.practice, project.practice_pass_share = mode, pass_share
    record(
        session,
        PracticeChanged(mode=mode, pass_share=pass_share),
        project_id=project.id,
        actor=actor,
    )


def add_by_external_id(
    session: Session, project: Project, external_id: str, *, actor: User | None
) -> PracticeItem:
    item = find_item_by_external_id(session, project.id, external_id.strip())
    if item is None:
        raise InvalidInput(Sentence("This project has no item with that id."))
    return add_item(session, project, item, actor=actor)


def add_item(session: Session, project: Project, item: Item, *, actor: User | None) -> PracticeItem:
    """Choose an item. Nobody sees it before its texts are written (`save_lesson`)."""
    if item.project_id != project.id:
        raise NotFound(Sentence("There is no such item in this project."))
    existing = queries.find_of_item(session, project.id, item.id)
    if existing is not None:
        return existing
    practice_item = PracticeItem(
        project_id=project.id,
        item_id=item.id,
        position=queries.last_position(session, project.id) + 1,
        answer=item.answer,
    )
    session.add(practice_item)
    session.flush()  # its page is named by its id
    record(session, PracticeItemAdded(item_id=item.id), project_id=project.id, actor=actor)
    return practice_item


def suggest(session: Session, practice_item: PracticeItem) -> Lesson:
    """Returns a first lesson for the form: gold rationales, and model texts without verdict."""
    item, _ = queries.get_item(session, practice_item)
    texts: dict[str, Expected] = {}
    for text in item.gold_rationales:
        texts.setdefault(text_key(text), Expected(text, fits=True))
    for text in queries.list_model_texts(session, item.id, MAX_CANDIDATES):
        texts.setdefault(text_key(text), Expected(text, fits=None))
    return Lesson(
        position=practice_item.position,
        answer=practice_item.answer,
        answer_is_wrong=practice_item.answer_is_wrong,
        explanation=practice_item.explanation,
        candidates=tuple(texts.values())[:MAX_CANDIDATES],
    )


def lesson_of(session: Session, practice_item: PracticeItem) -> Lesson:
    """Returns the lesson as stored or, for an item without texts yet, as suggested."""
    candidates = queries.list_candidates(session, practice_item.id)
    if not candidates:
        return suggest(session, practice_item)
    return Lesson(
        position=practice_item.position,
        answer=practice_item.answer,
        answer_is_wrong=practice_item.answer_is_wrong,
        explanation=practice_item.explanation,
        candidates=tuple(Expected(one.text, one.fits, one.explanation) for one in candidates),
    )


def save_lesson(
    session: Session, practice_item: PracticeItem, lesson: Lesson, *, actor: User | None
) -> None:
    """Store what is taught; what was not changed in the form stays to the byte.

    Raises InvalidInput with one line per thing that is missing.
    """
    before = lesson_of(session, practice_item)
    shown = [text for one in before.candidates for text in (one.text, one.explanation)]
    candidates = _checked_candidates(lesson, shown)
    if not collapse(lesson.answer):
        raise InvalidInput(Sentence("The answer that is shown is missing."))
    practice_item.position = lesson.position
    practice_item.answer = _kept(lesson.answer, [before.answer])
    practice_item.answer_is_wrong = lesson.answer_is_wrong
    practice_item.explanation = _checked_text(lesson.explanation, [before.explanation])
    queries.delete_candidates(session, practice_item.id)
    session.add_all(
        PracticeCandidate(
            practice_item_id=practice_item.id,
            position=position,
            text=one.text,
            fits=bool(one.fits),
            explanation=one.explanation,
        )
        for position, one in enumerate(candidates, start=1)
    )
    record(
        session,
        PracticeItemSaved(practice_item_id=practice_item.id),
        project_id=practice_item.project_id,
        actor=actor,
    )


def remove_item(session: Session, practice_item: PracticeItem, *, actor: User) -> None:
    """Take an item out of practice, with what was said about it."""
    record(
        session,
        PracticeItemRemoved(item_id=practice_item.item_id),
        project_id=practice_item.project_id,
        actor=actor,
    )
    session.delete(practice_item)


def _checked_candidates(lesson: Lesson, shown: Sequence[str]) -> list[Expected]:
    """Returns the candidates that have a text. Raises InvalidInput where a verdict is missing."""
    written = [one for one in lesson.candidates if collapse(one.text)]
    errors: list[str] = []
    if not written:
        errors.append(Sentence("At least one rationale is needed."))
    if len(written) > MAX_CANDIDATES:
        errors.append(Sentence("At most %(n)s rationales can be shown.", n=MAX_CANDIDATES))
    if len({text_key(one.text) for one in written}) < len(written):
        errors.append(Sentence("Two of the rationales are the same."))
    for number, one in enumerate(written, start=1):
        if one.fits is None and not lesson.answer_is_wrong:
            errors.append(Sentence("Rationale %(number)s: does it fit or not?", number=number))
    if errors:
        raise InvalidInput(Sentence("Not saved."), errors=errors)
    return [
        Expected(_kept(one.text, shown), bool(one.fits), _checked_text(one.explanation, shown))
        for one in written
    ]


def _checked_text(text: str, shown: Sequence[str]) -> str:
    text = _kept(text, shown)
    if len(text) > MAX_TEXT:
        raise InvalidInput(
            Sentence("An explanation is longer than %(n)s characters.", n=Amount(MAX_TEXT))
        )
    return text


def _kept(text: str, shown: Sequence[str]) -> str:
    """The text as it stood in the form, where it came back unchanged; else without outer blanks."""
    same = (old for old in shown if is_unchanged(text, old))
    return next(same, plain_lines(text).strip())
