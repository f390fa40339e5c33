"""Browsers of people: the one way in which tests sign somebody in."""

from bs4 import BeautifulSoup, Tag
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import User
from app.services.accounts import make_sign_in_link

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


def page(response: Response) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


def one(response: Response, selector: str) -> Tag:
    """The one element that the selector finds; fails where there is none or more than one."""
    found = page(response).select(selector)
    assert len(found) == 1, f"{selector}: {len(found)} found"
    return found[0]


def text_of(response: Response, selector: str) -> str:
    return " ".join(one(response, selector).get_text(" ").split())
