"""Continue from here: asked for, looked for, used and refused on the judging page."""

from collections.abc import Mapping

import pytest
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Job, RoundStatus
from app.models import Branch, Judgement, Project, Round, Run, Worker
from app.services.runs import runs
from app.strategies.monologue import Outcome
from tests.support.browsing import HTMX, filled_in, one, page, sign_in, text_of
from tests.support.factories import make_membership, make_user
from tests.support.judging import (
    BALL,
    CONE,
    branched,
    claim_branch,
    make_branch,
    make_episodes,
    make_monologue_round,
)

LARGE = (CONE[0], "large")
ANEW = branched([LARGE, BALL], text="both are large")


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_monologue_round(session)
    make_episodes(session, round_, {"the cone is small": [(CONE, BALL)]})
    return round_


@pytest.fixture
def noor(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session, name="Noor")
    make_membership(session, session.get_one(Project, round_.project_id), user)
    return sign_in(client, session, user)


class Item:
    """The item in front of Noor, with what her browser would send."""

    def __init__(self, client: TestClient, round_: Round) -> None:
        response = client.get(f"/rounds/{round_.id}/judge")
        self.client = client
        self.form = one(response, "#answer")
        self.path = str(self.form["action"]).removesuffix("/submit")
        self.look = str(page(response).select("button[data-continues]")[0]["value"])
        self.fields = filled_in(self.form)

    def send(
        self,
        act: str,
        *,
        says: str | None = "large",
        headers: Mapping[str, str] = HTMX,
        **more: str,
    ) -> Response:
        if says is not None:
            self.fields[f"correction-{self.look}"] = [says]
        self.fields["version"] = [str(self.version)]
        data = {**self.fields, "look": self.look, **more}
        return self.client.post(f"{self.path}/{act}", data=data, headers=headers)

    @property
    def version(self) -> int:
        return int(str(one(self.client.get(self.path), "[name=version]")["value"]))

    def look_again(self) -> Response:
        path = f"{self.path}/branches/{self.look.replace('-', '/')}"
        return self.client.get(path, headers=HTMX)


@pytest.fixture
def item(noor: TestClient, round_: Round) -> Item:
    return Item(noor, round_)


def add_worker(session: Session) -> None:
    session.add(Worker(name="gpu", pid=1, device="cpu", queues=["gpu"]))
    session.commit()


def note(response: Response) -> str:
    assert response.status_code == 200, response.text
    return text_of(response, ".branch")


def test_the_new_way_comes_when_a_worker_has_made_it(session: Session, item: Item) -> None:
    asked = item.send("branches")
    assert "No model worker is running" in note(asked)
    assert one(asked, ".branch").has_attr("data-look-again")
    add_worker(session)
    assert "as soon as a worker is free" in note(item.look_again())
    make_branch(session, ANEW)
    session.commit()
    there = item.look_again()
    assert not one(there, ".branch").has_attr("data-look-again")
    assert note(there) == (
        "The model's way from there Asked what size is the ball? Seen large Then answered no"
        " Rationale both are large Use as your better text"
    )
    said = str(one(there, ".branch")["data-said"])
    assert said == "The new way is there. It answers “no”: both are large"
    shown = item.client.get(item.path)
    assert one(shown, ".trace").has_attr("open")
    assert text_of(shown, ".branch:not([hidden])") == note(there)


def test_asking_twice_is_asking_once(session: Session, item: Item) -> None:
    first, again = item.send("branches"), item.send("branches")
    assert note(first) == note(again)
    assert len(session.scalars(select(Branch)).all()) == 1
    make_branch(session, ANEW)
    session.commit()
    assert "both are large" in note(item.send("branches"))
    assert len(session.scalars(select(Run).where(Run.job == Job.BRANCH)).all()) == 1


def test_without_a_script_the_page_is_looked_at_again_and_the_text_is_taken(
    session: Session, item: Item
) -> None:
    asked = item.send("branches", headers={})
    assert asked.status_code == 303
    assert asked.headers["location"] == f"{item.path}#branch-{item.look}"
    link = one(item.client.get(item.path), ".branch:not([hidden]) a")
    assert link.get_text() == "Look again"
    back = item.client.get(str(link["href"]))
    assert (back.status_code, back.headers["location"]) == (303, asked.headers["location"])
    make_branch(session, ANEW)
    session.commit()
    button = one(item.client.get(item.path), "button[data-uses-branch]")
    assert str(button["formaction"]) == f"{item.path}/use-branch"
    assert item.send("use-branch", headers={}).status_code == 303
    assert one(item.client.get(item.path), "[name=edit]").get_text() == "both are large"
    assert item.send("submit", headers={}, edit="both are large", none_fits="true")


