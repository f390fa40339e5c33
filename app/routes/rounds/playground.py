"""The playground: two models are tried on one picture, and what they said is looked at."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.services.rounds import tryouts
from app.services.rounds.tryouts import Wish
from app.services.runs import runs
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject
from app.web.access.tryouts import ManagedTryout, TriedPictureOf
from app.web.access.uploads import PictureForm, ReceivedPicture
from app.web.http.errors import form_again
from app.web.http.htmx import is_htmx, redirect, respond
from app.web.http.inputs import read_whole
from app.web.pages.rounds.playground import (
    TryoutForm,
    find_item,
    playground_page,
    tryout_page,
)

router = APIRouter(prefix="/projects/{slug}/playground")


@router.get("")
def show(
    request: Request, project: ManagedProject, session: SessionDep, item: str = ""
) -> Response:
    page = playground_page(session, project, TryoutForm(item=item))
    context = {"project": project, "page": page}
    return respond(request, page="playground/index.html", context=context)


@router.post("")
def try_models(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    received: ReceivedPicture,
) -> Response:
    def show(error: InvalidInput) -> Response:
        page = playground_page(session, project, _typed(received, error.message))
        context = {"project": project, "page": page}
        return respond(request, page="playground/index.html", context=context, status=422)

    with form_again(request, show):
        if received.fault:
            raise InvalidInput(received.fault)
        item = find_item(session, project, received.text("item"))
        if item is None and received.text("item").strip():
            raise InvalidInput(Sentence("This project has no item with that id."))
        run = tryouts.request_tryout(
            session, project, _wish(received), item=item, picture=received.picture, actor=user
        )
    return redirect(request, f"/projects/{project.slug}/playground/{run.id}")


@router.get("/{run_id}")
def show_one(
    request: Request, project: ManagedProject, run: ManagedTryout, session: SessionDep
) -> Response:
    context = {"project": project, "page": tryout_page(session, project, run)}
    return respond(
        request,
        page="playground/show.html",
        context=context,
        fragments=["playground/_status.html"] if is_htmx(request) else [],
    )


@router.get("/{run_id}/picture")
def show_picture(picture: TriedPictureOf) -> Response:
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(picture.content, media_type=picture.media_type, headers=headers)


@router.post("/{run_id}/cancel")
def cancel(
    request: Request,
    project: ManagedProject,
    run: ManagedTryout,
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    runs.cancel_run(session, run, actor=user)
    address = f"/projects/{project.slug}/playground/{run.id}"
    return redirect(request, address, toast_text=Sentence("The try-out is cancelled."))


@router.post("/{run_id}/remove")
def remove(
    request: Request, project: ManagedProject, run: ManagedTryout, session: SessionDep
) -> Response:
    tryouts.remove_tryout(session, run)
    address = f"/projects/{project.slug}/playground"
    return redirect(request, address, toast_text=Sentence("The try-out is removed."))


def _wish(received: PictureForm) -> Wish:
    """What was typed. Raises InvalidInput for what is no number."""
    return Wish(
        question=received.text("question"),
        answer=received.text("answer"),
        explains=received.text("explains") == "true",
        opener=received.text("opener"),
        temperature=_number(received.text("temperature")),
        seed=_whole(received.text("seed")),
        sides=(_whole(received.text("first")), _whole(received.text("second"))),
    )


def _number(text: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError as error:
        raise InvalidInput(Sentence("The temperature is a number, such as 0.3.")) from error


def _whole(text: str) -> int:
    number = read_whole(text or "0")
    if number is None:
        raise InvalidInput(Sentence("The seed is a whole number from 0 on."))
    return number


def _typed(received: PictureForm, error: str) -> TryoutForm:
    return TryoutForm(
        item=received.text("item"),
        question=received.text("question"),
        answer=received.text("answer"),
        explains=received.text("explains") == "true",
        first=read_whole(received.text("first")) or 0,
        second=read_whole(received.text("second")) or 0,
        opener=received.text("opener"),
        temperature=received.text("temperature"),
        seed=received.text("seed"),
        error=error,
    )
