"""The part of a round's page that compares its adapter with the one before, and who judges it."""

import re

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import ComparisonFigures, Figure
from app.lifecycle import JudgementStatus, Purpose, Role, RoundItemState, RoundStatus, RunStatus
from app.models import Comparison, Judgement, Project, Round, RoundItem, Run, User
from app.queries.rounds.round_items import open_mixed_in
from app.services.projects.removal import archive_project
from app.web.pages.rounds.comparison import words_of
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_item, make_membership, make_round_item, make_user
from tests.support.judging import gather_now, make_people, submit
from tests.support.quality.anchors import places_of, start_next
from tests.support.quality.comparisons import (
    judge_for_the_new,
    make_compared_round,
    make_mixed,
    make_sampled,
    new_ids,
    sample_comparison,
)


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 2)


@pytest.fixture
def first(session: Session, people: list[User]) -> Round:
    return make_compared_round(session, people)


@pytest.fixture
def project(session: Session, first: Round) -> Project:
    return session.get_one(Project, first.project_id)


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def said(admin: TestClient, round_: Round) -> str:
    return text_of(admin.get(f"/rounds/{round_.id}"), "#comparison")


def test_an_admin_asks_for_so_many_items_and_sees_how_far_they_are(
    admin: TestClient, session: Session, first: Round, people: list[User]
) -> None:
    url = f"/rounds/{first.id}"
    form = page(admin.get(url)).select_one("#comparison form")
    assert form is not None
    assert form.select_one("[name=items]")["max"] == "6"  # type: ignore[index]
    assert "beside the base model" in said(admin, first)
    asked = admin.post(f"{url}/comparison", data={"items": "4"}, follow_redirects=False)
    assert (asked.status_code, asked.headers["location"]) == (303, url)
    assert "Texts of both are being sampled for 4 test items." in said(admin, first)
    comparison = session.scalars(select(Comparison)).one()
    sample_comparison(session, comparison)
    assert "4 items wait for the next round that people judge." in said(admin, first)
    second = start_next(session, first)
    open_mixed_in(session, second.id, 1.0)
    assert "0 of 4 items are judged." in said(admin, first)
    judge_for_the_new(session, second, people, comparison)
    assert "4 of 4 items are judged." in said(admin, first)
    assert text_of(admin.get(url), "#measure-comparison") == "Measure now"
    gather_now(session, first)
    shown = said(admin, first)
    assert "The new adapter is preferred: it won 4 of the 4 items" in shown
    assert "8 judgements by 2 people." in shown
    assert page(admin.get(url)).select("#comparison form") == []
    assert admin.post(f"{url}/comparison/cancel").status_code == 409
    # The round that showed them says nothing of it, and made no adapter yet.
    assert page(admin.get(f"/rounds/{second.id}")).select("#comparison") == []


def test_of_several_strategies_an_admin_chooses_whose_adapters_are_compared(
    admin: TestClient, session: Session, first: Round
) -> None:
    make_mixed(session, first)
    url = f"/rounds/{first.id}"
    offered = page(admin.get(url)).select("#comparison-strategy option")
    assert [option["value"] for option in offered] == ["direct", "monologue"]
    refused = admin.post(f"{url}/comparison", data={"items": "2", "strategy": "perception"})
    assert refused.status_code == 409
    assert "perception made no adapter in round 1" in text_of(refused, ".lede")
    admin.post(f"{url}/comparison", data={"items": "2", "strategy": "monologue"})
    shown = said(admin, first)
    assert "Of the strategy monologue alone." in shown
    assert "beside the base model" in shown
    assert "of monologue asked for, on 2 test items" in admin.get(url).text


@pytest.mark.parametrize("items", ["", "many", "0", "-3", "9" * 30])
def test_an_odd_number_of_items_is_refused(admin: TestClient, first: Round, items: str) -> None:
    refused = admin.post(f"/rounds/{first.id}/comparison", data={"items": items})
    assert refused.status_code == 422
    assert "from 1 to 500" in text_of(refused, ".lede")


def test_it_can_be_cancelled_and_a_failed_sampling_retried(
    admin: TestClient, session: Session, first: Round
) -> None:
    url = f"/rounds/{first.id}"
    admin.post(f"{url}/comparison", data={"items": "2"})
    run = session.scalars(select(Run).join(Comparison, Comparison.run_id == Run.id)).one()
    run.status, run.error, run.finished_at = RunStatus.FAILED, "no memory", first.created_at
    session.flush()
    assert "The sampling failed" in said(admin, first)
    admin.post(f"{url}/comparison/retry")
    assert "being sampled" in said(admin, first)
    assert admin.post(f"{url}/comparison/retry").status_code == 409
    asked = admin.get(f"{url}/comparison/cancel")
    assert text_of(asked, "h1") == f"Cancel the comparison of round {first.number}?"
    assert "0 of 2 items are judged." in text_of(asked, "main")
    assert "being sampled" in said(admin, first), "nothing is cancelled by looking"
    admin.post(f"{url}/comparison/cancel")
    assert page(admin.get(url)).select_one("#ask-comparison") is not None
    assert admin.get(f"{url}/comparison/cancel").status_code == 409


