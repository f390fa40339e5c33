"""API tokens: look-ups, and the note of their last use."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, not_, or_, select, update
from sqlalchemy.orm import Session

from app.models import ApiToken, User
from app.queries.accounts.asking import IS_NOTED


def find_token(session: Session, token_hash: str) -> tuple[ApiToken, User] | None:
    """Returns a token, good or over, with its person; None where there is none of this hash."""
    row = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == token_hash)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def list_tokens(session: Session, user_id: int | None = None) -> Sequence[tuple[ApiToken, User]]:
    """Returns all tokens, or those of one person, with their people; the oldest first."""
    statement = select(ApiToken, User).join(User, User.id == ApiToken.user_id).order_by(ApiToken.id)
    if user_id is not None:
        statement = statement.where(User.id == user_id)
    return [(token, user) for token, user in session.execute(statement)]


def revoke_tokens(session: Session, user_id: int, *, now: datetime) -> None:
    """Make all tokens of a person worthless."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def note_use(session: Session, token_hash: str) -> None:
    """Write down that a token is used now, unless that was done just before."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.token_hash == token_hash, or_(ApiToken.used_at.is_(None), not_(IS_NOTED)))
        .values(used_at=func.now())
    )
