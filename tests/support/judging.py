"""What the gates of the judging pages hand to the services, for tests that call those directly."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.models import Judgement, Round, User
from app.opinions import Opinion
from app.principal import CameBy, Credential
from app.queries.judging.access import LockedItem, lock_own_item
from app.services.judging import judgements, opening


def locked(session: Session, judgement: Judgement) -> LockedItem:
    """The judgement with all that its author's actions lock."""
    author = Credential(CameBy.SESSION, "", judgement.user_id)
    found = lock_own_item(session, judgement.id, author)
    assert found is not None
    return found


def submit(
    session: Session,
    judgement: Judgement,
    *,
    version: int | None = None,
    active_ms: int = 0,
    now: datetime | None = None,
    **says: Any,
) -> Judgement:
    """Submit an opinion made of the fields in `says`."""
    judgements.submit(
        session,
        locked(session, judgement),
        Opinion(**says),
        version=judgement.version if version is None else version,
        active_ms=active_ms,
        now=now,
    )
    return judgement


def open_item(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement:
    """Reserve the next item of a round, of which there must be one, for a person."""
    judgement = opening.open_next_item(session, round_, user, now=now)
    assert judgement is not None
    return judgement
