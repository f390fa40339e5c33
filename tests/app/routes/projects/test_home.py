"""The start page: whose projects it shows, own progress, and the colours of the pages."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role, RoundStatus
from app.models import Project, Round, User
from app.services.judging import opening
from app.web.pages.judging.today import day_start
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import submit


def project_with_round(
    session: Session, name: str, status: RoundStatus = RoundStatus.JUDGING, n_items: int = 2
) -> tuple[Project, Round]:
    project = make_project(session, name=name)
    round_ = make_round(session, project, status=status)
    for _ in range(n_items):
        make_round_item(session, round_, make_item(session, project))
    return project, round_


def judge_one(session: Session, round_: Round, user: User, now: datetime) -> None:
    judgement = opening.open_next_item(session, round_, user, now=now)
    assert judgement is not None
    submit(session, judgement, none_fits=True, now=now)


def test_anonymous_people_sign_in_first(client: TestClient) -> None:
    assert client.get("/").headers["Location"] == "/sign-in?next=/"


def test_annotators_see_their_projects_and_what_is_open(
    client: TestClient, session: Session
) -> None:
    user = make_user(session, name="Noor")
    mine, round_ = project_with_round(session, "Mine")
    learning, _ = project_with_round(session, "Learning", RoundStatus.TRAINING)
    project_with_round(session, "Not mine")
    for project in (mine, learning):
        make_membership(session, project, user)
    response = sign_in(client, session, user).get("/")
    assert [title.get_text(strip=True) for title in page(response).select(".card h2")] == [
        "Learning",
        "Mine",
    ]
    starts = page(response).select("a.btn--primary")
    assert [link["href"] for link in starts] == [f"/rounds/{round_.id}/judge"]
    assert "The model is learning" in text_of(response, ".card:nth-of-type(1)")
    assert "Manage" not in response.text
    assert "Not mine" not in response.text


def test_own_progress_counts_today_and_the_round(client: TestClient, session: Session) -> None:
    user = make_user(session)
    project, round_ = project_with_round(session, "Mine", n_items=4)
    make_membership(session, project, user)
    now = datetime.now(UTC)
    judge_one(session, round_, user, now - timedelta(days=2))
    judge_one(session, round_, user, now)
    judge_one(session, round_, make_user(session), now)
    response = sign_in(client, session, user).get("/")
    assert "You judged 1 item today" in text_of(response, ".lede")
    assert "By you: 2 items, 1 of them today" in text_of(response, ".card")
    assert one(response, ".card progress")["value"] == "3"
    assert one(response, ".card progress")["max"] == "4"


def test_admins_of_a_project_get_the_way_to_manage_it(client: TestClient, session: Session) -> None:
    user = make_user(session)
    project, _ = project_with_round(session, "Mine")
    make_membership(session, project, user, Role.ADMIN)
    response = sign_in(client, session, user).get("/")
    assert one(response, f".card a[href='/projects/{project.slug}']").get_text() == "Manage"


def test_administrators_see_all_projects_or_how_to_make_one(
    client: TestClient, session: Session
) -> None:
    admin = sign_in(client, session, make_user(session, is_admin=True))
    assert page(admin.get("/")).select("a[href='/projects/new']")
    project_with_round(session, "Anybody's")
    session.commit()
    assert "Anybody's" in text_of(admin.get("/"), ".card h2")


def test_people_without_a_project_learn_how_to_join(client: TestClient, session: Session) -> None:
    response = sign_in(client, session, make_user(session)).get("/")
    assert "invite link" in text_of(response, ".empty")


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("UTC", "2026-05-04T00:00:00+00:00"),
        ("Asia/Tokyo", "2026-05-05T00:00:00+09:00"),
        ("America/New_York", "2026-05-04T00:00:00-04:00"),
        ("../../etc/passwd", "2026-05-04T00:00:00+00:00"),
        ("", "2026-05-04T00:00:00+00:00"),
    ],
)
def test_today_begins_at_midnight_where_the_reader_is(zone: str, start: str) -> None:
    now = datetime(2026, 5, 4, 20, 0, tzinfo=UTC)
    assert day_start({"tz": zone}, now).isoformat() == start


def test_colours_are_chosen_without_script_too(client: TestClient) -> None:
    response = client.post("/theme", data={"theme": "dark", "next": "/sign-in"})
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")
    assert one(client.get("/sign-in"), "html")["data-theme"] == "dark"
    client.post("/theme", data={"theme": "system"})
    assert not one(client.get("/sign-in"), "html").has_attr("data-theme")


def test_colours_lead_nowhere_else(client: TestClient) -> None:
    response = client.post("/theme", data={"theme": "dark", "next": "https://evil.example"})
    assert response.headers["Location"] == "/"
    assert client.post("/theme", data={"theme": "<b>"}).status_code == 422


def test_browsers_find_the_mark_where_they_look_by_themselves(client: TestClient) -> None:
    """For answers that are no page of ours; before anybody has signed in, too."""
    answer = client.get("/favicon.ico", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.content.startswith(b"<svg")
