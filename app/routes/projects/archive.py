"""Putting a project away, taking it out again, deleting it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.queries.projects.removal import count_content
from app.services.projects import removal
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond

router = APIRouter(prefix="/projects/{slug}")


@router.get("/archive")
def confirm_archive(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    content = count_content(session, project.id)
    context = {"project": project, "content": content, "error": "", "typed": ""}
    return respond(request, page="project/archive.html", context=context)


@router.post("/archive")
def archive(
    request: Request, project: ManagedProject, user: CurrentUser, session: SessionDep
) -> Response:
    removal.archive_project(session, project, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}/archive",
        toast_text=Sentence("The project is archived."),
    )


@router.post("/unarchive")
def unarchive(
    request: Request, project: ManagedProject, user: CurrentUser, session: SessionDep
) -> Response:
    removal.unarchive_project(session, project, actor=user)
    return redirect(
        request, f"/projects/{project.slug}", toast_text=Sentence("The project is open again.")
    )


@router.post("/delete")
def delete(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    name: Annotated[str, Form()] = "",
) -> Response:
    def show(error: InvalidInput) -> Response:
        content = count_content(session, project.id)
        context = {"project": project, "content": content, "error": error.message, "typed": name}
        return respond(request, page="project/archive.html", context=context, status=422)

    with form_again(request, show):
        removal.request_deletion(session, project, typed_name=name, actor=user)
    return redirect(
        request,
        "/projects",
        toast_text=Sentence("The project is gone. Its rows and files are deleted in a moment."),
    )
