"""What the gates of the judging pages hand to the services, for tests that call those directly."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.models import Judgement
from app.queries.judging.judgements import LockedItem, lock_own_item
from app.services.judging import judgements


def locked(session: Session, judgement: Judgement) -> LockedItem:
    """The judgement with all that its author's actions lock."""
    place = lock_own_item(session, judgement.id, judgement.user_id, "")
    assert place is not None
    return place


def content(**changes: Any) -> dict[str, Any]:
    """What an answer says: nothing, but for the changes."""
    return {
        "picked": [],
        "none_fits": False,
        "answer_is_wrong": False,
        "comment": "",
        "is_flagged": False,
        "active_ms": 0,
        **changes,
    }


def submit(
    session: Session,
    judgement: Judgement,
    *,
    version: int | None = None,
    now: datetime | None = None,
    **changes: Any,
) -> Judgement:
    return judgements.submit(
        session,
        locked(session, judgement),
        version=judgement.version if version is None else version,
        now=now,
        **content(**changes),
    )
