"""The pages of the practice round: one frozen dataclass each, built from query results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND, PracticeMode
from app.models import PracticeAnswer, PracticeAttempt, PracticeItem, Project, User
from app.opinions import NOTHING, Opinion
from app.queries.judging import practice as queries
from app.queries.judging.practice import PracticeFigures, PracticeRow
from app.queries.rounds.rounds import find_last_round
from app.services.judging import practice
from app.services.judging.keys import Key, keys_of
from app.services.judging.practice_items import MAX_CANDIDATES, Expected, Lesson, lesson_of
from app.services.projects.guidelines import Change
from app.web.assets.image_urls import image_url, srcset
from app.web.pages.judging.work import Choice
from app.web.render.guidelines_text import render_guidelines
from app.web.render.markdown import render_markdown

N_SPARE_ROWS = 2
"""Empty rows in the form of an item, for texts that an admin adds."""

_PRACTICE_ACTIONS = {"submit", "none", "wrong", "zoom", "guidelines", "keys"}


@dataclass(frozen=True)
class PracticeFrame:
    """The parts of the page around a practice item, as around a real one."""

    project_name: str
    project_slug: str
    guidelines: Markup
    keys: tuple[Key, ...]
    hints: Mapping[str, str]
    try_number: int
    place: int
    n_items: int
    # The panel of the guidelines is that of the judging page; these have no place here.
    shows_guidelines: bool = False
    news: Change | None = None
    practice_items: int = 0
    has_checks: bool = False


@dataclass(frozen=True)
class PracticeWork:
    """An item to practise on."""

    practice_item_id: int
    question: str
    answer: str
    image_url: str
    image_srcset: str
    image_width: int
    image_height: int
    choices: tuple[Choice, ...]
    none_fits: bool
    answer_is_wrong: bool
    error: str


@dataclass(frozen=True)
class Explained:
    """A text with what was said about it, what was expected, and why."""

    text: str
    fits: bool
    is_picked: bool
    explanation: str

    @property
    def is_right(self) -> bool:
        return self.fits == self.is_picked


@dataclass(frozen=True)
class Feedback:
    """One answer, explained."""

    question: str
    answer: str
    image_url: str
    image_srcset: str
    image_width: int
    image_height: int
    said_wrong: bool
    is_wrong: bool
    explanation: Markup
    candidates: tuple[Explained, ...]
    n_right: int
    n_asked: int
    is_last: bool

    @property
    def asks_for_verdicts(self) -> bool:
        """Whether verdicts on texts are expected: not where the answer itself is wrong."""
        return not self.is_wrong


@dataclass(frozen=True)
class ResultLine:
    answer_id: int
    question: str
    n_right: int
    n_asked: int


@dataclass(frozen=True)
class PracticeStart:
    """Before, between and after tries."""

    n_items: int
    is_required: bool
    pass_share: float
    number: int
    is_finished: bool
    is_passed: bool
    has_passed_before: bool
    share: float | None
    lines: tuple[ResultLine, ...]
    judge_url: str | None


@dataclass(frozen=True)
class PracticeAdmin:
    """The practice round as its admin sees it."""

    rows: list[PracticeRow]
    figures: PracticeFigures
    n_ready: int
    typed_id: str
    error: str
    rules_error: str


@dataclass(frozen=True)
class LessonPage:
    """The form of one practice item."""

    practice_item_id: int
    external_id: str
    question: str
    item_answer: str
    split: str
    image_url: str
    image_width: int
    image_height: int
    lesson: Lesson
    rows: tuple[Expected, ...]
    error: str
    errors: tuple[str, ...]


def build_frame(
    session: Session, project: Project, attempt: PracticeAttempt, *, n_before: int
) -> PracticeFrame:
    keys = tuple(
        key
        for key in keys_of(session.get_one(User, attempt.user_id))
        if key.action in _PRACTICE_ACTIONS or key.action.startswith("pick-")
    )
    return PracticeFrame(
        project_name=project.name,
        project_slug=project.slug,
        guidelines=render_guidelines(session, project),
        keys=keys,
        hints={key.action: key.shown for key in keys},
        try_number=attempt.number,
        place=n_before + 1,
        n_items=max(queries.count_ready(session, attempt.project_id), n_before + 1),
    )


def build_work(
    session: Session,
    project: Project,
    practice_item: PracticeItem,
    *,
    opinion: Opinion = NOTHING,
    error: str = "",
) -> PracticeWork:
    item, image = queries.get_item(session, practice_item)
    return PracticeWork(
        practice_item_id=practice_item.id,
        question=item.question,
        answer=practice_item.answer,
        image_url=image_url(project.slug, image.sha256),
        image_srcset=srcset(project.slug, image.sha256, image.width),
        image_width=image.width,
        image_height=image.height,
        choices=tuple(
            Choice(one.id, place, one.text, one.id in opinion.picked)
            for place, one in enumerate(queries.list_candidates(session, practice_item.id), start=1)
        ),
        none_fits=opinion.none_fits,
        answer_is_wrong=opinion.answer_is_wrong,
        error=error,
    )


def build_feedback(project: Project, given: PracticeAnswer, *, is_last: bool) -> Feedback:
    content: dict[str, Any] = given.content
    width, height = content["image_size"]
    return Feedback(
        question=content["question"],
        answer=content["answer"],
        image_url=image_url(project.slug, content["image_sha256"]),
        image_srcset=srcset(project.slug, content["image_sha256"], width),
        image_width=width,
        image_height=height,
        said_wrong=content["said"]["answer_is_wrong"],
        is_wrong=content["answer_is_wrong"],
        explanation=render_markdown(content["explanation"]),
        candidates=tuple(Explained(**one) for one in content["candidates"]),
        n_right=given.n_right,
        n_asked=given.n_asked,
        is_last=is_last,
    )


def build_start(
    session: Session, project: Project, user: User, attempt: PracticeAttempt | None
) -> PracticeStart:
    answers = queries.list_answers(session, attempt.id) if attempt else ()
    round_ = find_last_round(session, project.id)
    can_judge = round_ is not None and round_.status in JUDGEABLE_ROUND
    return PracticeStart(
        n_items=0
        if project.practice is PracticeMode.OFF
        else queries.count_ready(session, project.id),
        is_required=practice.is_due(session, project, user),
        pass_share=project.practice_pass_share,
        number=attempt.number if attempt else 0,
        is_finished=attempt is not None and attempt.finished_at is not None,
        is_passed=attempt is not None and attempt.is_passed,
        has_passed_before=queries.has_passed(session, project.id, user.id),
        share=practice.share_right(answers),
        lines=tuple(
            ResultLine(one.id, one.content["question"], one.n_right, one.n_asked) for one in answers
        ),
        judge_url=f"/rounds/{round_.id}/judge" if round_ and can_judge else None,
    )


def build_admin(
    session: Session,
    project: Project,
    *,
    typed_id: str = "",
    error: str = "",
    rules_error: str = "",
) -> PracticeAdmin:
    rows = queries.list_rows(session, project.id)
    return PracticeAdmin(
        rows=rows,
        figures=queries.get_figures(session, project.id),
        n_ready=sum(row.n_candidates > 0 for row in rows),
        typed_id=typed_id,
        error=error,
        rules_error=rules_error,
    )


def build_lesson_page(
    session: Session,
    project: Project,
    practice_item: PracticeItem,
    *,
    lesson: Lesson | None = None,
    error: str = "",
    errors: tuple[str, ...] = (),
) -> LessonPage:
    item, image = queries.get_item(session, practice_item)
    lesson = lesson or lesson_of(session, practice_item)
    n_spare = min(N_SPARE_ROWS, MAX_CANDIDATES - len(lesson.candidates))
    return LessonPage(
        practice_item_id=practice_item.id,
        external_id=item.external_id,
        question=item.question,
        item_answer=item.answer,
        split=item.split.value,
        image_url=image_url(project.slug, image.sha256),
        image_width=image.width,
        image_height=image.height,
        lesson=lesson,
        rows=(*lesson.candidates, *(Expected("", None) for _ in range(n_spare))),
        error=error,
        errors=errors,
    )
