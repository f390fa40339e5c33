"""Page or fragment, redirect and toasts."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.main import create_app
from app.web.http.htmx import redirect, respond, toast
from tests.support.browsing import HTMX, one, page, text_of


@pytest.fixture
def app(services: EmbeddedServices) -> FastAPI:
    """These tests add routes to the application."""
    return create_app()


@pytest.fixture
def browser(client: TestClient) -> Iterator[TestClient]:
    app = client.app
    assert isinstance(app, FastAPI)
    context = {"status": 404, "message": "hello"}

    @app.get("/piece")
    def piece(request: Request) -> Response:
        toast(request, "Noted <b>", "warn")
        return respond(
            request, page="error.html", context=context, fragments=["account/_new_password.html"]
        )

    @app.post("/move")
    def move(request: Request) -> Response:
        return redirect(request, "/piece", toast_text="Moved")

    return client


def test_browser_gets_the_page_with_the_toast(browser: TestClient) -> None:
    response = browser.get("/piece")
    assert "<html" in response.text
    assert "Noted <b>" in text_of(response, "#toasts .toast--warn")


def test_htmx_gets_the_fragments_with_the_toast_beside_them(browser: TestClient) -> None:
    response = browser.get("/piece", headers=HTMX)
    assert "<html" not in response.text
    assert page(response).select("#field-password")
    assert "Noted <b>" in text_of(response, '[hx-swap-oob="beforeend:#toasts"]')


@pytest.mark.parametrize("extra", ["HX-Boosted", "HX-History-Restore-Request"])
def test_boosted_and_restored_requests_get_the_page(browser: TestClient, extra: str) -> None:
    assert "<html" in browser.get("/piece", headers=HTMX | {extra: "true"}).text


def test_toast_survives_a_redirect_and_is_shown_once(browser: TestClient) -> None:
    moved = browser.post("/move")
    assert (moved.status_code, moved.headers["Location"]) == (303, "/piece")
    toasts = [part.text.strip() for part in page(browser.get("/piece")).select(".toast span")]
    assert toasts == ["Moved", "Noted <b>"]
    again = [part.text.strip() for part in page(browser.get("/piece")).select(".toast span")]
    assert again == ["Noted <b>"]


def test_htmx_is_redirected_by_a_header_it_can_see(browser: TestClient) -> None:
    response = browser.post("/move", headers=HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (204, "/piece")
    assert "Moved" in browser.get("/piece").text


def test_a_forged_toast_is_not_shown(browser: TestClient, session: Session) -> None:
    name = browser.app.state.cookies.flash_name  # type: ignore[attr-defined]
    browser.cookies.set(name, "W1siYmFkIiwiZm9yZ2VkIl1d.x")
    assert "forged" not in browser.get("/piece").text
    assert one(browser.get("/piece"), "#toasts .toast")
