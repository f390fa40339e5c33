"""Files that people send: who they are is asked first, and each person sends one at a time.

While a body comes in, which may take minutes, neither a place nor a connection of the database is
held; afterwards it is asked again whether the person may do this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from app import db
from app.errors import Conflict, NotSignedIn
from app.settings import get_settings
from app.storage import one_upload_of
from app.texts import Sentence
from app.web.access import ManagedProject, managed_project, readable_project
from app.web.deps import SIGN_IN_FIRST, CurrentUser, SessionDep, find_current_user, place_given_back
from app.web.inputs import check_form
from app.web.middleware import FORM_BYTES, allow_body


async def received_files(
    slug: str,
    request: Request,
    project: ManagedProject,  # noqa: ARG001 - the gate
    user: CurrentUser,
    session: SessionDep,
) -> AsyncIterator[FormData]:
    """The form with its files, for an admin of the project.

    Raises Conflict while another upload of the same person is on its way.
    """
    async with _alone(user.id):
        # The form around a file needs a little more.
        allow_body(request, (get_settings().max_upload_mb << 20) + FORM_BYTES)
        await run_sync(db.pause, session)
        async with place_given_back(request):
            form = await request.form()
        try:
            await run_sync(_ask_again, slug, request, session)
            yield check_form(form)
        finally:
            with anyio.CancelScope(shield=True):
                await form.close()


ReceivedFiles = Annotated[FormData, Depends(received_files, scope="function")]


@asynccontextmanager
async def _alone(user_id: int) -> AsyncIterator[None]:
    lock = one_upload_of(user_id)
    if not await run_sync(lock.take):
        raise Conflict(
            Sentence(
                "Another upload of yours is still on its way. Wait until it has arrived, then send "
                "this one."
            )
        )
    try:
        yield
    finally:
        lock.give_back()


def _ask_again(slug: str, request: Request, session: Session) -> None:
    """Much may have happened since the first bytes came. Raises as the gates do."""
    session.expire_all()
    user = find_current_user(request, session)
    if user is None:
        raise NotSignedIn(SIGN_IN_FIRST)
    managed_project(readable_project(slug, request, user, session), user, session)
