"""What people see where a model doubts its own rationale: a warning, and never a verdict."""

import pytest
from bs4 import Tag
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Project, Round
from app.round_settings import LoopSettings
from app.services.judging.keys import CONTINUE, SHOW_TRACE
from tests.support.browsing import page, sign_in
from tests.support.factories import make_membership, make_user
from tests.support.quality.doubts import make_probed, make_probed_round, probed, probed_settings

TEXTS = {
    "the ball is blue": probed("red", "blue"),
    "the ball is red": probed("red", "red"),
    "it is so": None,
}


def member_of(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session)
    make_membership(session, session.get_one(Project, round_.project_id), user)
    return sign_in(client, session, user)


def make_shown(session: Session, settings: LoopSettings | None = None) -> Round:
    round_ = make_probed_round(session, settings)
    make_probed(session, round_, TEXTS)
    return round_


def offers(client: TestClient, round_: Round) -> dict[str, Tag]:
    """What stands around each rationale, by its text."""
    response = client.get(f"/rounds/{round_.id}/judge")
    assert response.status_code == 200, response.text
    found = page(response).select(".offer")
    return {offer.select(".choice__text")[0].get_text(): offer for offer in found}


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def test_where_two_answers_differ_people_are_warned(client: TestClient, session: Session) -> None:
    round_ = make_shown(session)
    shown = offers(member_of(client, session, round_), round_)
    assert set(shown) == set(TEXTS)
    (warning,) = shown["the ball is blue"].select("details.trace")
    assert not warning.has_attr("open")
    place = warning.select("summary .visually-hidden")[0].get_text()
    assert words(warning.select("summary")[0]) == (
        f"The model is in doubt {place} 1 of 2 answers differs"
    )
    assert place.startswith("about rationale ")
    (turn,) = [list(map(words, turn.select(".turn__line"))) for turn in warning.select("ol > li")]
    assert turn == ["Asked what color is ball 2?", "From the image red", "From the rationale blue"]
    assert "Either can be wrong" in words(warning)
    assert warning.select("input") == [], "there is nothing to say of it"
    for text in ("the ball is red", "it is so"):
        assert shown[text].select("details.trace") == []


def test_a_round_can_be_measured_without_a_warning(client: TestClient, session: Session) -> None:
    round_ = make_shown(session, probed_settings(warns=False))
    shown = offers(member_of(client, session, round_), round_)
    assert set(shown) == set(TEXTS)
    assert all(offer.select("details.trace") == [] for offer in shown.values())


@pytest.mark.parametrize(("warns", "has_key"), [(True, True), (False, False)])
def test_the_key_that_opens_warnings_is_there_with_them(
    client: TestClient, session: Session, *, warns: bool, has_key: bool
) -> None:
    round_ = make_shown(session, probed_settings(warns=warns))
    shown = page(member_of(client, session, round_).get(f"/rounds/{round_.id}/judge"))
    assert bool(shown.select(f'[data-key-action="{SHOW_TRACE}"]')) is has_key
    assert shown.select(f'[data-key-action="{CONTINUE}"]') == []
