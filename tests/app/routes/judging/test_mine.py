"""A person's own page: what they did today, their pace, their last items, and nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from bs4 import Tag
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import RoundStatus
from app.models import Judgement, Project, Round, User
from app.queries.projects.projects import find_membership
from app.services.judging import opening
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import submit
from tests.support.rounds.asked_questions import AskedRound, choose, open_image
from tests.support.rounds.asked_questions import submit as ask_submit


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Scenes")


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    round_ = make_round(session, project)
    for number in range(5):
        item = make_item(session, project, question=f"what is number {number}?")
        make_round_item(session, round_, item, slots=2)
    return round_


def member(session: Session, project: Project, name: str) -> User:
    user = make_user(session, name=name)
    make_membership(session, project, user)
    return user


def judge(
    session: Session, round_: Round, user: User, *, seconds: int = 10, days_ago: int = 0
) -> Judgement:
    """Submit the next item, long enough after it was handed out for the seconds to count."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    judgement = opening.open_next_item(session, round_, user, now=at - timedelta(minutes=2))
    assert judgement is not None
    return submit(session, judgement, none_fits=True, active_ms=seconds * 1000, now=at)


def tiles(client: TestClient) -> dict[str, str]:
    return {
        tile.select_one("dt").text: tile.select_one("dd").text  # type: ignore[union-attr]
        for tile in page(client.get("/mine")).select(".tile")
    }


def test_today_pace_and_days_are_my_own(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    noor, lin = member(session, project, "Noor"), member(session, project, "Lin")
    for seconds in (10, 20, 60):
        judge(session, round_, noor, seconds=seconds)
    judge(session, round_, noor, days_ago=2)
    judge(session, round_, noor, days_ago=40)
    for _ in range(4):
        judge(session, round_, lin, seconds=100)
    sign_in(client, session, noor)
    assert tiles(client) == {
        "Items judged": "3",
        "Time at it": "90 s",
        "Pace": "120 an hour",
        "One item": "20 s",
    }
    shown = client.get("/mine")
    days = page(shown).select("tbody tr")
    assert [row.select("td")[0].text for row in days] == ["3", "1"], "two weeks, no longer"
    assert "Lin" not in shown.text
    assert len(page(shown).select(".rows__row")) == 5


def test_items_can_be_taken_back_while_their_round_is_open(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    noor = member(session, project, "Noor")
    judge(session, round_, noor)
    sign_in(client, session, noor)
    form = page(client.get("/mine")).select_one(".rows__row form")
    assert form is not None
    assert str(form["action"]).endswith("/take-back")
    assert client.post(str(form["action"])).status_code == 303
    assert text_of(client.get("/mine"), ".rows__row .badge") == "begun"
    round_.status = RoundStatus.TRAINING
    session.flush()
    shown = client.get("/mine")
    assert not page(shown).select(".rows__row form")
    assert page(shown).select_one(".rows__row a") is not None


def test_a_project_that_was_left_shows_nothing_any_more(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    noor = member(session, project, "Noor")
    judge(session, round_, noor)
    sign_in(client, session, noor)
    assert tiles(client)["Items judged"] == "1"
    membership = find_membership(session, project.id, noor.id)
    assert membership is not None
    session.delete(membership)
    session.flush()
    shown = client.get("/mine")
    assert "Nothing judged yet" in shown.text
    assert "number" not in shown.text


def test_a_day_begins_where_the_reader_is(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    noor = member(session, project, "Noor")
    judge(session, round_, noor)
    sign_in(client, session, noor)
    client.cookies.set("tz", "Pacific/Kiritimati")
    assert tiles(client)["Items judged"] == "1"
    client.cookies.set("tz", "no/where")
    assert client.get("/mine").status_code == 200


def test_signed_out_people_are_sent_to_sign_in(client: TestClient) -> None:
    assert client.get("/mine").headers["location"].startswith("/sign-in")


def test_decisions_on_questions_are_listed_and_taken_back_from_there(
    client: TestClient, session: Session
) -> None:
    asked = AskedRound(session, n_images=3)
    for place in range(3):
        asked.ask(place)
    noor, other = asked.add_member(), asked.add_member()
    first = open_image(session, asked.project, noor)
    ask_submit(session, first, choose(session, first, keep=["what color is the sofa?"]))
    second = open_image(session, asked.project, noor)
    ask_submit(session, second, choose(session, second, drops_all=True))
    theirs = open_image(session, asked.project, other)
    ask_submit(session, theirs, choose(session, theirs, drops_all=True))
    session.commit()
    sign_in(client, session, noor)
    for address, names in (("/mine", True), (f"/rounds/{asked.round.id}/mine", False)):
        lines = [line.get_text(" ", strip=True) for line in questions_of(client, address)]
        assert ["all dropped" in line for line in lines] == [True, False]
        assert "kept: 1, dropped: 1" in lines[1]
        assert (asked.project.name in lines[1]) is names
    [newest, kept] = questions_of(client, "/mine")
    used = asked.made_items()[0]
    make_round_item(session, asked.round, used)
    session.commit()
    [newest, kept] = questions_of(client, "/mine")
    assert kept.select_one("form") is None, "a round has taken its item up"
    form = newest.select_one("form")
    assert form is not None
    assert client.post(str(form["action"])).status_code == 303
    lines = [line.get_text(" ", strip=True) for line in questions_of(client, "/mine")]
    assert "submitted" in lines[0]
    assert "begun" in lines[1]
    asked.project.archived_at = datetime.now(UTC)
    session.commit()
    assert not [line for line in questions_of(client, "/mine") if line.select("form")]


def questions_of(client: TestClient, address: str) -> list[Tag]:
    return list(page(client.get(address)).select("#own-questions .rows__row"))
