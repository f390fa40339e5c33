"""What the gates of the judging pages hand to the services, for tests that call those directly."""

from sqlalchemy.orm import Session

from app.models import Judgement
from app.queries.judging import LockedItem, lock_own_item


def locked(session: Session, judgement: Judgement) -> LockedItem:
    """The judgement with all that its author's actions lock."""
    place = lock_own_item(session, judgement.id, judgement.user_id)
    assert place is not None
    return place