def test_enter_in_a_field_still_submits_without_a_script(item: Item) -> None:
    first = item.form.select("button:not([type=button])")[0]
    assert first.has_attr("hidden")
    assert not first.has_attr("formaction")


@pytest.mark.parametrize(
    ("outcome", "answer", "said", "told"),
    [
        (Outcome.WRONG_ANSWER, "yes", "", "not the answer of this item"),
        (Outcome.ASKED_TOO_OFTEN, "", "", "It asked again when no look was left"),
        (Outcome.NOT_UNDERSTOOD, "", "look: what", "could not be understood"),
        (Outcome.NOT_UNDERSTOOD, "", "look: what", "look: what"),
        (Outcome.NOT_UNDERSTOOD, "", "", "It said nothing then"),
    ],
)
def test_a_way_that_ends_without_a_rationale_is_shown_as_it_is(
    session: Session, item: Item, outcome: Outcome, answer: str, said: str, told: str
) -> None:
    item.send("branches")
    made = branched([LARGE], answer=answer, text="", outcome=outcome, said=said)
    make_branch(session, made)
    session.commit()
    there = item.look_again()
    assert told in note(there)
    assert not page(there).select("button")
    refused = item.send("use-branch")
    assert refused.status_code == 422
    assert "There is no text to use" in refused.text


def test_other_words_put_the_way_away_and_the_same_bring_it_back(
    session: Session, item: Item
) -> None:
    item.send("branches")
    make_branch(session, ANEW)
    session.commit()
    item.send("draft", says="huge")
    assert item.look_again().status_code == 404
    assert not page(item.client.get(item.path)).select(".branch:not([hidden])")
    item.send("draft", says="large")
    assert "both are large" in note(item.look_again())


def test_a_failure_is_told_and_can_be_tried_again(session: Session, item: Item) -> None:
    item.send("branches")
    run_id, attempt = claim_branch(session)
    runs.fail_run(session, run_id, attempt=attempt, error="The image is gone.\n\nTraceback")
    session.commit()
    told = item.look_again()
    assert note(told) == "The model could not continue: The image is gone."
    assert not one(told, ".branch").has_attr("data-look-again")
    item.send("branches")
    make_branch(session, ANEW)
    session.commit()
    assert "both are large" in note(item.look_again())


# --- Refused -------------------------------------------------------------------------------


def test_a_look_that_is_not_corrected_is_refused_and_the_rest_is_kept(
    session: Session, item: Item
) -> None:
    for says in ("", "small"):
        refused = item.send("branches", says=says, comment="hm")
        assert refused.status_code == 422
        assert "Write what you see instead first" in text_of(refused, "#answer-error")
    assert session.scalars(select(Judgement.comment)).all() == ["hm"]
    assert session.scalars(select(Branch)).all() == []
    for look in ("", "3", "x-y", "999999-1"):
        assert item.send("branches", look=look).status_code == 422


def test_a_draft_that_another_tab_changed_is_not_continued(session: Session, item: Item) -> None:
    item.send("draft", says="huge")
    data = {**item.fields, f"correction-{item.look}": "large", "version": "0", "look": item.look}
    refused = item.client.post(f"{item.path}/branches", data=data, headers=HTMX)
    assert refused.status_code == 409
    assert "changed in another tab" in text_of(refused, "#conflict")
    assert session.scalars(select(Branch)).all() == []


def test_nobody_continues_at_the_item_of_somebody_else(
    session: Session, round_: Round, item: Item
) -> None:
    item.send("branches")
    other = make_user(session, name="Olu")
    make_membership(session, session.get_one(Project, round_.project_id), other)
    sign_in(item.client, session, other)
    data = {**item.fields, "look": item.look}
    for act in ("branches", "use-branch"):
        assert item.client.post(f"{item.path}/{act}", data=data).status_code == 404
    assert item.look_again().status_code == 404
    item.client.cookies.clear()
    assert item.look_again().status_code == 401


@pytest.mark.parametrize("what", ["closed", "submitted", "given back"])
def test_the_page_says_why_no_way_comes_any_more(
    session: Session, round_: Round, item: Item, what: str
) -> None:
    item.send("branches")
    match what:
        case "submitted":
            item.send("submit", none_fits="true")
            told, again = "This item is submitted", "already submitted"
        case "given back":
            item.client.post(f"{item.path}/release")
            told, again = "Your reservation of this item ended", ""
        case _:
            round_.status = RoundStatus.CLOSING
            told, again = "The round is no longer judged", "closed for judging"
    session.commit()
    left = item.look_again()
    assert told in note(left)
    assert not one(left, ".branch").has_attr("data-look-again")
    assert session.scalars(select(Judgement)).one().corrections
    if again:
        sent = {"none_fits": "true"} if what == "submitted" else {}
        refused = item.send("branches", **sent)
        assert refused.status_code == 409
        assert again in text_of(refused, "#conflict")
