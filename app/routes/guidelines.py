"""Guidelines: written and compared by admins, read by annotators."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.errors import InvalidInput, StaleVersion
from app.services import guidelines as service
from app.services.accounts import safe_path
from app.texts import Sentence
from app.web.access import ManagedProject, ReadableProject
from app.web.contexts_guidelines import guidelines_page
from app.web.deps import CurrentUser, SessionDep
from app.web.htmx import is_htmx, redirect, respond
from app.web.inputs import Whole

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
    guidelines: Annotated[str, Form()] = "",
    version: Annotated[Whole | None, Form()] = None,
) -> Response:
    try:
        service.update_guidelines(
            session, project, guidelines=guidelines, version=version, actor=user
        )
    except (InvalidInput, StaleVersion) as error:
        page = guidelines_page(session, project, typed=guidelines, error=error.message)
        return respond(
            request,
            page="project/guidelines.html",
            context={"project": project, "page": page},
            status=error.status_code,
        )
    return redirect(
        request,
        f"/projects/{project.slug}/guidelines",
        toast_text=Sentence(
            "Saved. These are guidelines version %(number)s.", number=project.guidelines_version
        ),
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
