"""The part of a round's page that says how much judging is left, while people judge."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Round
from app.queries.clock import read_clock
from app.queries.rounds import pace
from app.queries.rounds.progress import RoundProgress
from app.services.quality.forecast import EndOfJudging, HoursLeft, forecast_end, forecast_hours

SOON = timedelta(days=2)


@dataclass(frozen=True)
class ForecastPart:
    """How much judging is left; `hours` is None where nobody was timed yet, `end` where nobody
    judged in the last days."""

    n_left: int
    hours: HoursLeft | None
    end: EndOfJudging | None
    is_soon: bool
    """Whether the end is near enough to be told in hours."""
    seconds_to_end: float
    n_recent: int = pace.RECENT


def forecast_part(session: Session, round_: Round, progress: RoundProgress) -> ForecastPart | None:
    """Returns what is expected; None where nothing is left, or where nobody judges any more."""
    if round_.status not in {RoundStatus.GENERATING, RoundStatus.JUDGING} or not progress.n_left:
        return None
    hours = forecast_hours(progress.n_left, pace.list_paces(session, round_.id))
    began_at = pace.find_first_submission(session, round_.id)
    end = None
    now = read_clock(session)
    if began_at is not None:
        by_day = pace.count_by_day(session, round_.id, now)
        end = forecast_end(progress.n_left, by_day, now, began_at=began_at)
    away = end.at - now if end else SOON
    return ForecastPart(
        n_left=progress.n_left,
        hours=hours,
        end=end,
        is_soon=away < SOON,
        seconds_to_end=away.total_seconds(),
    )
