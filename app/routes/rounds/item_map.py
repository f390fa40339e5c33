"""The map of a round: how items fared in the rounds up to it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.kit.numbers import Whole
from app.models import Project
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedRound
from app.web.http.htmx import redirect, respond
from app.web.pages.quality.item_map import Asked, map_page

router = APIRouter()

Name = Annotated[str, Query(max_length=20)]


@router.get("/rounds/{round_id}/map")
def show_map(
    *,
    request: Request,
    round_: ManagedRound,
    session: SessionDep,
    split: Name = "train",
    number: Whole = 0,
    fared: Name = "",
    first: Whole = 0,
    last: Whole = 0,
    page: Whole = 1,
) -> Response:
    """Shows a stretch of the map and its items; what the address does not make sense of is passed
    over. Without a map it leads to the round."""
    project = session.get_one(Project, round_.project_id)
    asked = Asked(split, number, fared, first, last, page)
    shown = map_page(session, project, round_, asked)
    if shown is None:
        return redirect(request, f"/rounds/{round_.id}")
    return respond(request, page="round/map.html", context={"project": project, "page": shown})
