"""How a rationale came about, as the judging page shows it and people mark it."""

import pytest
from bs4 import Tag
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import RoundStatus
from app.models import CorrectedObservation, Project, Round, TurnMark
from app.services.judging.keys import SHOW_TRACE
from tests.support.browsing import filled_in, one, page, sign_in, text_of
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
    return {offer.select(".choice__text")[0].get_text(): offer for offer in found}


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
    turns = [list(map(words, turn.select(".turn__line"))) for turn in trace.select("ol > li")]
    assert turns == [
        ["Asked what size is the cone?", "Seen small"],
        ["Asked what size is the ball?", "Seen large"],
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


# --- Marks ---------------------------------------------------------------------------------


def test_marks_are_sent_as_a_form_sends_them_and_shown_again(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = show(noor, round_)
    form = one(response, "#answer")
    sent = filled_in(form)
    named = [name for name in sent if name.startswith(("mark-", "correction-"))]
    assert named
    assert all(sent[name] == [""] for name in named)
    question, seen = (
        next(name for name in named if name.startswith("mark-") and name.endswith(f"-1-{of}"))
        for of in ("question", "observation")
    )
    instead = seen.replace("mark-", "correction-").removesuffix("-observation")
    sent |= {question: ["yes"], seen: ["no"], instead: ["huge"]}
    path = str(form["action"]).removesuffix("/submit")
    assert noor.post(f"{path}/draft", data=sent).status_code == 303
    again = show(noor, round_)
    sent["version"] = ["1"]
    assert filled_in(one(again, "#answer")) == sent
    assert noor.post(f"{path}/submit", data={**sent, "none_fits": "true"}).status_code == 303
    (mark, _) = session.scalars(select(TurnMark).order_by(TurnMark.of.desc()))
    assert question == f"mark-{mark.sample_id}-{mark.turn}-{mark.of}"
    assert session.scalars(select(CorrectedObservation.text)).all() == ["huge"]
    looked_back = noor.get(path)
    fields = filled_in(one(looked_back, "#answer"))
    assert (fields[question], fields[seen], fields[instead]) == (["yes"], ["no"], ["huge"])
    assert one(looked_back, "fieldset.choices").has_attr("disabled")


def test_two_tabs_show_both_what_they_say_of_a_look(noor: TestClient, round_: Round) -> None:
    form = one(show(noor, round_), "#answer")
    path = str(form["action"]).removesuffix("/submit")
    name = str(form.select("input[name^=mark-]")[0]["name"])
    noor.post(f"{path}/draft", data={"version": "0", name: "yes"})
    correction = name.replace("mark-", "correction-").removesuffix("-question")
    refused = noor.post(
        f"{path}/draft", data={"version": "0", name: "cannot_tell", correction: "it is dark"}
    )
    assert refused.status_code == 409
    text = text_of(refused, "#conflict")
    assert "look 1: Is the question useful? yes" in text
    assert "look 1: Is the question useful? cannot tell" in text
    assert "look 1, seen instead: “it is dark”" in text
    here = one(refused, "[name=opinion]")["value"]
    noor.post(f"{path}/draft", data={"version": "1", "opinion": str(here)})
    fields = filled_in(one(show(noor, round_), "#answer"))
    assert (fields[name], fields[correction]) == (["cannot_tell"], ["it is dark"])


@pytest.mark.parametrize("value", ["perhaps", "x" * 301])
def test_what_cannot_be_said_of_a_look_is_shown_again_with_its_reason(
    noor: TestClient, round_: Round, value: str
) -> None:
    form = one(show(noor, round_), "#answer")
    path = str(form["action"]).removesuffix("/submit")
    name = str(form.select("input[name^=mark-]")[0]["name"])
    if len(value) > 300:
        name = name.replace("mark-", "correction-").removesuffix("-question")
    refused = noor.post(f"{path}/draft", data={"version": "0", name: value})
    assert refused.status_code == 422
    assert "perhaps" in refused.text or "longer than 300" in refused.text


def test_the_page_of_the_round_says_what_people_found_useful_and_true(
    session: Session, noor: TestClient, round_: Round
) -> None:
    form = one(show(noor, round_), "#answer")
    named = {str(field["name"]): "cannot_tell" for field in form.select("input[name^=mark-]")}
    questions = [name for name in named if name.endswith("-question")]
    named |= dict(zip(questions, ("yes", "yes", "yes", "no"), strict=True))
    noor.post(str(form["action"]), data={"version": "0", "none_fits": "true", **named})
    sign_in(noor, session, make_user(session, is_admin=True))
    said = text_of(noor.get(f"/rounds/{round_.id}"), "#marks")
    assert said == "Useful questions 75.0 % of 4 that people marked"
