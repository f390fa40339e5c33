"""What is away for a while is a 503 that comes back by itself; what is our fault stays a 500."""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import anyio
import pytest
import redis
from bs4 import BeautifulSoup
from celery import Celery
from fastapi import APIRouter, FastAPI, Form
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.kit.db import get_engine, on_commit
from app.kit.settings import get_settings
from app.main import create_app
from app.web.access.deps import SessionDep

HTMX = {"HX-Request": "true"}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def raise_in_database(session: Session, code: str) -> None:
    session.execute(
        text(f"DO $$ BEGIN RAISE EXCEPTION 'it is so' USING ERRCODE = '{code}'; END $$")
    )


def write_read_only(session: Session) -> None:
    session.execute(text("SET TRANSACTION READ ONLY"))
    session.execute(text("CREATE TABLE never (n int)"))


def lose_the_connection(session: Session) -> None:
    session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def wait_for_a_lock(session: Session) -> None:
    with get_engine().connect() as other:
        other.execute(text("LOCK TABLE project"))
        session.execute(text("SET LOCAL lock_timeout = 10"))
        session.execute(text("LOCK TABLE project"))


def take_every_connection(_: Session) -> None:
    url = get_settings().resolve_database_url()
    few = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    try:
        with few.connect(), few.connect():
            pass
    finally:
        few.dispose()


def reach_no_database(_: Session) -> None:
    create_engine(f"postgresql+psycopg://x@127.0.0.1:{closed_port()}/x").connect()


def reach_no_redis(_: Session) -> None:
    redis.Redis.from_url(f"redis://127.0.0.1:{closed_port()}/0").ping()


