"""A person's own figures on their own page: nobody else's can be asked for, or come with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.check_score import CheckScore
from app.lifecycle import JUDGEABLE_ROUND
from app.models import User
from app.queries.quality.people import list_own_rounds
from app.web.pages.quality.records import PersonRound, read_records

N_ROUNDS = 10
LEAST_CHECKS = 6
"""With fewer check items a score says little, and could tell which items they were."""


@dataclass(frozen=True)
class OwnRoundLine:
    """How the reader judged in one round. `score`: None while that could tell check items."""

    project_name: str
    entry: PersonRound
    score: CheckScore | None


def build_own_figures(session: Session, user: User) -> Sequence[OwnRoundLine]:
    """Returns what was measured of a person in the newest rounds in which they judged."""
    rounds = list_own_rounds(session, user.id, sees_all=user.is_admin, limit=N_ROUNDS)
    record = read_records(session, rounds, user_id=user.id).get(user.id)
    measured = {entry.round_id: entry for entry in record.rounds} if record else {}
    return [
        OwnRoundLine(one.project_name, measured[one.id], _score(measured[one.id]))
        for one in rounds
        if one.id in measured
    ]


def _score(entry: PersonRound) -> CheckScore | None:
    """The score of a round whose judging is over; before, it would change with each check item."""
    checks = entry.together.checks
    if entry.status in JUDGEABLE_ROUND or checks.n_items < LEAST_CHECKS:
        return None
    return entry.together.score