def test_an_annotator_and_a_stranger_cannot_ask(
    client: TestClient, session: Session, first: Round, people: list[User]
) -> None:
    for user, status in ((people[0], 403), (make_user(session), 404)):
        browser = sign_in(client, session, user)
        for act in ("", "/cancel", "/retry"):
            assert browser.post(f"/rounds/{first.id}/comparison{act}").status_code == status
        assert browser.get(f"/rounds/{first.id}/comparison/cancel").status_code == status


def test_an_archived_project_shows_no_form(
    admin: TestClient, session: Session, project: Project, first: Round
) -> None:
    archive_project(session, project, actor=None)
    assert page(admin.get(f"/rounds/{first.id}")).select("#ask-comparison") == []
    assert admin.post(f"/rounds/{first.id}/comparison", data={"items": "1"}).status_code == 409


def test_a_critic_is_named_as_one(admin: TestClient, session: Session, people: list[User]) -> None:
    first = make_compared_round(session, people, judges="rouge:0.5")
    make_sampled(session, first)
    owner = make_user(session, is_admin=True)
    shown = text_of(sign_in(admin, session, owner).get(f"/rounds/{first.id}"), "#comparison")
    assert "Judged by a critic (rouge:0.5), not by people." in shown


def test_the_page_of_the_round_says_that_what_is_left_measures(
    admin: TestClient, session: Session, first: Round
) -> None:
    make_sampled(session, first)
    second = start_next(session, first)
    for place in places_of(session, second, Purpose.TRAINING):
        place.state = RoundItemState.DONE
    second.status = RoundStatus.JUDGING
    open_mixed_in(session, second.id, 1.0)
    shown = admin.get(f"/rounds/{second.id}").text
    assert "Everything to train on is judged" in shown
    for place in places_of(session, second, Purpose.COMPARISON):
        place.state = RoundItemState.DONE
    session.flush()
    assert "Everything is judged" in admin.get(f"/rounds/{second.id}").text


def test_the_page_of_a_compared_item_is_that_of_any_other(
    client: TestClient, session: Session, project: Project, first: Round, people: list[User]
) -> None:
    """The same elements with the same attributes, and no word in its source that tells more."""
    comparison = make_sampled(session, first, n_items=5)
    second = start_next(session, first)
    for place in places_of(session, second, Purpose.TRAINING):
        place.state = RoundItemState.DONE
    texts = [f"a text of a train item, number {number}" for number in range(5)]
    for _ in range(5):
        make_round_item(session, second, make_item(session, project), texts=texts, slots=2)
    open_mixed_in(session, second.id, 1.0)
    browser = sign_in(client, session, people[0])
    pages: dict[Purpose, str] = {}
    orders = []
    for number in range(8):  # the last two have fewer next images to fetch ahead
        shown = browser.get(f"/rounds/{second.id}/judge")
        judgement = session.scalars(
            select(Judgement).where(Judgement.status == JudgementStatus.LEASED)
        ).one()
        purpose = session.get_one(RoundItem, judgement.round_item_id).purpose
        if number >= 2:  # the first ones have the guidelines open, and nothing to take back
            pages[purpose] = shown.text
        if purpose is Purpose.COMPARISON:
            orders.append([int(str(box["value"])) for box in page(shown).select("[name=picked]")])
        submit(session, judgement, picked=judgement.shown_order[:1])
    assert skeleton(pages[Purpose.COMPARISON]) == skeleton(pages[Purpose.TRAINING])
    source = re.sub(r"/static/\S+", "", pages[Purpose.COMPARISON]).lower()
    for word in ("compar", "anchor", "adapter", "origin", "held", "split", "purpose"):
        assert word not in source, word
    # The order is this person's own, and not that of the numbers or of who drew what.
    new = new_ids(session, comparison)
    assert any(order != sorted(order) for order in orders)
    assert any(sorted(order, key=lambda id_: id_ in new) != order for order in orders)


def skeleton(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of a page in their order, each with the names of its attributes."""
    return [
        (element.name, tuple(sorted(element.attrs)))
        for element in BeautifulSoup(html, "html.parser").find_all(True)
    ]


def figure(value: float, low: float, high: float, n: int = 40) -> Figure:
    return Figure(value=value, low=low, high=high, n=n)


@pytest.mark.parametrize(
    ("win", "words"),
    [
        (figure(0.7, 0.55, 0.8), "The new adapter is preferred: it won 28 of the 40 items"),
        (figure(0.3, 0.2, 0.45), "The one before is preferred: the new adapter won 28"),
        (figure(0.5, 0.4, 0.6), "No difference is shown: the new adapter won 28"),
        (Figure(), "No difference: all 9 items that were judged are ties."),
    ],
)
def test_what_is_said_follows_the_interval(win: Figure, words: str) -> None:
    found = ComparisonFigures(n_judged=9, n_wins=28, win=win)
    assert words_of(found).startswith(words)
