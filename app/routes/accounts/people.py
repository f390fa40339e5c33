"""All accounts of the installation, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.models import User
from app.queries.accounts.erasure import count_content
from app.services.accounts import accounts, erasure
from app.web.access.deps import AdminUser, SessionDep, get_admin_user, require_session
from app.web.access.projects import ListedPerson
from app.web.assets.addresses import full_address
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.pages.accounts.people import PeoplePage, people_page

router = APIRouter(prefix="/people", dependencies=[Depends(get_admin_user)])

Text = Annotated[str, Form()]


@router.get("")
def list_people(request: Request, session: SessionDep, after: str = "") -> Response:
    return _show(request, people_page(session, after=after))


@router.post("", dependencies=[Depends(require_session)])
def add_person(
    request: Request,
    admin: AdminUser,
    session: SessionDep,
    name: Text = "",
    is_admin: Annotated[bool, Form()] = False,
) -> Response:
    def show(error: InvalidInput) -> Response:
        return _show(request, people_page(session, name=name, error=error.message), status=422)

    with form_again(request, show):
        person = accounts.add_user(session, name=name, is_admin=is_admin, actor=admin)
    return _show_link(request, session, person, admin)


@router.post("/{user_id}/link", dependencies=[Depends(require_session)])
def make_reset_link(
    request: Request, admin: AdminUser, person: ListedPerson, session: SessionDep
) -> Response:
    return _show_link(request, session, person, admin)


@router.post("/{user_id}/close")
def close_account(
    request: Request, admin: AdminUser, person: ListedPerson, session: SessionDep
) -> Response:
    accounts.set_disabled(session, person, True, actor=admin)
    return redirect(
        request,
        "/people",
        toast_text=Sentence("The account of %(name)s is closed.", name=person.name),
    )


@router.post("/{user_id}/reopen")
def reopen_account(
    request: Request, admin: AdminUser, person: ListedPerson, session: SessionDep
) -> Response:
    accounts.set_disabled(session, person, False, actor=admin)
    return redirect(
        request,
        "/people",
        toast_text=Sentence("The account of %(name)s is open again.", name=person.name),
    )


@router.post("/{user_id}/admin")
def set_admin(
    request: Request,
    admin: AdminUser,
    person: ListedPerson,
    session: SessionDep,
    is_admin: Annotated[bool, Form()] = False,
) -> Response:
    accounts.set_admin(session, person, is_admin, actor=admin)
    text = (
        Sentence("%(name)s is now an administrator.", name=person.name)
        if is_admin
        else Sentence("%(name)s is no administrator any more.", name=person.name)
    )
    return redirect(request, "/people", toast_text=text)


@router.get("/{user_id}/erase")
def confirm_erasure(request: Request, person: ListedPerson, session: SessionDep) -> Response:
    return _show_erasure(request, session, person)


@router.post("/{user_id}/erase")
def erase(
    *,
    request: Request,
    admin: AdminUser,
    person: ListedPerson,
    session: SessionDep,
    name: Text = "",
    with_judgements: Annotated[bool, Form()] = False,
) -> Response:
    def show(error: InvalidInput) -> Response:
        return _show_erasure(
            request,
            session,
            person,
            error=error.message,
            typed=name,
            with_judgements=with_judgements,
        )

    with form_again(request, show):
        erasure.erase_person(
            session, person, typed_name=name, with_judgements=with_judgements, actor=admin
        )
    return redirect(
        request, "/people", toast_text=Sentence("The account and its texts are erased.")
    )


def _show_erasure(
    request: Request,
    session: SessionDep,
    person: User,
    *,
    error: str = "",
    typed: str = "",
    with_judgements: bool = False,
) -> Response:
    context = {
        "person": person,
        "typed": typed,
        "content": count_content(session, person.id),
        "with_judgements": with_judgements,
        "error": error,
    }
    status = 422 if error else 200
    return respond(request, page="people/erase.html", context=context, status=status)


def _show_link(request: Request, session: SessionDep, person: User, admin: User) -> Response:
    path = accounts.make_sign_in_link(session, person, is_reset=True, actor=admin)
    return _show(
        request, people_page(session, link_for=person.name, link=full_address(request, path))
    )


def _show(request: Request, page: PeoplePage, status: int = 200) -> Response:
    return respond(request, page="people/index.html", context={"page": page}, status=status)
