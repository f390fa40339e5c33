"""Dependencies of handlers: a database session, and the person behind the request.

The session is function-scoped: it commits after the handler and *before* the answer leaves, so that
nobody is told of a change that then fails to be stored.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.db import finish, get_session_factory, run_callbacks
from app.kit.errors import AccountClosed, NotAllowed, NotSignedIn
from app.kit.outages import Outage
from app.kit.sentences import Sentence
from app.lifecycle import UserKind
from app.models import User
from app.queries.accounts.users import find_signed_in
from app.services.accounts.accounts import hash_token
from app.web.http.sessions import get_cookies

N_PLACES = 6
PLACE_SECONDS = 9.0
"""Whoever waits longer for a place is asked to come again: browsers give up soon after."""


def make_places() -> anyio.Semaphore:
    """Returns the limiter of requests of one process that work with the database at a time.

    A request takes a thread for each step and keeps its connection in between. Without this limit,
    a crowd could take all connections, wait for all threads, and be stuck; and many transactions at
    once cost the database more than the same ones one after the other. Those who wait hold nothing,
    and come in their order.
    """
    return anyio.Semaphore(N_PLACES, fast_acquire=True)


async def get_session(request: Request) -> AsyncIterator[Session]:
    """One unit of work: commits when the handler has answered, rolls back when it raised.

    What is to be done after the commit comes when connection and place are given back.
    """
    places: anyio.Semaphore = request.app.state.places
    await _take_place(places)
    try:
        session = get_session_factory()()
        is_done = False
        try:
            yield session
            is_done = True
        finally:
            # Also when the server is stopping: a connection is given back in order.
            with anyio.CancelScope(shield=True):
                callbacks = await run_sync(finish, session, is_done)
    finally:
        places.release()
    if callbacks:
        await run_sync(run_callbacks, callbacks)


async def _take_place(places: anyio.Semaphore) -> None:
    with anyio.move_on_after(PLACE_SECONDS) as waiting:
        await places.acquire()
    if waiting.cancelled_caught:
        raise Outage("crowd")


@asynccontextmanager
async def place_given_back(request: Request) -> AsyncIterator[None]:
    """Lets others work with the database while this request waits for its sender."""
    places: anyio.Semaphore = request.app.state.places
    places.release()
    try:
        yield
    finally:
        # `get_session` gives it back at the end, whatever happens here.
        with anyio.CancelScope(shield=True):
            await places.acquire()


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


SIGN_IN_FIRST = Sentence("Please sign in to see this page.")
ACCOUNT_CLOSED = Sentence(
    "Your account was closed. Ask an administrator to open it again; what you chose before is kept."
)


@dataclass(frozen=True)
class Viewer:
    """The person signed in, as templates know them. A copy: error pages come after the session."""

    id: int
    name: str
    is_admin: bool
    language: str | None = None


def find_current_user(request: Request, session: SessionDep) -> User | None:
    mark = get_cookies(request).read_session(request)
    user = find_signed_in(session, mark.user_id, hash_token(mark.key)) if mark else None
    return user if user and may_come_in(request, user) else None


def may_come_in(request: Request, user: User) -> bool:
    """Whether an account is one of a person and open; templates know the person from then on."""
    if user.kind != UserKind.PERSON or user.disabled_at is not None:
        return False
    request.state.viewer = Viewer(user.id, user.name, user.is_admin, user.language)
    return True


def explain_refusal(request: Request, session: Session) -> NotSignedIn:
    """Returns the error for who asks without a session that holds: the account may be closed."""
    mark = get_cookies(request).read_session(request)
    user = session.get(User, mark.user_id) if mark else None
    if user is not None and user.disabled_at is not None:
        return AccountClosed(ACCOUNT_CLOSED)
    return NotSignedIn(SIGN_IN_FIRST)


OptionalUser = Annotated[User | None, Depends(find_current_user)]


# Nothing to wait for in these two: as coroutines they need no thread.
async def get_current_user(user: OptionalUser) -> User:
    if user is None:
        raise NotSignedIn(SIGN_IN_FIRST)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_admin_user(user: CurrentUser) -> User:
    if not user.is_admin:
        raise NotAllowed(Sentence("Only an administrator of this installation can do that."))
    return user


AdminUser = Annotated[User, Depends(get_admin_user)]
