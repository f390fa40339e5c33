"""Dependencies of handlers: a database session, and the person behind the request.

A person is looked up once per request: by the first gate, together with what it guards, or here.

The session is function-scoped: it commits after the handler and *before* the answer leaves, so that
nobody is told of a change that then fails to be stored.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Protocol, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.db import finish, get_session_factory, on_commit, run_callbacks
from app.kit.errors import (
    AccountClosed,
    NotAllowed,
    NotFound,
    NotSignedIn,
    SessionNeeded,
    TokenUnknown,
)
from app.kit.outages import Outage
from app.kit.sentences import Sentence
from app.lifecycle import UserKind
from app.models import User
from app.principal import CameBy, Credential, Principal
from app.queries.accounts.asking import find_asking
from app.services.accounts import tokens
from app.services.accounts.accounts import hash_token
from app.web.http.bearer import HEADER, comes_with_token, read_token
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
    """Opens a session for one request: commits when the handler has answered, rolls back when it
    raised.

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
SEND_A_TOKEN = Sentence("Sign in, or send `Authorization: Bearer TOKEN` with a token of yours.")
ACCOUNT_CLOSED = Sentence(
    "Your account was closed. Ask an administrator to open it again; what you chose before is kept."
)


class Asking(Protocol):
    """A person who asks, as a look-up of a gate finds them."""

    @property
    def user(self) -> User: ...

    @property
    def is_signed_in(self) -> bool: ...

    @property
    def is_use_noted(self) -> bool: ...


Found = TypeVar("Found", bound=Asking)
Refuse = Callable[[Request, Session], NotSignedIn]


def read_credential(request: Request) -> Credential | None:
    """Returns what the request shows of who sends it: a token, or else a session. None for neither.

    Raises TokenUnknown for a header that cannot hold one of our tokens.
    """
    token = read_token(request.headers)
    if token is not None:
        # Tokens are too long to be guessed: whoever tries is answered at once, and not counted.
        if not tokens.could_be_token(token):
            raise TokenUnknown(tokens.UNKNOWN)
        return Credential(CameBy.TOKEN, hash_token(token))
    mark = get_cookies(request).read_session(request)
    return Credential(CameBy.SESSION, hash_token(mark.key), mark.user_id) if mark else None


def let_in(
    request: Request,
    session: Session,
    find: Callable[[Credential], Found | None],
    *,
    missing: str,
    refuse: Refuse,
) -> Found:
    """Returns what a gate looks up together with who asks for it, for somebody who may come in.

    Raises NotFound with the sentence `missing` where there is nothing. Whoever is not signed in
    gets the error that `refuse` returns, whether there is something or not.
    """
    credential = read_credential(request)
    found = find(credential) if credential else None
    if credential and found and _may_come_in(request, session, credential, found):
        # Kept for the whole request: the session forgets what nobody holds, and handlers ask again.
        request.state.found = found
        return found
    if found or not find_current_user(request, session):
        raise refuse(request, session)
    raise NotFound(missing)


def find_current_user(request: Request, session: SessionDep) -> User | None:
    """Returns the person who asks, or None. Raises NotSignedIn for a token that opens nothing."""
    known: User | None = getattr(request.state, "asking_user", None)
    if known is not None:
        return known
    credential = read_credential(request)
    asking = find_asking(session, credential) if credential else None
    if credential and asking and _may_come_in(request, session, credential, asking):
        return asking.user
    if credential and credential.came_by is CameBy.TOKEN:
        raise tokens.explain_refusal(session, credential.key_hash)
    return None


def ask_again_who_it_is(request: Request) -> None:
    """Let the next gate look up anew who asks: the person may have lost what they had."""
    request.state.asking_user = None


def _may_come_in(
    request: Request, session: Session, credential: Credential, asking: Asking
) -> bool:
    """Whether it is a person with an open account who asks. The request knows them from then on."""
    user = asking.user
    if not asking.is_signed_in or user.kind != UserKind.PERSON or user.disabled_at is not None:
        return False
    request.state.asking_user = user
    request.state.principal = Principal(
        user.id, user.name, user.is_admin, user.language, credential.came_by
    )
    if not asking.is_use_noted:
        on_commit(session, partial(tokens.note_use, credential.key_hash))
    return True


def not_signed_in(request: Request, session: Session) -> NotSignedIn:
    """Returns the error for who asks without a session that holds, or with a token that is over."""
    credential = read_credential(request)
    if credential and credential.came_by is CameBy.TOKEN:
        return tokens.explain_refusal(session, credential.key_hash)
    return _sign_in_first(request)


def _sign_in_first(request: Request) -> NotSignedIn:
    is_program = HEADER in request.headers
    return NotSignedIn(SEND_A_TOKEN if is_program else SIGN_IN_FIRST)


def not_signed_in_or_closed(request: Request, session: Session) -> NotSignedIn:
    """Returns the error for who asks without a session that holds: the account may be closed."""
    credential = read_credential(request)
    if credential and credential.came_by is CameBy.SESSION:
        user = session.get(User, credential.user_id)
        if user is not None and user.disabled_at is not None:
            return AccountClosed(ACCOUNT_CLOSED)
    return not_signed_in(request, session)


OptionalUser = Annotated[User | None, Depends(find_current_user)]


# Nothing to wait for in these two: as coroutines they need no thread.
async def get_current_user(request: Request, user: OptionalUser) -> User:
    if user is None:
        raise _sign_in_first(request)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_admin_user(user: CurrentUser) -> User:
    if not user.is_admin:
        raise NotAllowed(Sentence("Only an administrator of this installation can do that."))
    return user


AdminUser = Annotated[User, Depends(get_admin_user)]


def require_session(request: Request, session: SessionDep) -> None:
    """Refuse tokens where passwords, links and sessions are made: nobody gets in for longer by one.

    Raises SessionNeeded, or NotSignedIn for a token that opens nothing anywhere.
    """
    if comes_with_token(request.headers):
        find_current_user(request, session)
        raise SessionNeeded(
            Sentence("A token cannot do this. Sign in with a browser and do it there.")
        )
