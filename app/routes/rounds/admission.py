"""What would be admitted: policies tried on the votes of a round, and compared."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.kit.numbers import Whole
from app.models import Project
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedRound
from app.web.http.htmx import respond
from app.web.pages.rounds.policies import policies_page

router = APIRouter()

PolicyName = Annotated[str, Query(max_length=50)]


@router.get("/rounds/{round_id}/policies")
def compare_policies(
    *,
    request: Request,
    round_: ManagedRound,
    session: SessionDep,
    one: PolicyName = "",
    other: PolicyName = "",
    after: Whole = 0,
) -> Response:
    """Shows what two policies decide differently; names that are not known are passed over."""
    project = session.get_one(Project, round_.project_id)
    page = policies_page(session, project, round_, one, other, after)
    return respond(request, page="round/policies.html", context={"project": project, "page": page})
