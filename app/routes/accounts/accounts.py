"""Signing in and out, one-time links, invites, and the own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.models import SignInLink, User
from app.services.accounts import accounts
from app.services.accounts.accounts import safe_path
from app.services.projects import projects
from app.web.access import signing
from app.web.access.deps import (
    CurrentUser,
    OptionalUser,
    SessionDep,
    find_current_user,
    require_session,
)
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.http.prefetch import is_opened_by_a_person
from app.web.http.sessions import get_cookies

router = APIRouter(dependencies=[Depends(require_session)])

Text = Annotated[str, Form()]


@router.get("/sign-in")
def show_sign_in(
    request: Request, user: OptionalUser, session: SessionDep, next: str = "/"
) -> Response:
    if user is not None:
        return redirect(request, safe_path(next))
    context = {
        "name": "",
        "next": safe_path(next),
        "error": "",
        "has_people": accounts.has_people(session),
    }
    return respond(request, page="account/sign_in.html", context=context)


@router.post("/sign-in")
def sign_in(
    request: Request, session: SessionDep, name: Text = "", password: Text = "", next: Text = "/"
) -> Response:
    address = request.client.host if request.client else ""
    error, status = "", 422
    try:
        user = accounts.check_sign_in(
            session,
            name=name,
            password=password,
            address=address,
            known_id=get_cookies(request).read_known(request),
        )
    except accounts.TooManyAttempts as refusal:
        user, error, status = None, refusal.message, refusal.status_code
    if user is None:
        context = {
            "name": name,
            "next": safe_path(next),
            "error": error or Sentence("The name or the password is not right."),
            "has_people": True,
        }
        return respond(request, page="account/sign_in.html", context=context, status=status)
    response = redirect(request, safe_path(next))
    signing.sign_in(request, response, session, user)
    return response


@router.post("/sign-out")
def sign_out(request: Request, session: SessionDep) -> Response:
    """End this session. The item in front of the person is free for others at once."""
    response = redirect(request, "/sign-in", toast_text=Sentence("You are signed out."))
    signing.sign_out(request, response, session)
    return response


# --- One-time links -------------------------------------------------------------------------


@router.get("/sign-in/link/{token}")
def open_link(request: Request, token: str, viewer: OptionalUser, session: SessionDep) -> Response:
    """Sign in at once where a person opened the link; else ask, so that previews do not use it up.

    Links are printed on a terminal or passed on by an admin. Something that merely looks at them
    (a chat's preview, a mail scanner, a prefetch) must not use them up. Without PUBLIC_URL nothing
    like that can reach us; with it, only a browser's own navigation signs in directly. Where
    somebody else is signed in, the page says so first: nobody goes on under another name unasked.
    """
    link = accounts.find_link(session, token)
    if not accounts.is_usable(link) and viewer is not None and viewer.id == link.user_id:
        return redirect(request, safe_path(link.next_path))
    if not accounts.is_usable(link):
        raise accounts.LinkIsOver(accounts.LINK_OVER)
    if link.is_reset or _somebody_else(link, viewer) or not is_opened_by_a_person(request):
        return _ask(request, session, link, token, viewer)
    return _use_link(request, token, session)


@router.post("/sign-in/link/{token}")
def use_link(
    *,
    request: Request,
    token: str,
    viewer: OptionalUser,
    session: SessionDep,
    password: Text = "",
    again: Text = "",
    leaving: Text = "",
) -> Response:
    link = accounts.find_link(session, token)
    other = _somebody_else(link, viewer)
    if other is not None and accounts.is_usable(link) and leaving != str(other.id):
        # The form did not say that this person would be signed out: they signed in meanwhile.
        return _ask(request, session, link, token, viewer, status=409)
    if not link.is_reset:
        return _use_link(request, token, session)

    def show(error: InvalidInput) -> Response:
        return _ask(request, session, link, token, viewer, error=error.message, status=422)

    with form_again(request, show):
        accounts.check_repeated(password, again)
        user, next_path = accounts.reset_password(session, token, password)
    response = redirect(request, next_path, toast_text=Sentence("The new password is set."))
    signing.sign_in(request, response, session, user)
    return response


def _somebody_else(link: SignInLink, viewer: User | None) -> User | None:
    return viewer if viewer is not None and viewer.id != link.user_id else None


def _use_link(request: Request, token: str, session: SessionDep) -> Response:
    user, next_path = accounts.use_sign_in_link(session, token)
    response = redirect(request, next_path)
    signing.sign_in(request, response, session, user)
    return response


def _ask(
    request: Request,
    session: SessionDep,
    link: SignInLink,
    token: str,
    viewer: User | None,
    *,
    error: str = "",
    status: int = 200,
) -> Response:
    """Ask for a new password, or only whether to go on; say who is signed out by it."""
    context = {
        "token": token,
        "name": session.get_one(User, link.user_id).name,
        "leaving": _somebody_else(link, viewer),
        "error": error,
    }
    page = "account/reset.html" if link.is_reset else "account/link.html"
    return respond(request, page=page, context=context, status=status)


# --- Invites --------------------------------------------------------------------------------


@router.get("/join/{token}", dependencies=[Depends(find_current_user)])
def show_invite(request: Request, token: str, session: SessionDep) -> Response:
    return _show_invite(request, token, session)


@router.post("/join/{token}")
def join(
    *,
    request: Request,
    token: str,
    viewer: OptionalUser,
    session: SessionDep,
    name: Text = "",
    password: Text = "",
    again: Text = "",
    member: Text = "",
) -> Response:
    if viewer is not None and (name or password or member not in {"", str(viewer.id)}):
        # The form was shown to nobody, or to somebody else: this person signed in meanwhile.
        return _show_invite(request, token, session, status=409)
    if viewer is not None:
        project = projects.join(session, token, viewer)
        said = Sentence("You are now a member of %(name)s.", name=project.name)
        return redirect(request, "/", toast_text=said)
    if member:
        # Whoever was to join is signed out: they sign in, or make an account knowingly.
        return _show_invite(request, token, session, status=409)

    def show(error: InvalidInput) -> Response:
        return _show_invite(
            request, token, session, name=name, error=error.message, status=error.status_code
        )

    with form_again(request, show):
        accounts.check_repeated(password, again)
        user, project = projects.join_as_new(session, token, name=name, password=password)
    said = Sentence("Welcome to %(project)s, %(name)s.", project=project.name, name=user.name)
    response = redirect(request, "/", toast_text=said)
    signing.sign_in(request, response, session, user)
    return response


def _show_invite(
    request: Request,
    token: str,
    session: SessionDep,
    *,
    name: str = "",
    error: str = "",
    status: int = 200,
) -> Response:
    _, project = projects.find_invite(session, token)
    context = {"token": token, "project": project, "name": name, "error": error}
    return respond(request, page="account/join.html", context=context, status=status)


# --- The own account ------------------------------------------------------------------------


@router.get("/account")
def show_account(request: Request, user: CurrentUser) -> Response:
    context = {"has_password": user.password_hash is not None, "error": ""}
    return respond(request, page="account/show.html", context=context)


@router.post("/account/password")
def change_password(
    *,
    request: Request,
    user: CurrentUser,
    session: SessionDep,
    current: Text = "",
    password: Text = "",
    again: Text = "",
) -> Response:
    had_password = user.password_hash is not None

    def show(error: InvalidInput) -> Response:
        context = {"has_password": had_password, "error": error.message}
        return respond(request, page="account/show.html", context=context, status=422)

    with form_again(request, show):
        accounts.check_repeated(password, again)
        accounts.change_password(session, user, current=current, new=password)
    response = redirect(
        request,
        "/account",
        toast_text=Sentence("The password is changed. Other sessions have ended."),
    )
    signing.sign_in(request, response, session, user)
    return response


@router.post("/account/sign-out-everywhere")
def sign_out_everywhere(request: Request, user: CurrentUser, session: SessionDep) -> Response:
    accounts.sign_out_everywhere(session, user)
    response = redirect(request, "/sign-in", toast_text=Sentence("All your sessions have ended."))
    signing.sign_out(request, response, session)
    return response
