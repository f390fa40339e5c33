"""What people see of their own work: today, their pace, their last items."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from app.lifecycle import JUDGEABLE_ROUND
from app.models import User
from app.queries import own_work
from app.queries.own_work import OwnItem
from app.services.judging import N_TAKE_BACK
from app.web.judge_contexts import MineRow, mine_row

N_DAYS = 14
LEAST_FOR_PACE = 3
"""With fewer items a pace says nothing."""


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
class MyWork:
    n_today: int
    seconds_today: float
    per_hour: float | None
    """Items per hour of active time, today."""
    median_seconds: float | None
    days: tuple[DayLine, ...]
    most_in_a_day: int
    lines: tuple[WorkLine, ...]
    n_take_back: int


def build_my_work(session: Session, user: User, *, today: datetime) -> MyWork:
    """`today` is when the day began where the reader is; its zone decides what a day is."""
    since = today - timedelta(days=N_DAYS - 1)
    days = own_work.list_days(
        session, user.id, sees_all=user.is_admin, since=since, zone=str(today.tzinfo)
    )
    now = next((day for day in days if day.day == today.date()), None)
    n_today = now.n_items if now else 0
    active_ms = now.active_ms if now else 0
    says_pace = n_today >= LEAST_FOR_PACE and active_ms > 0
    median = (
        own_work.median_active_ms(session, user.id, sees_all=user.is_admin, since=today)
        if says_pace
        else None
    )
    last = own_work.list_last(session, user.id, sees_all=user.is_admin, limit=N_TAKE_BACK)
    return MyWork(
        n_today=n_today,
        seconds_today=active_ms / 1000,
        per_hour=n_today / (active_ms / 3_600_000) if says_pace else None,
        median_seconds=None if median is None else median / 1000,
        days=tuple(
            DayLine(day.day, day.day == today.date(), day.n_items, day.active_ms / 60_000)
            for day in days
        ),
        most_in_a_day=max((day.n_items for day in days), default=0),
        lines=tuple(_line(item) for item in last),
        n_take_back=N_TAKE_BACK,
    )


def _line(item: OwnItem) -> WorkLine:
    is_judgeable = item.round_status in JUDGEABLE_ROUND
    return WorkLine(
        mine_row(item.row, item.project_slug, is_judgeable=is_judgeable), item.project_name
    )
