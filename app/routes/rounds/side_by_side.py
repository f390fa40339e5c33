"""Two rounds of a project side by side, and the items that changed between them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.kit.numbers import Whole
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedProject
from app.web.http.htmx import redirect, respond
from app.web.pages.rounds.changed_items import changed_page
from app.web.pages.rounds.side_by_side import side_by_side_page

router = APIRouter()


@router.get("/projects/{slug}/side-by-side")
def show(
    request: Request,
    project: ManagedProject,
    session: SessionDep,
    before: Whole | None = None,
    after: Whole | None = None,
) -> Response:
    page = side_by_side_page(session, project, before=before, after=after)
    context = {"project": project, "page": page}
    return respond(request, page="round/side_by_side.html", context=context)


@router.get("/projects/{slug}/side-by-side/items")
def list_changed(
    *,
    request: Request,
    project: ManagedProject,
    session: SessionDep,
    before: Whole | None = None,
    after: Whole | None = None,
    change: str = "improved",
    page: Whole = 1,
) -> Response:
    built = changed_page(session, project, before=before, after=after, change=change, page=page)
    return respond(request, page="round/changed.html", context={"project": project, "page": built})


@router.get("/projects/{slug}/compare")
def lead_on(request: Request, project: ManagedProject) -> Response:
    """Sends on who comes by the address of before."""
    return redirect(request, f"/projects/{project.slug}/side-by-side?{request.url.query}")


@router.get("/projects/{slug}/compare/items")
def lead_on_to_items(request: Request, project: ManagedProject) -> Response:
    """Sends on who comes by the address of before."""
    return redirect(request, f"/projects/{project.slug}/side-by-side/items?{request.url.query}")
