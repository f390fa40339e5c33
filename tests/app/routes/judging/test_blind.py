"""A round of several strategies is judged blind: nothing that a browser gets before an item is
judged tells which strategy a text is of."""

import json

import pytest
from bs4 import BeautifulSoup, Tag
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Candidate, Judgement, Project, Round, RoundItem
from app.services.judging.leases import shown_order
from tests.support.browsing import filled_in, one, page, sign_in, text_of
from tests.support.factories import make_membership, make_user
from tests.support.judging import BALL, CONE, branched, make_branch
from tests.support.rounds.mixed import (
    TELLTALE,
    make_drawn_item,
    make_mixed_round,
    swap_origins,
)


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_mixed_round(session)
    for _ in range(3):
        make_drawn_item(session, round_, slots=2)
    return round_


@pytest.fixture
def noor(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session, name="Noor")
    make_membership(session, session.get_one(Project, round_.project_id), user)
    return sign_in(client, session, user)


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def judgement_of(session: Session) -> Judgement:
    return session.scalars(select(Judgement).order_by(Judgement.id).limit(1)).one()


def all_that_a_browser_gets(client: TestClient, session: Session, round_: Round) -> list[str]:
    """The page, its fragment, the saved draft and refusals, as HTML and as JSON, before judging."""
    client.get(f"/rounds/{round_.id}/judge")
    judgement = judgement_of(session)
    url = f"/judgements/{judgement.id}"
    form = filled_in(one(client.get(url), "#answer"))
    htmx, as_json = {"HX-Request": "true"}, {"Accept": "application/json"}
    odd = {**form, "picked": ["999999"]}
    answers = [
        client.get(url),
        client.get(url, headers=htmx),
        client.get(f"/rounds/{round_.id}/judge", headers=htmx),
        client.get(f"/rounds/{round_.id}/mine"),
        client.post(f"{url}/draft", data=form, headers=htmx),
        client.post(f"{url}/submit", data=form, headers=htmx),
        client.post(f"{url}/submit", data=form, headers=as_json),
        client.post(f"{url}/submit", data=odd, headers=as_json),
        client.post(f"{url}/traces", headers=as_json),
        client.post(f"{url}/marks", data=form, headers=as_json),
        client.post(f"{url}/heartbeat", data={"active_ms": "0"}, headers=htmx),
    ]
    return [_plain(answer) for answer in answers]


def _plain(answer: Response) -> str:
    """An answer without what changes with every request: times, and numbers of requests."""
    if "json" in answer.headers["content-type"]:
        found = answer.json()
        found.pop("request_id", None)
        return json.dumps(found, sort_keys=True)
    soup = BeautifulSoup(answer.text, "html.parser")
    for tag in soup.find_all(attrs={"data-lease": True}):
        tag["data-lease"] = ""
    return str(soup)


def test_what_a_browser_gets_is_the_same_whoever_drew_the_texts(
    noor: TestClient, session: Session, round_: Round
) -> None:
    before = all_that_a_browser_gets(noor, session, round_)
    swap_origins(session, round_)
    after = all_that_a_browser_gets(noor, session, round_)
    assert before == after


def test_the_page_names_no_strategy_and_no_draw(
    noor: TestClient, session: Session, round_: Round
) -> None:
    work = one(noor.get(f"/rounds/{round_.id}/judge"), "#work")
    names = {name for tag in work.find_all(True) for name in tag.attrs}
    words = str(work).lower()
    texts = [tag.get_text().lower() for tag in work.select(".choice__text, h1")]
    for known in texts:
        words = words.replace(known, "")
    for telltale in TELLTALE:
        assert telltale not in words, telltale
        assert not any(telltale in name for name in names), telltale
    ids = {str(id_) for id_ in session.scalars(select(Candidate.id))}
    values = {tag.get("value") for tag in work.select("input[name=picked]")}
    assert values <= ids


def test_numbers_and_order_of_the_texts_do_not_follow_who_drew_them(
    session: Session, round_: Round
) -> None:
    """New candidates are numbered by their keys, and shown in an order that a key makes of their
    numbers: over many people every order comes."""
    for place in session.scalars(select(RoundItem)):
        candidates = session.scalars(
            select(Candidate).where(Candidate.item_id == place.item_id).order_by(Candidate.id)
        ).all()
        keys = [candidate.text_key for candidate in candidates]
        assert keys == sorted(keys)
        ids = [candidate.id for candidate in candidates]
        orders = {
            tuple(shown_order(round_, item_id=place.item_id, user_id=user, candidate_ids=ids))
            for user in range(200)
        }
        assert len(orders) == 6


