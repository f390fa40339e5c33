"""How a rationale came about, as the judging page shows it and people mark it."""

import pytest
from bs4 import Tag
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import RoundStatus
from app.models import Project, Round
from app.services.judging.keys import SHOW_TRACE
from tests.support.browsing import page, sign_in
from tests.support.factories import (
    make_item,
    make_membership,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import BALL, CONE, MAT, make_episodes, make_monologue_round

WAYS = {
    "the cone is small and the ball is large": [(CONE, BALL), (BALL, CONE), (CONE, BALL), (MAT,)],
    "the ball is the larger one": [(BALL, BALL)],
    "they look different": [()],
}


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_monologue_round(session)
    make_episodes(session, round_, WAYS)
    return round_


@pytest.fixture
def noor(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session, name="Noor")
    make_membership(session, session.get_one(Project, round_.project_id), user)
    return sign_in(client, session, user)


def show(client: TestClient, round_: Round) -> Response:
    response = client.get(f"/rounds/{round_.id}/judge")
    assert response.status_code == 200, response.text
    return response


def offers(response: Response) -> dict[str, Tag]:
    """What stands around each rationale, by its text."""
    found = page(response).select(".offer")
    return {one.select_one(".choice__text").get_text(): one for one in found}  # type: ignore[union-attr]


def cancel(session: Session, round_: Round) -> None:
    """A project has one open round."""
    round_.status = RoundStatus.CANCELLED
    session.flush()


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def test_a_rationale_shows_the_looks_of_its_most_probable_draw(
    noor: TestClient, round_: Round
) -> None:
    shown = offers(show(noor, round_))
    assert set(shown) == set(WAYS)
    two = shown["the cone is small and the ball is large"]
    (trace,) = two.select("details.trace")
    assert not trace.has_attr("open")
    assert words(trace.select("summary")[0]).startswith("2 looks before rationale")
    assert [words(turn) for turn in trace.select("ol > li")] == [
        "Asked what size is the cone? Seen small",
        "Asked what size is the ball? Seen large",
    ]
    assert words(trace.select(".trace__answer")[0]) == "Then answered no"


def test_other_ways_to_a_rationale_are_counted_once_each(noor: TestClient, round_: Round) -> None:
    shown = offers(show(noor, round_))
    assert "and 2 other ways" in words(shown["the cone is small and the ball is large"])
    assert "other way" not in words(shown["the ball is the larger one"])
    assert "asked before" in words(shown["the ball is the larger one"])


def test_a_rationale_without_a_look_says_so(noor: TestClient, round_: Round) -> None:
    (trace,) = offers(show(noor, round_))["they look different"].select("details.trace")
    assert "Without a look" in words(trace)
    assert trace.select("li") == []


def test_ways_of_other_rounds_are_not_shown(
    session: Session, noor: TestClient, round_: Round
) -> None:
    project = session.get_one(Project, round_.project_id)
    item = make_item(session, project)
    newest = round_
    for number, looks in ((2, [CONE]), (3, [BALL])):
        cancel(session, newest)
        newest = make_monologue_round(session, project, number=number)
        make_episodes(session, newest, {"it is so": [looks]}, item=item)
    session.commit()
    text = show(noor, newest).text
    assert "what size is the ball?" in text
    assert "what size is the cone?" not in text


def test_the_key_for_traces_is_shown_where_there_are_any(
    session: Session, noor: TestClient, round_: Round
) -> None:
    assert page(show(noor, round_)).select(f'[data-key-action="{SHOW_TRACE}"]')
    project = session.get_one(Project, round_.project_id)
    cancel(session, round_)
    straight = make_round(session, project, number=2)
    make_round_item(session, straight, make_item(session, project))
    session.commit()
    response = show(noor, straight)
    assert not page(response).select(f'[data-key-action="{SHOW_TRACE}"], .trace')
