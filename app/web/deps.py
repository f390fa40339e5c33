"""What handlers ask for: a session, and the person behind the request.

The session is function-scoped: it commits after the handler and *before* the answer leaves, so that
nobody is told of a change that then fails to be stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.db import session_scope
from app.errors import NotAllowed, NotSignedIn
from app.lifecycle import UserKind
from app.models import User
from app.texts import Sentence
from app.web.sessions import get_cookies


def get_session() -> Iterator[Session]:
    with session_scope() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


@dataclass(frozen=True)
class Viewer:
    """What templates know of the person signed in. A copy: error pages come after the session."""

    id: int
    name: str
    is_admin: bool
    language: str | None = None


def find_current_user(request: Request, session: SessionDep) -> User | None:
    mark = get_cookies(request).read_session(request)
    user = session.get(User, mark.user_id) if mark else None
    if (
        mark is None
        or user is None
        or user.kind != UserKind.PERSON
        or user.disabled_at is not None
        or user.session_number != mark.session_number
    ):
        return None
    request.state.viewer = Viewer(user.id, user.name, user.is_admin, user.language)
    return user


OptionalUser = Annotated[User | None, Depends(find_current_user)]


# Nothing to wait for in these two: as coroutines they need no thread.
async def get_current_user(user: OptionalUser) -> User:
    if user is None:
        raise NotSignedIn("Please sign in to see this page.")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_admin_user(user: CurrentUser) -> User:
    if not user.is_admin:
        raise NotAllowed(Sentence("Only an administrator of this installation can do that."))
    return user


AdminUser = Annotated[User, Depends(get_admin_user)]
