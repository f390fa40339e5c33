"""A person's own work as pages show it: in one round, and over all with today and their pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND, JudgementStatus
from app.models import Project, Round, User
from app.opinions import remarks_of
from app.queries.judging import own_work
from app.queries.judging.own_work import OwnItem, OwnRow
from app.reading_time import LEAST_MS, PICTURE_MS, READ_PER_MINUTE, TIMES
from app.services.judging.judgements import N_TAKE_BACK
from app.services.judging.opinions import opinion_of
from app.web.assets.image_urls import image_url
from app.web.pages.judging.own_figures import OwnRoundLine, build_own_figures
from app.web.pages.judging.own_questions import OwnQuestionsLine, list_own_questions
from app.web.pages.judging.words import STATUS_WORDS, describe

N_DAYS = 14
LEAST_FOR_PACE = 3
"""With fewer items a pace says nothing."""


@dataclass(frozen=True)
class MineRow:
    judgement_id: int
    label: str
    kind: str
    question: str
    answer: str
    image_url: str
    verdict: str
    at: datetime
    can_take_back: bool
    can_resume: bool
    remarks: tuple[str, ...]
    """The labels of what was set beside the verdicts."""


@dataclass(frozen=True)
class MinePage:
    """A person's own judgements in a round."""

    project_name: str
    round_id: int
    round_number: int
    is_judgeable: bool
    n_in_round: int
    n_today: int
    rows: tuple[MineRow, ...]
    questions: Sequence[OwnQuestionsLine]
    """Their decisions on what the model asked in this round."""
    n_take_back: int


@dataclass(frozen=True)
class DayLine:
    day: date
    is_today: bool
    n_items: int
    minutes: float


@dataclass(frozen=True)
class WorkLine:
    row: MineRow
    project_name: str


@dataclass(frozen=True)
class TimeRule:
    """How time at an item is counted, for the sentence that says it."""

    times: int = TIMES
    picture_seconds: int = PICTURE_MS // 1000
    words_per_minute: int = READ_PER_MINUTE
    least_seconds: int = LEAST_MS // 1000


@dataclass(frozen=True)
class MyWork:
    n_today: int
    seconds_today: float
    per_hour: float | None
    """Items per hour of counted time, today."""
    median_seconds: float | None
    days: tuple[DayLine, ...]
    most_in_a_day: int
    lines: tuple[WorkLine, ...]
    questions: Sequence[OwnQuestionsLine]
    n_take_back: int
    rule: TimeRule
    figures: Sequence[OwnRoundLine]
    """As they were measured; empty where nothing was."""


def build_mine(
    session: Session, project: Project, round_: Round, user: User, *, today: datetime
) -> MinePage:
    own = own_work.list_own(session, round_.id, user.id, limit=N_TAKE_BACK)
    n_in_round, n_today = own_work.count_own(session, round_.id, user.id, since=today)
    is_judgeable = round_.status in JUDGEABLE_ROUND
    return MinePage(
        project_name=project.name,
        round_id=round_.id,
        round_number=round_.number,
        is_judgeable=is_judgeable,
        n_in_round=n_in_round,
        n_today=n_today,
        rows=tuple(mine_row(row, project.slug, is_judgeable=is_judgeable) for row in own),
        questions=list_own_questions(session, user, sees_all=True, round_id=round_.id),
        n_take_back=N_TAKE_BACK,
    )


def build_my_work(session: Session, user: User, *, today: datetime) -> MyWork:
    """Builds the page of a person's own work; `today` is when the day began where the reader is,
    and its zone decides what a day is.
    """
    since = today - timedelta(days=N_DAYS - 1)
    days = own_work.list_days(
        session, user.id, sees_all=user.is_admin, since=since, zone=str(today.tzinfo)
    )
    now = next((day for day in days if day.day == today.date()), None)
    n_today = now.n_items if now else 0
    counted_ms = now.counted_ms if now else 0
    says_pace = n_today >= LEAST_FOR_PACE and counted_ms > 0
    median = (
        own_work.median_counted_ms(session, user.id, sees_all=user.is_admin, since=today)
        if says_pace
        else None
    )
    last = own_work.list_last(session, user.id, sees_all=user.is_admin, limit=N_TAKE_BACK)
    return MyWork(
        n_today=n_today,
        seconds_today=counted_ms / 1000,
        per_hour=n_today / (counted_ms / 3_600_000) if says_pace else None,
        median_seconds=None if median is None else median / 1000,
        days=tuple(
            DayLine(day.day, day.day == today.date(), day.n_items, day.counted_ms / 60_000)
            for day in days
        ),
        most_in_a_day=max((day.n_items for day in days), default=0),
        lines=tuple(_line(item) for item in last),
        questions=list_own_questions(session, user, sees_all=user.is_admin),
        n_take_back=N_TAKE_BACK,
        rule=TimeRule(),
        figures=build_own_figures(session, user),
    )


def _line(item: OwnItem) -> WorkLine:
    is_judgeable = item.round_status in JUDGEABLE_ROUND
    return WorkLine(
        mine_row(item.row, item.project_slug, is_judgeable=is_judgeable), item.project_name
    )


def mine_row(row: OwnRow, slug: str, *, is_judgeable: bool) -> MineRow:
    judgement = row.judgement
    label, kind = STATUS_WORDS[judgement.status]
    return MineRow(
        judgement_id=judgement.id,
        label=label,
        kind=kind,
        question=row.question,
        answer=row.answer,
        image_url=image_url(slug, row.image_sha256, 160),
        verdict=describe(judgement),
        at=judgement.submitted_at or judgement.updated_at,
        can_take_back=is_judgeable and judgement.status is JudgementStatus.SUBMITTED,
        can_resume=is_judgeable and judgement.status is not JudgementStatus.SUBMITTED,
        remarks=remarks_of(opinion_of(judgement)),
    )
