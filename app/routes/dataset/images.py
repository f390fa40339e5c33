"""Images of a project, for its members."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.kit.errors import NotFound
from app.kit.numbers import Whole
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedProject, ReadableImage, ReadableProjectImage
from app.web.assets.image_urls import WIDTHS
from app.web.http.htmx import respond
from app.web.http.images import image_response
from app.web.pages.dataset.pictures import alone_page

router = APIRouter()


@router.get("/images/{sha256}")
def show(request: Request, image: ReadableImage, w: Whole | None = None) -> Response:
    """Answers with an image by its content, to members of any project that holds it."""
    return image_response(request, image, width=_checked(w))


@router.get("/projects/{slug}/images")
def list_alone(
    request: Request,
    project: ManagedProject,
    session: SessionDep,
    after: Annotated[str, Query(pattern="^[0-9a-f]{0,64}$")] = "",
) -> Response:
    """Shows the images that nobody has asked about."""
    context = {"project": project, "page": alone_page(session, project, after=after)}
    return respond(request, page="image/index.html", context=context)


@router.get("/projects/{slug}/images/{sha256}")
def show_in_project(
    request: Request, image: ReadableProjectImage, w: Whole | None = None
) -> Response:
    return image_response(request, image, width=_checked(w))


def _checked(width: int | None) -> int | None:
    if width is not None and width not in WIDTHS:
        raise NotFound(
            "Images come in their own size and in " + ", ".join(map(str, WIDTHS)) + " pixels"
        )
    return width
