"""Errors keep their status; browsers get a page, callers of JSON get JSON."""

from http import HTTPStatus

import pytest
from bs4 import BeautifulSoup
from fastapi import APIRouter, FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.kit.errors import (
    Conflict,
    InvalidInput,
    InvalidTransition,
    LostRun,
    NotSignedIn,
    StaleVersion,
)
from app.main import create_app
from app.services.rounds.bases import BaseChanged
from app.web.access.deps import SessionDep
from tests.support.factories import make_project

router = APIRouter()


@router.get("/boom")
def boom() -> None:
    raise RuntimeError("a secret detail")


@router.post("/conflict")
def conflict(session: SessionDep) -> None:
    make_project(session, name="Half done")
    raise Conflict("Somebody was faster.")


@router.get("/invalid")
def invalid() -> None:
    raise InvalidInput("Two things are wrong.", errors=["line 1: no image", "line 2: no answer"])


@router.get("/private")
def private() -> None:
    raise NotSignedIn("Please sign in.")


@router.get("/numbers/{number}")
def numbers(number: int, page: int = 1) -> dict[str, int]:
    return {"number": number, "page": page}


@pytest.fixture
def app(services: EmbeddedServices) -> FastAPI:
    """These tests add routes to the application."""
    return create_app()


@pytest.fixture
def browser(client: TestClient) -> TestClient:
    assert isinstance(client.app, FastAPI)
    client.app.include_router(router)
    return client


def page(response: object) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")  # type: ignore[attr-defined]


def test_unknown_address_is_a_404_page(browser: TestClient) -> None:
    response = browser.get("/nowhere")
    assert response.status_code == 404
    assert page(response).select_one("h1").text == "Not found"


def test_wrong_method_is_405(browser: TestClient) -> None:
    response = browser.post("/invalid")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"


def test_word_where_a_number_belongs_is_404(browser: TestClient) -> None:
    assert browser.get("/numbers/abc").status_code == 404


def test_wrong_query_is_422_and_names_the_field(browser: TestClient) -> None:
    response = browser.get("/numbers/1?page=x")
    assert response.status_code == 422
    assert page(response).select_one("main li").text.startswith("page:")


def test_crash_says_nothing_of_its_cause(browser: TestClient) -> None:
    response = browser.get("/boom")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["X-Request-ID"] in response.text
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


def test_conflict_keeps_its_status_and_rolls_back(browser: TestClient, session: Session) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        response = browser.post("/conflict", headers=headers)
        assert response.status_code == 409
        assert page(response).select_one(".lede").text == "Somebody was faster."
    assert browser.get("/projects/half-done").status_code in {303, 404}


def test_invalid_input_lists_every_line(browser: TestClient) -> None:
    response = browser.get("/invalid")
    assert response.status_code == 422
    assert [item.text for item in page(response).select("main li")] == [
        "line 1: no image",
        "line 2: no answer",
    ]


def test_json_caller_gets_json(browser: TestClient) -> None:
    response = browser.get("/invalid", headers={"Accept": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"] == "Two things are wrong."
    assert len(response.json()["errors"]) == 2
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "input.invalid"
    assert (response.json()["status"], response.json()["title"]) == (422, HTTPStatus(422).phrase)


def test_refusals_of_one_status_have_codes_of_their_own() -> None:
    kinds = [Conflict, StaleVersion, InvalidTransition, LostRun, BaseChanged]
    assert {kind.status_code for kind in kinds} == {409}
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_not_signed_in_leads_to_sign_in_and_back(browser: TestClient) -> None:
    response = browser.get("/private?a=1")
    assert response.status_code == 303
    assert response.headers["Location"] == "/sign-in?next=/private%3Fa%3D1"


def test_htmx_not_signed_in_keeps_401_and_leads_back_to_the_page(browser: TestClient) -> None:
    response = browser.get(
        "/private",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/rounds/3/judge"},
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/sign-in?next=/rounds/3/judge"
