"""Finding the person who asks: the parts that the look-ups of all gates have in common.

Each gate asks one statement for the person and for what they want. There is one of it for each way
in which a request can show who sends it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, true
from sqlalchemy.orm import Session

from app.models import ApiToken, Membership, Project, SignInSession, User
from app.principal import CameBy, Credential

Statement = Select[*tuple[Any, ...]]

NOTED_HOURS = 1
"""The last use of a token is noted no more often than this: reading stays reading."""


@dataclass(frozen=True, slots=True)
class Way:
    """The columns of a statement that depend on how a request shows who sends it."""

    user_id: ColumnElement[int]
    """Whom the request names: a session by its cookie, a token by its row."""
    is_good: ColumnElement[bool]
    """Whether the session has not ended, or the token is neither revoked nor expired."""
    is_noted: ColumnElement[bool]
    """Whether the use of a token was noted just now; nothing is noted of sessions."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A person who asks, looked up by what their request shows."""

    user: User
    is_signed_in: bool
    is_use_noted: bool


IS_LIVE = and_(
    ApiToken.revoked_at.is_(None),
    or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now()),
)
IS_NOTED = ApiToken.used_at > func.now() - timedelta(hours=NOTED_HOURS)

IS_MEMBER = and_(Membership.project_id == Project.id, Membership.user_id == User.id)
"""Joins the membership of the person who asks in the project that they ask about."""

_OF_SESSION = SignInSession.key_hash == bindparam("key_hash")
_OF_TOKEN = ApiToken.token_hash == bindparam("key_hash")
WAYS = {
    CameBy.SESSION: Way(
        user_id=bindparam("user_id"),
        is_good=select(SignInSession.id)
        .where(SignInSession.user_id == User.id, _OF_SESSION)
        .exists(),
        is_noted=true(),
    ),
    CameBy.TOKEN: Way(
        user_id=select(ApiToken.user_id).where(_OF_TOKEN).scalar_subquery(),
        is_good=select(ApiToken.id).where(_OF_TOKEN, IS_LIVE).exists(),
        is_noted=select(ApiToken.id).where(_OF_TOKEN, IS_NOTED).exists(),
    ),
}


def for_each_way(build: Callable[[Way], Statement]) -> Mapping[CameBy, Statement]:
    """Returns the statement that `build` makes, for each way in which a person may ask."""
    return {came_by: build(way) for came_by, way in WAYS.items()}


def parameters_of(credential: Credential) -> dict[str, object]:
    """Returns the values that the columns of a way need."""
    if credential.came_by is CameBy.TOKEN:
        return {"key_hash": credential.key_hash}
    return {"key_hash": credential.key_hash, "user_id": credential.user_id}


_ASKING = for_each_way(
    lambda way: select(User, way.is_good, way.is_noted).where(User.id == way.user_id)
)


def find_asking(session: Session, credential: Credential) -> Asking | None:
    """Returns the person whose session or token it is, also where that is over; None for nobody."""
    row = session.execute(_ASKING[credential.came_by], parameters_of(credential)).one_or_none()
    return Asking(*row) if row else None
