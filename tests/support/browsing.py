"""Browsers and programs of people: the one way in which tests sign somebody in, or send a token."""

import re

from bs4 import BeautifulSoup, Tag
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import ApiToken, User
from app.principal import CameBy, Credential
from app.queries.accounts.asking import find_asking
from app.services.accounts import accounts, erasure, tokens
from app.services.accounts.accounts import hash_token, make_sign_in_link
from tests.support.factories import make_user

HTMX = {"HX-Request": "true"}


def sign_in(client: TestClient, session: Session, user: User) -> TestClient:
    """Sign in by a one-time link, as the first person of an installation does."""
    client.cookies.clear()
    link = make_sign_in_link(session, user)
    # What the test made so far stays when a request is refused and rolled back.
    session.commit()
    response = client.get(link)
    assert response.status_code == 303, response.text
    return client


def make_token(session: Session, user: User, *, label: str = "notebook") -> str:
    """Make a token and return its secret."""
    return tokens.create_token(session, user, label=label)[1]


def find_row(session: Session, secret: str) -> ApiToken:
    """The stored row of a token."""
    return session.query(ApiToken).filter_by(token_hash=hash_token(secret)).one()


def bearer(secret: str) -> dict[str, str]:
    """The header with which a program sends a token."""
    return {"Authorization": f"Bearer {secret}"}


def whose_session(session: Session, user_id: int, key: str) -> User | None:
    """The person of a session's key; None where the session is over."""
    return _who(session, Credential(CameBy.SESSION, hash_token(key), user_id))


def whose_token(session: Session, secret: str) -> User | None:
    """The person of a token; None where it is no good."""
    return _who(session, Credential(CameBy.TOKEN, hash_token(secret)))


def _who(session: Session, credential: Credential) -> User | None:
    asking = find_asking(session, credential)
    return asking.user if asking and asking.is_signed_in else None


def page(response: Response) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


def one(response: Response, selector: str) -> Tag:
    """The one element that the selector finds; fails where there is none or more than one."""
    found = page(response).select(selector)
    assert len(found) == 1, f"{selector}: {len(found)} found"
    return found[0]


def filled_in(form: Tag) -> dict[str, list[str]]:
    """The fields that a browser would send for a form that nobody touched.

    As browsers do: the first line break of a text area is dropped, an input of one line holds none,
    and every line end is sent as CR LF. The form needs to be parsed from the very text of the page.
    """
    fields: dict[str, list[str]] = {}
    for field in form.select("input[name], textarea[name], select[name]"):
        for value in _values_of(field):
            text = "\r\n".join(re.split(r"\r\n|\r|\n", value))
            fields.setdefault(str(field["name"]), []).append(text)
    return fields


def _values_of(field: Tag) -> list[str]:
    if field.name == "textarea":
        # The parser of the tests keeps what browsers drop.
        return [re.sub(r"\A(?:\r\n|\n|\r)", "", field.get_text())]
    if field.name == "select":
        options = field.select("option[selected]") or field.select("option")[:1]
        return [str(option["value"]) for option in options]
    match field.get("type", "text"):
        case "checkbox" | "radio" if not field.has_attr("checked"):
            return []
        case "file" | "submit" | "button":
            return []
        case "hidden" | "checkbox" | "radio":
            return [str(field.get("value", "on"))]
    return [re.sub(r"[\r\n]", "", str(field.get("value", "")))]


def text_of(response: Response, selector: str) -> str:
    return " ".join(one(response, selector).get_text(" ").split())


# --- Ways in which an account ends what its person may do, whatever they came in with (`_`) ---


def close_the_account(_: object, session: Session, person: User) -> None:
    accounts.set_disabled(session, person, True, actor=make_user(session, is_admin=True))


def close_and_open_it_again(_: object, session: Session, person: User) -> None:
    admin = make_user(session, is_admin=True)
    accounts.set_disabled(session, person, True, actor=admin)
    accounts.set_disabled(session, person, False, actor=admin)


def erase(_: object, session: Session, person: User) -> None:
    admin = make_user(session, is_admin=True)
    erasure.erase_person(session, person, typed_name=person.name, actor=admin)
