"""Begins and ends the session of a browser: its row in the database and its cookie together."""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from app.models import User
from app.services.accounts import accounts
from app.web.http.sessions import get_cookies


def sign_in(request: Request, response: Response, session: Session, user: User) -> None:
    """Begin a session of the person in this browser. Whatever session it had before ends: a copy
    of the old cookie is worth nothing either."""
    cookies = get_cookies(request)
    before = cookies.read_session(request)
    if before is not None and before.user_id == user.id:
        accounts.end_session(session, before.user_id, before.key)
    elif before is not None:
        accounts.sign_out(session, before.user_id, before.key)
    cookies.sign_in(response, user, accounts.start_session(session, user))


def sign_out(request: Request, response: Response, session: Session) -> None:
    """End the session of this browser, on the server and in its cookie."""
    cookies = get_cookies(request)
    mark = cookies.read_session(request)
    if mark is not None:
        accounts.sign_out(session, mark.user_id, mark.key)
    cookies.sign_out(response)
