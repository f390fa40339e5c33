"""History: one appended row per change that a person may later ask about."""

from sqlalchemy.orm import Session

from app.events import BaseEvent
from app.models import Event, User


def record(
    session: Session,
    event: BaseEvent,
    *,
    project_id: int | None = None,
    round_id: int | None = None,
    actor: User | int | None = None,
) -> None:
    """Append an event to the history. `actor` is the person who did it, or their id; None where
    the installation did it by itself, or somebody at its command line."""
    session.add(row_of(event, project_id=project_id, round_id=round_id, actor=actor))


def row_of(
    event: BaseEvent,
    *,
    project_id: int | None = None,
    round_id: int | None = None,
    actor: User | int | None = None,
) -> Event:
    """Returns the row of an event, in no session. Every row of the history is made here.

    It is for a statement that writes the row beside others; everything else calls `record`.
    """
    return Event(
        tag=event.tag,
        project_id=project_id,
        round_id=round_id,
        actor_id=actor.id if isinstance(actor, User) else actor,
        details=event.details(),
    )
