"""How fast people judge in a round, from a few of their newest judgements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Integer, Select, column, func, literal, select, true
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, UserKind
from app.models import Judgement, RoundAnnotator, RoundItem, User
from app.queries.counted import counted_judgements

RECENT = 50
"""So many of each person's newest judgements say how fast they are now."""
RECENT_DAYS = 7


@dataclass(frozen=True)
class PersonPace:
    """How many seconds a person's newest judgements took, and how many they submitted in all."""

    n_submitted: int
    seconds: Sequence[float]


def list_paces(session: Session, round_id: int) -> list[PersonPace]:
    """Returns the pace of each person who judged in a round."""
    newest = (
        select(counted_judgements.counted_ms.label("ms"))
        .where(
            counted_judgements.round_id == round_id,
            counted_judgements.user_id == RoundAnnotator.user_id,
            counted_judgements.submitted_at.is_not(None),
        )
        .order_by(counted_judgements.submitted_at.desc())
        .limit(RECENT)
        .lateral("newest")
    )
    rows = session.execute(
        select(RoundAnnotator.n_submitted, func.array_agg(newest.c.ms))
        .join(User, User.id == RoundAnnotator.user_id)
        .join(newest, true())
        .where(RoundAnnotator.round_id == round_id, User.kind == UserKind.PERSON)
        .group_by(RoundAnnotator.user_id, RoundAnnotator.n_submitted)
        .order_by(RoundAnnotator.user_id)
    )
    return [PersonPace(n, [ms / 1000 for ms in taken]) for n, taken in rows]


def count_by_day(session: Session, round_id: int, now: datetime) -> list[int]:
    """Returns how many judgements were submitted on each of the last days, of 24 hours back from
    now, the newest first; nothing of days before the first one.

    Counted from an index alone, person by person, and less those that do not count, of which there
    are few: so it takes a moment only, however many there are.
    """
    everything = dict(session.execute(_by_day(round_id, now)).all())
    of_others = dict(session.execute(_others_by_day(round_id, now)).all())
    counts = [everything.get(day, 0) - of_others.get(day, 0) for day in range(RECENT_DAYS)]
    while counts and not counts[-1]:
        counts.pop()
    return counts


def _by_day(round_id: int, now: datetime) -> Select[int, int]:
    days = (
        func.generate_series(0, RECENT_DAYS - 1)
        .table_valued(column("day", Integer))
        .render_derived(name="days")
    )
    end = literal(now, DateTime(timezone=True)) - days.c.day * literal(timedelta(days=1))
    of_person = (
        select(func.count().label("n"))
        .where(
            Judgement.round_id == round_id,
            Judgement.user_id == RoundAnnotator.user_id,
            Judgement.submitted_at > end - timedelta(days=1),
            Judgement.submitted_at <= end,
        )
        .lateral("of_person")
    )
    return (
        select(days.c.day, func.sum(of_person.c.n).cast(Integer))
        .select_from(days)
        .join(RoundAnnotator, RoundAnnotator.round_id == round_id)
        .join(of_person, true())
        .group_by(days.c.day)
    )


def _others_by_day(round_id: int, now: datetime) -> Select[int, int]:
    """Those of items that are not there for training."""
    age = func.extract("epoch", literal(now, DateTime(timezone=True)) - Judgement.submitted_at)
    day = func.floor(age / timedelta(days=1).total_seconds()).cast(Integer)
    return (
        select(day, func.count())
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .where(
            RoundItem.round_id == round_id,
            RoundItem.purpose != Purpose.TRAINING,
            Judgement.submitted_at > now - timedelta(days=RECENT_DAYS),
        )
        .group_by(day)
    )


def find_first_submission(session: Session, round_id: int) -> datetime | None:
    """Returns when the first judgement that stands was submitted; None where there is none."""
    oldest = (
        select(Judgement.submitted_at)
        .where(
            Judgement.round_id == round_id,
            Judgement.user_id == RoundAnnotator.user_id,
            Judgement.submitted_at.is_not(None),
        )
        .order_by(Judgement.submitted_at)
        .limit(1)
        .lateral("oldest")
    )
    first: datetime | None = session.scalar(
        select(func.min(oldest.c.submitted_at))
        .select_from(RoundAnnotator)
        .join(oldest, true())
        .where(RoundAnnotator.round_id == round_id)
    )
    return first
