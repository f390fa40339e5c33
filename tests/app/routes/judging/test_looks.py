"""Where a model looked, as the page of an item shows it: measured, being measured, or not."""

import pytest
from bs4 import Tag
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import RoundStatus
from app.models import Project, Round, Sample
from tests.support.browsing import page, sign_in
from tests.support.factories import make_membership, make_user
from tests.support.rounds.looks import TEXT, make_looks, make_map, make_perception_round


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_perception_round(session)
    make_looks(session, round_)
    return round_


@pytest.fixture
def noor(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session, name="Noor")
    make_membership(session, session.get_one(Project, round_.project_id), user)
    return sign_in(client, session, user)


def layer(response: Response) -> Tag:
    """What hiding changes, for the rationale of one look."""
    assert response.status_code == 200, response.text
    (offer,) = (one for one in page(response).select(".offer") if TEXT in one.get_text())
    (found,) = offer.select(".layer--occlusion")
    return found


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def measure(session: Session) -> None:
    for sample_id in session.scalars(select(Sample.id).where(Sample.log_probability == -1.0)):
        make_map(session, sample_id)


def test_a_map_that_comes_later_is_led_to_by_a_link(
    noor: TestClient, session: Session, round_: Round
) -> None:
    round_.status = RoundStatus.GENERATING
    shown = layer(noor.get(f"/rounds/{round_.id}/judge"))
    assert shown.has_attr("data-is-coming")
    (link,) = shown.select("a")
    assert words(link) == "Look again"
    path, _, place = str(link["href"]).partition("#")
    measure(session)
    again = noor.get(path)
    come = layer(again)
    assert not come.has_attr("data-is-coming")
    assert come.has_attr("open")
    assert "hiding that place lowers the answer's probability" in words(come)
    assert page(again).find(id=place) is not None


def test_what_was_not_measured_is_not_waited_for_once_the_round_is_sampled(
    noor: TestClient, round_: Round
) -> None:
    shown = layer(noor.get(f"/rounds/{round_.id}/judge"))
    assert not shown.has_attr("data-is-coming")
    assert "This was not measured." in words(shown)
    assert not shown.select("a")


def test_a_script_finds_the_map_in_the_fragment_of_the_item(
    noor: TestClient, session: Session, round_: Round
) -> None:
    round_.status = RoundStatus.GENERATING
    opened = noor.get(f"/rounds/{round_.id}/judge")
    number = page(opened).select("#answer")[0]["data-judgement-id"]
    measure(session)
    fragment = noor.get(f"/judgements/{number}", headers={"HX-Request": "true"})
    assert "<html" not in fragment.text
    assert page(fragment).select("#work .sight .layer--occlusion[open]")
    assert page(fragment).select("#work [data-without]")
