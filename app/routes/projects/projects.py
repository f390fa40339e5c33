"""Projects: the list, a new one, the overview, and the settings."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.lifecycle import Role
from app.models import Project
from app.queries.projects.projects import list_project_overviews
from app.services.projects import projects
from app.services.refusals import SettingsInvalid
from app.web.access.deps import AdminUser, CurrentUser, SessionDep
from app.web.access.projects import AtProject, ManagedProject
from app.web.http.errors import form_again
from app.web.http.forms import Posted
from app.web.http.htmx import redirect, respond
from app.web.pages.projects.projects import member_project_page, project_page
from app.web.pages.projects.settings_fields import GROUPS
from app.web.pages.projects.settings_form import SettingsForm, form_of, list_errors, read_form

router = APIRouter(prefix="/projects")

NOT_POSSIBLE = Sentence("Some settings are not possible. Nothing was saved.")

Text = Annotated[str, Form()]


@router.get("")
def list_projects(
    request: Request, user: CurrentUser, session: SessionDep, archived: bool = False
) -> Response:
    context = {
        "overviews": list_project_overviews(session, user, is_archived=archived),
        "is_archived": archived,
        "n_archived": 0
        if archived
        else len(list_project_overviews(session, user, is_archived=True)),
    }
    return respond(request, page="project/index.html", context=context)


@router.get("/new")
def show_new(request: Request, user: AdminUser) -> Response:  # noqa: ARG001 - the gate
    return _show_new(request, "", "", "")


@router.post("")
def create(
    request: Request,
    user: AdminUser,
    session: SessionDep,
    name: Text = "",
    description: Text = "",
) -> Response:
    def show(error: InvalidInput) -> Response:
        return _show_new(request, name, description, error.message, status=422)

    with form_again(request, show):
        project = projects.create_project(session, name=name, description=description, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}",
        toast_text=Sentence("%(name)s is created.", name=project.name),
    )


def _show_new(
    request: Request, name: str, description: str, error: str, status: int = 200
) -> Response:
    context = {"name": name, "description": description, "error": error}
    return respond(request, page="project/new.html", context=context, status=status)


@router.get("/{slug}")
def show(request: Request, access: AtProject, session: SessionDep) -> Response:
    project = access.project
    if access.role is Role.ADMIN:
        context = {"project": project, "page": project_page(session, project)}
        return respond(request, page="project/show.html", context=context)
    context = {"project": project, "page": member_project_page(session, project)}
    return respond(request, page="project/member.html", context=context)


# --- Settings -------------------------------------------------------------------------------


@router.get("/{slug}/settings")
def show_settings(request: Request, project: ManagedProject) -> Response:
    return _show_settings(request, project, form_of(projects.settings_of(project)))


@router.post("/{slug}/settings")
def update_settings(
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    posted: Posted,
) -> Response:
    settings, form = read_form(posted, projects.settings_of(project))
    with form_again(request, lambda _: _show_settings(request, project, form, status=422)):
        if settings is None:
            raise SettingsInvalid(NOT_POSSIBLE, errors=list_errors(form))
        projects.update_settings(session, project, settings=settings, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}/settings",
        toast_text=Sentence("Saved. The next round is run with these settings."),
    )


@router.post("/{slug}/details")
def update_details(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    name: Text = "",
    description: Text = "",
    licence: Text = "",
) -> Response:
    def show(error: InvalidInput) -> Response:
        form = form_of(projects.settings_of(project))
        return _show_settings(request, project, form, details_error=error.message, status=422)

    with form_again(request, show):
        projects.update_details(
            session, project, name=name, description=description, licence=licence, actor=user
        )
    return redirect(request, f"/projects/{project.slug}/settings", toast_text=Sentence("Saved."))


def _show_settings(
    request: Request,
    project: Project,
    form: SettingsForm,
    *,
    details_error: str = "",
    status: int = 200,
) -> Response:
    context = {
        "project": project,
        "form": form,
        "groups": GROUPS,
        "details_error": details_error,
    }
    return respond(request, page="project/settings.html", context=context, status=status)
