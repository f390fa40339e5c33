"""How the people of a project judge, for its admins."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedPerson, ManagedProject
from app.web.http.htmx import respond
from app.web.pages.quality.people import DEFAULT_ORDER, build_people, build_person

router = APIRouter(prefix="/projects/{slug}/people")


@router.get("")
def list_people(
    request: Request, project: ManagedProject, session: SessionDep, order: str = DEFAULT_ORDER
) -> Response:
    context = {"project": project, "page": build_people(session, project, order=order)}
    return respond(request, page="annotator/index.html", context=context)


@router.get("/{user_id}")
def show_person(
    request: Request, project: ManagedProject, person: ManagedPerson, session: SessionDep
) -> Response:
    context = {"project": project, "page": build_person(session, project, person)}
    return respond(request, page="annotator/show.html", context=context)
