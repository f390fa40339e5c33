"""Files that people send: who they are is asked first, and each person sends one at a time.

While a body comes in, which may take minutes, neither a place nor a connection of the database is
held; afterwards it is asked again whether the person may do this.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Annotated, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from app.kit import db
from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.kit.storage import one_upload_of
from app.models import User
from app.services.dataset.formats.images import MAX_IMAGE_BYTES, ParsedImage
from app.services.projects.guidelines_pictures import verify_picture
from app.services.refusals import UploadUnderWay
from app.web.access.deps import (
    CurrentUser,
    SessionDep,
    ask_again_who_it_is,
    place_given_back,
)
from app.web.access.projects import ManagedProject, require_managed_project
from app.web.http.images import PictureLine
from app.web.http.inputs import check_form
from app.web.http.middleware import FORM_BYTES, allow_body

T = TypeVar("T")


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
    n_bytes = get_settings().max_upload_mb << 20
    async with _received(slug, request, user, session, n_bytes=n_bytes, look=_nothing) as (
        form,
        _,
    ):
        yield form


ReceivedFiles = Annotated[FormData, Depends(received_files, scope="function")]


@dataclass(frozen=True)
class PictureForm:
    """A form with room for one picture, which was looked at already."""

    form: FormData
    picture: ParsedImage | None
    fault: str
    """Why the file is not taken; empty where it is, and where none was sent."""

    def text(self, name: str) -> str:
        """Returns the text of a field; empty where it was not sent, or is a file."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""


async def received_picture(
    slug: str,
    request: Request,
    project: ManagedProject,  # noqa: ARG001 - the gate
    user: CurrentUser,
    session: SessionDep,
) -> AsyncIterator[PictureForm]:
    """The form with its picture (field `picture`), for an admin of the project.

    It is decoded two at a time, as pictures are that are shown, and while others work with the
    database. Raises Conflict while another upload of the same person is on its way.
    """

    async def look(form: FormData) -> PictureForm:
        line: PictureLine = request.app.state.pictures
        return await line.look(lambda: _look_at_picture(form))

    async with _received(slug, request, user, session, n_bytes=MAX_IMAGE_BYTES, look=look) as (
        _,
        found,
    ):
        yield found


ReceivedPicture = Annotated[PictureForm, Depends(received_picture, scope="function")]


def _look_at_picture(form: FormData) -> PictureForm:
    file = form.get("picture")
    if not isinstance(file, UploadFile) or not file.filename:
        return PictureForm(form, None, "")
    name = PureWindowsPath(file.filename).name
    try:
        return PictureForm(form, verify_picture(file.file.read(MAX_IMAGE_BYTES + 1), name), "")
    except InvalidInput as error:
        return PictureForm(form, None, error.message)


async def _nothing(_: FormData) -> None:
    """Looks at nothing: files of an import are read by its run."""


@asynccontextmanager
async def _received(
    slug: str,
    request: Request,
    user: User,
    session: Session,
    *,
    n_bytes: int,
    look: Callable[[FormData], Awaitable[T]],
) -> AsyncIterator[tuple[FormData, T]]:
    async with _alone(user.id):
        # The form around a file needs a little more.
        allow_body(request, n_bytes + FORM_BYTES)
        await run_sync(db.pause, session)
        async with place_given_back(request):
            form = await request.form()
            found = await look(form)
        try:
            await run_sync(_ask_again, slug, request, session)
            yield check_form(form), found
        finally:
            with anyio.CancelScope(shield=True):
                await form.close()


@asynccontextmanager
async def _alone(user_id: int) -> AsyncIterator[None]:
    lock = one_upload_of(user_id)
    if not await run_sync(lock.take):
        raise UploadUnderWay(
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
    ask_again_who_it_is(request)
    require_managed_project(slug, request, session)
