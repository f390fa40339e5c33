"""History: one appended row per change that a person may later ask about."""

from typing import Any

from sqlalchemy.orm import Session

from app.models import Event


def record(
    session: Session,
    tag: str,
    *,
    project_id: int | None = None,
    round_id: int | None = None,
    actor_id: int | None = None,
    **details: Any,
) -> None:
    """Append an event, tag `noun:what:verb`, for example `round:status:changed`."""
    session.add(
        Event(tag=tag, project_id=project_id, round_id=round_id, actor_id=actor_id, details=details)
    )