def reach_a_silent_redis(_: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with redis.Redis.from_url(f"redis://127.0.0.1:{port}/0", socket_timeout=0.05) as client:
            client.ping()


def reach_no_broker(_: Session) -> None:
    options = {"max_retries": 0, "socket_connect_timeout": 1}
    celery = Celery(broker=f"redis://127.0.0.1:{closed_port()}/0")
    with celery.connection_for_write(transport_options=options) as connection:
        celery.amqp.Producer(connection, auto_declare=False).publish("x", routing_key="cpu")


def fill_the_disk(_: Session) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")


def write_where_only_reading_is_allowed(_: Session) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


DISK = "The server cannot store anything at the moment: its disk is full."
READ_ONLY = "The server cannot store anything at the moment: it may only be read."
DATABASE = "The database cannot be reached at the moment."
BUSY = "Somebody else is changing the same at this moment."
CROWD = "More people are at work than the server keeps up with at the moment."
REDIS = "A part of the server (Redis) cannot be reached at the moment."

Trouble = Callable[[Session], None]


def in_database(code: str) -> Trouble:
    return lambda session: raise_in_database(session, code)


OUTAGES: dict[str, tuple[Trouble, str]] = {
    "a full disk of the database": (in_database("53100"), DISK),
    "a full disk": (fill_the_disk, DISK),
    "a database that may only be read": (write_read_only, READ_ONLY),
    "a store that may only be read": (write_where_only_reading_is_allowed, READ_ONLY),
    "a database that is not there": (reach_no_database, DATABASE),
    "a connection that is cut": (lose_the_connection, DATABASE),
    "a server that stops": (in_database("57P01"), DATABASE),
    "a server that starts": (in_database("57P03"), DATABASE),
    "a server that cannot read its files": (in_database("58030"), DATABASE),
    "a transaction that was idle for too long": (in_database("25P03"), DATABASE),
    "a lock that is held": (wait_for_a_lock, BUSY),
    "a deadlock": (in_database("40P01"), BUSY),
    "a transaction that met another": (in_database("40001"), BUSY),
    "a statement that takes too long": (in_database("57014"), BUSY),
    "no free connection": (take_every_connection, CROWD),
    "too many connections": (in_database("53300"), CROWD),
    "a Redis that is not there": (reach_no_redis, REDIS),
    "a Redis that says nothing": (reach_a_silent_redis, REDIS),
    "a broker that is not there": (reach_no_broker, REDIS),
}


def ask_for_nonsense(session: Session) -> None:
    session.execute(text("SELECT nothing FROM nowhere"))


def break_a_rule(session: Session) -> None:
    session.execute(text("INSERT INTO membership (project_id, user_id) VALUES (-1, -1)"))


def open_no_file(_: Session) -> None:
    with Path("/nowhere/to/be/found").open("rb"):
        pass


OUR_FAULTS: dict[str, Trouble] = {
    "nonsense": ask_for_nonsense,
    "a broken rule": break_a_rule,
    "a row too large for its index": in_database("54000"),
    "an object in the wrong state": in_database("55000"),
    "a file that is not there": open_no_file,
    "an error of Redis itself": lambda _: (_ for _ in ()).throw(redis.ResponseError("WRONGTYPE")),
}


@pytest.fixture
def trouble() -> list[Trouble]:
    return []


@pytest.fixture
def browser(database: sessionmaker[Session], trouble: list[Trouble]) -> Iterator[TestClient]:
    """On connections of its own, as in life."""
    router = APIRouter()

    @router.get("/trouble")
    def read(session: SessionDep) -> None:
        trouble[0](session)

    @router.post("/trouble")
    def send(
        session: SessionDep,
        answer: Annotated[list[str], Form()],
        password: Annotated[str | None, Form()] = None,
    ) -> None:
        del answer, password
        trouble[0](session)

    app: FastAPI = create_app()
    app.include_router(router)
    with TestClient(app, follow_redirects=False) as client:
        yield client


def page(response: object) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")  # type: ignore[attr-defined]


def text_of(soup: BeautifulSoup, selector: str) -> str:
    found = soup.select_one(selector)
    assert found is not None, selector
    return found.get_text().strip()


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_is_a_503_that_comes_back_by_itself(
    name: str, browser: TestClient, trouble: list[Trouble], caplog: pytest.LogCaptureFixture
) -> None:
    cause, sentence = OUTAGES[name]
    trouble.append(cause)
    with caplog.at_level(logging.WARNING):
        response = browser.get("/trouble?page=2")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    shown = page(response)
    assert text_of(shown, ".lede") == sentence
    assert [link["href"] for link in shown.select("main a")] == ["/trouble?page=2"]  # nowhere else
    assert "comes back by itself" in text_of(shown, "[data-comes-back]")
    assert 'http-equiv="refresh"' in response.text.split("<noscript>")[1].split("</noscript>")[0]
    ours = [record for record in caplog.records if record.name == "app.web.http.errors"]
    assert len(ours) == 1
    assert ours[0].exc_info is None
    assert "\n" not in ours[0].getMessage()


@pytest.mark.parametrize("name", OUR_FAULTS)
def test_a_fault_of_ours_stays_a_500(
    name: str, browser: TestClient, trouble: list[Trouble]
) -> None:
    trouble.append(OUR_FAULTS[name])
    response = browser.get("/trouble")
    assert response.status_code == 500
    assert "Retry-After" not in response.headers
    assert "comes back by itself" not in response.text


def test_a_form_that_met_an_outage_is_kept_and_sent_again(
    browser: TestClient, trouble: list[Trouble]
) -> None:
    trouble.append(in_database("57P01"))
    response = browser.post("/trouble", data={"answer": ["<b>", "two"]})
    assert response.status_code == 503
    shown = page(response)
    form = shown.select_one("form[data-comes-back]")
    assert form is not None
    assert form["method"] == "post"
    assert not form.has_attr("action")  # the same address again
    kept = [(field["name"], field["value"]) for field in form.select("input[type=hidden]")]
    assert kept == [("answer", "<b>"), ("answer", "two")]
    assert "sends it again by itself" in text_of(shown, "[data-needs-script]")
    assert text_of(shown, "form[data-comes-back] button") == "Send it again"


def test_a_password_is_not_kept_in_a_page(browser: TestClient, trouble: list[Trouble]) -> None:
    trouble.append(in_database("57P01"))
    response = browser.post("/trouble", data={"answer": "x", "password": "not to be shown"})
    assert response.status_code == 503
    assert "not to be shown" not in response.text
    assert "Go back in a moment, and send it again." in response.text


def test_a_piece_of_a_page_and_json_say_the_same(
    browser: TestClient, trouble: list[Trouble]
) -> None:
    trouble.append(in_database("53100"))
    piece = browser.get("/trouble", headers=HTMX)
    assert (piece.status_code, piece.headers["Retry-After"]) == (503, "5")
    assert text_of(page(piece), ".lede") == DISK
    answer = browser.get("/trouble", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json() == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": DISK,
        "code": "service.away",
        "errors": [],
    }


def test_a_statement_that_failed_leaves_the_next_request_in_peace(
    browser: TestClient, trouble: list[Trouble], services: EmbeddedServices
) -> None:
    trouble.append(lose_the_connection)
    assert browser.get("/trouble").status_code == 503
    trouble[0] = lambda session: session.execute(text("SELECT 1"))  # type: ignore[assignment,return-value]
    assert browser.get("/trouble").status_code == 200


def test_what_follows_a_commit_holds_no_place_of_others(database: sessionmaker[Session]) -> None:
    """A message to a broker that is slow keeps nobody from the database: here there is one place,
    and the message of the first request leaves only once a second one has been answered."""
    is_sending, others_answered = threading.Event(), threading.Event()
    router = APIRouter()

    def send_slowly() -> None:
        is_sending.set()
        others_answered.wait(20)

    @router.post("/send")
    def send(session: SessionDep) -> None:
        on_commit(session, send_slowly)

    @router.get("/read")
    def read(session: SessionDep) -> int | None:
        return session.scalar(text("SELECT 1"))

    app = create_app()
    app.include_router(router)
    app.state.places = anyio.Semaphore(1)
    with TestClient(app) as client, ThreadPoolExecutor(1) as other:
        sending = other.submit(client.post, "/send")
        assert is_sending.wait(20)
        assert client.get("/read").json() == 1
        others_answered.set()
        assert sending.result(20).status_code == 200
