"""Who may change things, what every answer carries, and how large a body may be."""

import logging
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.kit.settings import Settings, get_settings
from app.main import create_app
from app.web.http.middleware import FORM_BYTES, SameOrigin, SpreadConnections, origin_of
from tests.support.browsing import sign_in
from tests.support.factories import make_user

OWN = "http://testserver"
FOREIGN = "https://evil.example"

# (Sec-Fetch-Site, Origin, let through); None: the header is not sent.
TRUTH = [
    ("same-origin", OWN, True),
    ("same-origin", None, True),
    ("none", None, True),
    ("same-site", "http://other.testserver", False),
    ("cross-site", FOREIGN, False),
    ("cross-site", OWN, False),  # the browser's word counts more than an Origin
    ("", OWN, False),
    ("nonsense", None, False),
    (None, OWN, True),
    (None, OWN.upper(), True),
    (None, FOREIGN, False),
    (None, "https://testserver", False),
    (None, "http://testserver:8080", False),
    (None, "http://testserver.evil.example", False),
    (None, "null", False),
    (None, "", False),
    (None, None, True),  # no browser: a script of ours, or curl
]


@pytest.fixture
def app(services: EmbeddedServices) -> FastAPI:
    """These tests add routes to the application."""
    return create_app()


@pytest.mark.parametrize(("site", "origin", "is_let_through"), TRUTH)
def test_who_may_post(
    client: TestClient, site: str | None, origin: str | None, is_let_through: bool
) -> None:
    given = {"Sec-Fetch-Site": site, "Origin": origin}
    headers = {name: value for name, value in given.items() if value is not None}
    response = client.post("/sign-out", headers=headers)
    assert response.status_code == (303 if is_let_through else 403)
    if not is_let_through:
        assert "another site" in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_method_that_changes_things_is_looked_at(client: TestClient, method: str) -> None:
    response = client.request(method, "/sign-in", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_never_refused(client: TestClient, method: str) -> None:
    response = client.request(method, "/sign-in", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code != 403


def test_a_refused_request_reaches_no_handler(client: TestClient, session: Session) -> None:
    sign_in(client, session, make_user(session))
    refused = client.post("/sign-out", headers={"Origin": FOREIGN})
    assert "Set-Cookie" not in refused.headers
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize(
    ("origin", "is_let_through"),
    [("https://illume.example.org", True), ("http://testserver", False), (None, True)],
)
def test_behind_a_proxy_the_public_address_counts(origin: str | None, is_let_through: bool) -> None:
    settings = Settings(public_url="https://illume.example.org/")
    check = SameOrigin(lambda *_: None, settings=settings, error_page=lambda *_: None)  # type: ignore[arg-type,return-value]
    headers = [(b"host", b"testserver")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "scheme": "http"}
    assert check.is_ours(Request(scope)) is is_let_through


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Example.org:80/path", "http://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("https://example.org:8443/", "https://example.org:8443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_origins_are_written_as_browsers_write_them(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/sign-in", "/nowhere", "/static/app.css", "/health/live"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "X-Request-ID" in headers
        assert "Strict-Transport-Security" not in headers  # plain HTTP on this machine


def test_pages_are_not_stored_and_differ_for_htmx(client: TestClient) -> None:
    headers = client.get("/sign-in").headers
    assert headers["Cache-Control"] == "no-store"
    assert "HX-Request" in headers["Vary"]


def test_static_files_are_kept_only_under_their_version(client: TestClient) -> None:
    assert "immutable" in client.get("/static/app.css?v=abc").headers["Cache-Control"]
    assert client.get("/static/app.css").headers["Cache-Control"] == "no-cache"
    assert client.get("/static/../app/main.py").status_code == 404


def test_request_id_of_a_proxy_is_kept_when_it_is_one(client: TestClient) -> None:
    kept = client.get("/health/live", headers={"X-Request-ID": "0123456789abcdef"})
    assert kept.headers["X-Request-ID"] == "0123456789abcdef"
    made = client.get("/health/live", headers={"X-Request-ID": "bad id\x01"})
    assert made.headers["X-Request-ID"].isalnum()


def test_log_has_one_line_per_request_and_no_link(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="app.web"):
        client.get("/sign-in/link/very-secret-token")
        client.get("/static/app.css")
    lines = [record.getMessage() for record in caplog.records if record.name == "app.web"]
    assert len(lines) == 1
    assert "secret" not in lines[0]
    assert lines[0].startswith("GET /sign-in/link/… 410 in ")


def test_a_crash_shows_no_link_and_begins_no_line(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @client.app.get("/join/{token}/crash/{rest}")  # type: ignore[attr-defined]
    def crash(token: str, rest: str) -> None:
        raise RuntimeError("broken")

    client.get("/join/very-secret-token/crash/%0Aforged%1B[31m")
    lines = [record.getMessage() for record in caplog.records if record.name == "app.web"]
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("GET /join/…/crash/%0Aforged%1B%5B31m ")
        assert line.isprintable()


def test_a_body_that_grows_too_large_is_stopped(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"name=" + b"x" * FORM_BYTES
        yield b"x" * FORM_BYTES

    response = client.post(
        "/sign-in",
        content=chunks(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 413
    honest = client.post("/sign-in", content=b"x" * (FORM_BYTES + 1))
    assert honest.status_code == 413


def test_crash_is_logged_with_the_request_id(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @client.app.get("/crash")  # type: ignore[attr-defined]
    def crash() -> None:
        raise RuntimeError("a secret detail")

    response = client.get("/crash", headers={"X-Request-ID": "0123456789abcdef"})
    assert response.status_code == 500
    record = next(record for record in caplog.records if record.exc_info)
    assert "GET /crash crashed" in record.getMessage()
    assert record.request_id == "0123456789abcdef"  # type: ignore[attr-defined]


def test_app_is_made_without_touching_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    get_settings.cache_clear()
    try:
        assert create_app().title == "ILLUME"
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


@pytest.mark.parametrize(("n_processes", "n_closed"), [(1, 0), (2, 2)])
def test_connections_are_spread_over_several_processes_only(
    monkeypatch: pytest.MonkeyPatch, n_processes: int, n_closed: int
) -> None:
    monkeypatch.setenv("WEB_PROCESSES", str(n_processes))
    get_settings.cache_clear()
    try:
        app = create_app()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    with TestClient(app) as client:
        n_answers = 2 * SpreadConnections.N_ANSWERS
        answers = [client.get("/health/live") for _ in range(n_answers)]
    assert {answer.status_code for answer in answers} == {200}
    closing = [answer for answer in answers if answer.headers.get("Connection") == "close"]
    assert len(closing) == n_closed
