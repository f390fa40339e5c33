"""Guidelines: written and compared by admins, read by annotators."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput, StaleVersion
from app.kit.numbers import Whole
from app.kit.sentences import Sentence
from app.models import Project, User
from app.queries.projects.guidelines_pictures import list_pictures
from app.services.accounts.accounts import safe_path
from app.services.projects import guidelines as service
from app.services.projects import guidelines_pictures as pictures
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject, ReadableProject
from app.web.access.uploads import PictureForm, ReceivedPicture
from app.web.http.errors import wants_json
from app.web.http.htmx import is_htmx, redirect, respond
from app.web.http.inputs import read_whole
from app.web.pages.projects.guidelines import Typed, guidelines_page
from app.web.render.markdown import list_unshown

router = APIRouter(prefix="/projects/{slug}/guidelines")


@router.get("")
def show(
    request: Request, project: ManagedProject, session: SessionDep, version: Whole | None = None
) -> Response:
    context = {"project": project, "page": guidelines_page(session, project, number=version)}
    return respond(request, page="project/guidelines.html", context=context)


@router.post("")
def update(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    received: ReceivedPicture,
) -> Response:
    """Saves the text; a picture that came along is added first, and its line put at the end.

    With the button `add` nothing is saved but the picture: the page comes back with the text.
    """
    sent = _sent(received)
    try:
        sent = _add_picture(session, project, received, sent, actor=user)
    except InvalidInput as error:
        if wants_json(request):
            raise
        sent = replace(sent, picture_error=error.message)
        return _answer(request, session, project, sent, status=error.status_code)
    if received.text("button") == "add":
        return _answer(request, session, project, sent)
    try:
        service.update_guidelines(
            session, project, guidelines=sent.text, version=sent.version, actor=user
        )
    except (InvalidInput, StaleVersion) as error:
        if wants_json(request):
            raise
        # No `form_again`: the picture that came along is kept, and the text names it.
        sent = replace(sent, version=None, error=error.message)
        return _answer(request, session, project, sent, status=error.status_code)
    return _saved(request, session, project)


def _sent(received: PictureForm) -> Typed:
    version = received.text("version")
    return Typed(
        text=received.text("guidelines"),
        # One that is no number is not the newest.
        version=(read_whole(version) or 0) if version else None,
        alt=received.text("alt"),
        item=received.text("item"),
    )


def _add_picture(
    session: SessionDep, project: Project, received: PictureForm, sent: Typed, *, actor: User
) -> Typed:
    """Adds the picture that came along; returns what was sent, with its line at the end.

    Raises InvalidInput, with what is wrong with the picture.
    """
    wants_one = received.text("button") == "add"
    if received.fault:
        raise InvalidInput(received.fault)
    if received.picture:
        line = pictures.add_picture(session, project, received.picture, alt=sent.alt, actor=actor)
    elif sent.item.strip():
        line = pictures.add_picture_of_item(session, project, sent.item, alt=sent.alt, actor=actor)
    elif wants_one:
        raise InvalidInput(Sentence("Choose a picture, or type the id of an item whose it is."))
    else:
        return sent
    text = f"{sent.text.rstrip()}\n\n{line}\n".lstrip()
    return replace(sent, text=text, alt="", item="", added=line)


def _answer(
    request: Request, session: SessionDep, project: Project, sent: Typed, *, status: int = 200
) -> Response:
    page = guidelines_page(session, project, typed=sent)
    context = {"project": project, "page": page}
    return respond(request, page="project/guidelines.html", context=context, status=status)


def _saved(request: Request, session: SessionDep, project: Project) -> Response:
    numbers = frozenset(picture.number for picture, _ in list_pictures(session, project.id))
    unshown = list_unshown(project.guidelines, numbers)
    text = Sentence(
        "Saved. These are guidelines version %(number)s.", number=project.guidelines_version
    )
    if unshown:
        text = Sentence(
            "Saved as version %(number)s, but a picture is not shown: %(address)s. Only pictures "
            "that were added on this page are: add it, and put its line in its place.",
            number=project.guidelines_version,
            address=unshown[0],
        )
    return redirect(
        request,
        f"/projects/{project.slug}/guidelines",
        toast_text=text,
        kind="warn" if unshown else "ok",
    )


@router.post("/read")
def mark_read(
    *,
    request: Request,
    project: ReadableProject,
    user: CurrentUser,
    session: SessionDep,
    number: Annotated[Whole, Form()],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """The person has read the change: it is not shown to them again."""
    service.mark_read(session, project, user, number=number)
    if is_htmx(request):
        return Response(status_code=204)
    return redirect(request, safe_path(next))
