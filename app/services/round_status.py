"""The one door for a round's status: checked against the table, and told in its history."""

from sqlalchemy.orm import Session

from app.events.rounds import RoundStatusChanged
from app.kit.errors import InvalidTransition
from app.kit.sentences import Sentence
from app.lifecycle import RoundStatus, can_advance
from app.models import Round, User
from app.queries.clock import DATABASE_TIME
from app.services.events import record


def advance(session: Session, round_: Round, status: RoundStatus, *, actor: User | None) -> None:
    """Give a round its next status. Raises InvalidTransition where the table does not allow it.

    The caller holds the round's row (`lock_round`).
    """
    if not can_advance(round_.status, status):
        raise InvalidTransition(
            Sentence(
                "Round %(number)s is %(old)s; it cannot become %(new)s.",
                number=round_.number,
                old=round_.status,
                new=status,
            )
        )
    record(
        session,
        RoundStatusChanged(old=round_.status, new=status),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=actor,
    )
    round_.status = status
    round_.status_changed_at = DATABASE_TIME
