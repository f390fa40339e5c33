"""What a request of the judging page costs the database: statements, and one commit."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.kit import db
from app.kit.db import session_scope
from app.main import create_app
from app.models import Project, Round, RoundItem
from app.round_settings import JudgingSettings, LoopSettings
from app.services.accounts.accounts import make_sign_in_link
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

HTMX = {"HX-Request": "true"}
# Of each kind of request; those of signing in and of the session among them.
STATEMENTS = {"next": 5, "draft": 2, "heartbeat": 2, "submit": 5, "skip": 6, "leave": 2}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Statements and commits of the application's engine."""
    counts: Counter[str] = Counter()

    def statement(*_: object) -> None:
        counts["statements"] += 1

    def commit(_: object) -> None:
        counts["commits"] += 1

    engine = db.get_engine()
    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    yield counts
    event.remove(engine, "before_cursor_execute", statement)
    event.remove(engine, "commit", commit)


@pytest.fixture(params=["random", "fewest_first", "uncertainty"])
def round_id(database: sessionmaker[Session], request: pytest.FixtureRequest) -> int:
    settings = LoopSettings(
        judging=JudgingSettings(order=request.param, max_overlap=2, max_per_annotator=100)
    )
    with session_scope() as session:
        project = make_project(session)
        return make_round(session, project, settings=settings).id


def add_items(round_id: int, number: int) -> None:
    with session_scope() as session:
        round_ = session.get_one(Round, round_id)
        project = session.get_one(Project, round_.project_id)
        for _ in range(number):
            make_round_item(session, round_, make_item(session, project), max_slots=2)


@pytest.fixture
def noor(round_id: int) -> Iterator[TestClient]:
    with session_scope() as session:
        user = make_user(session)
        round_ = session.get_one(Round, round_id)
        make_membership(session, session.get_one(Project, round_.project_id), user)
        link = make_sign_in_link(session, user)
    with TestClient(create_app(), follow_redirects=False) as client:
        client.get(link)
        yield client


def ask(
    client: TestClient, kind: str, method: str, path: str, data: dict[str, str] | None = None
) -> str:
    with counted() as counts:
        response = client.request(method, path, data=data, headers=HTMX)
    assert response.status_code in {200, 204}, response.text
    assert counts == {"statements": STATEMENTS[kind], "commits": 1}, kind
    return response.text


def judge_one(client: TestClient, html: str) -> str:
    """A heartbeat, a draft and a submission; the next item."""
    path = f"/judgements/{id_in(html)}"
    ask(client, "heartbeat", "POST", f"{path}/heartbeat", {"active_ms": "5"})
    ask(client, "draft", "POST", f"{path}/draft", {"version": "0", "none_fits": "true"})
    return ask(client, "submit", "POST", f"{path}/submit", {"version": "1", "none_fits": "true"})


def id_in(html: str) -> str:
    found = re.search(r'data-judgement-id="(\d+)"', html)
    assert found, html
    return found[1]


def test_each_request_has_its_number_of_statements_and_one_commit(
    noor: TestClient, round_id: int
) -> None:
    """The same for the first item and the twentieth, and for a short and a long queue."""
    add_items(round_id, 5)
    page = f"/rounds/{round_id}/judge"
    noor.get(page)
    html = judge_one(noor, noor.get(page, headers=HTMX).text)
    add_items(round_id, 40)
    for _ in range(20):
        html = judge_one(noor, html)
    # As a browser without script: a redirect first.
    noor.post(f"/judgements/{id_in(html)}/submit", data={"version": "0", "none_fits": "true"})
    html = ask(noor, "next", "GET", page)
    html = ask(noor, "skip", "POST", f"/judgements/{id_in(html)}/skip", {"reason": "dark"})
    lease = re.search(r'data-lease="([^"]+)"', noor.get(page, headers=HTMX).text)
    assert lease
    ask(noor, "leave", "POST", f"/judgements/{id_in(html)}/leave", {"lease": lease[1]})


def test_submissions_stay_exact(noor: TestClient, round_id: int) -> None:
    add_items(round_id, 3)
    html = noor.get(f"/rounds/{round_id}/judge", headers=HTMX).text
    for _ in range(2):
        html = judge_one(noor, html)
    with session_scope() as session:
        taken = Counter(item.n_submitted for item in session.query(RoundItem))
    assert taken == {1: 2, 0: 1}