def test_after_submitting_the_page_stays_and_shows_nothing_until_it_is_asked(
    noor: TestClient, session: Session, round_: Round
) -> None:
    noor.get(f"/rounds/{round_.id}/judge")
    judgement = judgement_of(session)
    url = f"/judgements/{judgement.id}"
    form = filled_in(one(noor.get(url), "#answer"))
    form["picked"] = [str(judgement.shown_order[0])]
    answer = noor.post(f"{url}/submit", data=form, headers={"HX-Request": "true"})
    assert "You submitted this answer." in text_of(answer, "#work")
    assert str(one(answer, "[data-goes-on]")["href"]).endswith(f"/rounds/{round_.id}/judge")
    assert page(answer).select(".trace") == []
    assert "Drawn by" not in answer.text
    assert one(answer, "#open-traces")
    assert one(answer, "#take-back")


def test_opened_a_monologue_continues_from_what_a_person_saw(
    noor: TestClient, session: Session, round_: Round
) -> None:
    noor.get(f"/rounds/{round_.id}/judge")
    judgement = judgement_of(session)
    url, htmx = f"/judgements/{judgement.id}", {"HX-Request": "true"}
    form = filled_in(one(noor.get(url), "#answer"))
    assert page(noor.get(url)).select("[data-continues]") == []
    noor.post(f"{url}/submit", data=form | {"none_fits": ["true"]})
    opened = noor.post(f"{url}/traces", headers=htmx)
    # The texts stand in any order. Only the draw that looked twice saw the cone.
    looks = [str(button["value"]) for button in page(opened).select("[data-continues]")]
    [second] = [look for look in looks if look.endswith("-2")]
    look = second.removesuffix("-2") + "-1"
    said = filled_in(one(opened, "#answer"))
    refused = noor.post(f"{url}/branches", data={**said, "look": look}, headers=htmx)
    assert refused.status_code == 422
    said[f"correction-{look}"] = ["large"]
    asked = noor.post(f"{url}/branches", data={**said, "look": look}, headers=htmx)
    assert "No model worker is running" in text_of(asked, ".branch")
    make_branch(session, branched([(CONE[0], "large"), BALL], text="both are large"))
    session.commit()
    there = noor.get(f"{url}/branches/{look.replace('-', '/')}", headers=htmx)
    assert "Rationale both are large" in text_of(there, ".branch")
    assert page(there).select("[data-uses-branch]") == [], "the verdicts and texts stand"
    assert "both are large" in noor.get(url).text
    session.expire_all()
    assert (judgement.none_fits, judgement.edits) == (True, {})


def test_opened_it_tells_who_drew_each_text_and_takes_marks(
    noor: TestClient, session: Session, round_: Round
) -> None:
    noor.get(f"/rounds/{round_.id}/judge")
    judgement = judgement_of(session)
    url = f"/judgements/{judgement.id}"
    form = filled_in(one(noor.get(url), "#answer")) | {"none_fits": ["true"]}
    noor.post(f"{url}/submit", data=form)
    opened = noor.post(f"{url}/traces", headers={"HX-Request": "true"})
    came = {
        offer.select(".choice__text")[0].get_text(): words(offer.select(".came__by")[0])
        for offer in page(opened).select("fieldset:has(#came) .offer")
    }
    both = came["seeing that one of them is much larger"].lower()
    assert "direct (1)" in both
    assert "monologue (1)" in both
    assert "direct (2)" in came["seeing that the cone is small and the ball is large"].lower()
    assert len(page(opened).select(".trace")) == 2
    assert page(opened).select("#take-back") == []
    said = filled_in(one(opened, "#answer"))
    name = next(name for name in said if name.endswith("-1-question"))
    saved = noor.post(f"{url}/marks", data={**said, name: ["yes"]}, headers={"HX-Request": "true"})
    assert "Saved" in saved.text
    session.expire_all()
    assert any("question" in turn for turns in judgement.marks.values() for turn in turns.values())
    assert one(noor.get(url), f"input[name={name}][value=yes]").has_attr("checked")
    refused = noor.post(f"{url}/take-back", headers={"Accept": "application/json"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "judgement.traces_open"
