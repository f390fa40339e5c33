"""Two rounds of a project side by side, and the items that changed between them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.kit.numbers import Whole
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedProject
from app.web.http.htmx import respond
from app.web.pages.rounds.changed_items import changed_page
from app.web.pages.rounds.comparing import compare_page

router = APIRouter()


@router.get("/projects/{slug}/compare")
def compare(
    request: Request,
    project: ManagedProject,
    session: SessionDep,
    before: Whole | None = None,
    after: Whole | None = None,
) -> Response:
    page = compare_page(session, project, before=before, after=after)
    return respond(request, page="round/compare.html", context={"project": project, "page": page})


@router.get("/projects/{slug}/compare/items")
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
