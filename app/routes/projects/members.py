"""Members of a project and the links that invite them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.lifecycle import Role
from app.models import Project
from app.queries.accounts.users import list_open_invites
from app.services.projects import projects
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedInvite, ManagedMembership, ManagedProject
from app.web.assets.addresses import full_address
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.http.inputs import read_whole
from app.web.pages.projects.members import members_page

router = APIRouter(prefix="/projects/{slug}")


@router.get("/members")
def show(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    return _show(request, session, project)


@router.post("/invites")
def make_invite(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    role: Annotated[Role, Form()] = Role.ANNOTATOR,
    max_uses: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "14",
) -> Response:
    def show(error: InvalidInput) -> Response:
        return _show(request, session, project, error=error.message, status=422)

    with form_again(request, show):
        link = projects.make_invite(
            session,
            project,
            role=role,
            max_uses=_number(max_uses) if max_uses.strip() else None,
            days=_number(days),
            actor=user,
        )
    return _show(request, session, project, new_link=full_address(request, link))


@router.post("/invites/{invite_id}/revoke")
def revoke_invite(
    request: Request,
    project: ManagedProject,
    invite: ManagedInvite,
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    projects.revoke_invite(session, invite, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}/members",
        toast_text=Sentence("The link does not work any more."),
    )


@router.post("/members/{membership_id}/role")
def set_role(
    *,
    request: Request,
    project: ManagedProject,
    membership: ManagedMembership,
    user: CurrentUser,
    session: SessionDep,
    role: Annotated[Role, Form()],
) -> Response:
    projects.set_role(session, membership, role, actor=user)
    name = membership.user.name
    text = (
        Sentence("%(name)s is now an admin.", name=name)
        if role is Role.ADMIN
        else Sentence("%(name)s is now an annotator.", name=name)
    )
    return redirect(request, f"/projects/{project.slug}/members", toast_text=text)


@router.get("/members/{membership_id}/remove")
def confirm_removal(
    request: Request, project: ManagedProject, membership: ManagedMembership, session: SessionDep
) -> Response:
    invites = list_open_invites(session, project.id, now=datetime.now(UTC))
    context = {"project": project, "membership": membership, "invites": invites}
    return respond(request, page="member/remove.html", context=context)


@router.post("/members/{membership_id}/remove")
def remove(
    *,
    request: Request,
    project: ManagedProject,
    membership: ManagedMembership,
    user: CurrentUser,
    session: SessionDep,
    with_links: Annotated[bool, Form()] = False,
) -> Response:
    name = membership.user.name
    projects.remove_member(session, membership, actor=user, with_links=with_links)
    return redirect(
        request,
        f"/projects/{project.slug}/members",
        toast_text=Sentence("%(name)s is no member any more. What they judged stays.", name=name),
    )


def _number(text: str) -> int:
    number = read_whole(text)
    if number is None:
        raise InvalidInput(Sentence("%(text)s is no whole number.", text=repr(text[:50])))
    return number


def _show(
    request: Request,
    session: SessionDep,
    project: Project,
    *,
    new_link: str = "",
    error: str = "",
    status: int = 200,
) -> Response:
    page = members_page(session, project, now=datetime.now(UTC), new_link=new_link, error=error)
    context = {"project": project, "page": page}
    return respond(request, page="member/index.html", context=context, status=status)
