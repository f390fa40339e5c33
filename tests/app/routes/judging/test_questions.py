"""The pages of questions that a model asked: who sees them, what they show, and what they keep."""

from collections.abc import Sequence

import pytest
from bs4 import Tag
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import JudgementStatus, RoundStatus
from app.models import QuestionReview, User
from app.services.judging.questions import handing_out
from tests.support.browsing import HTMX, filled_in, one, page, sign_in, text_of
from tests.support.factories import make_round, make_round_item, make_user
from tests.support.rounds.asked_questions import DESCRIPTION, AskedRound, choose, submit

SOFA, DOG = "what color is the sofa?", "is the dog asleep?"


@pytest.fixture
def asked(session: Session) -> AskedRound:
    asked = AskedRound(session)
    asked.ask()
    return asked


@pytest.fixture
def anna(asked: AskedRound) -> User:
    return asked.add_member()


@pytest.fixture
def annas(client: TestClient, session: Session, anna: User) -> TestClient:
    return sign_in(client, session, anna)


def url_of(asked: AskedRound) -> str:
    return f"/projects/{asked.project.slug}/questions"


def texts_of(tags: Sequence[Tag]) -> list[str]:
    return [" ".join(tag.get_text(" ").split()) for tag in tags]


def review_of(session: Session, user: User) -> QuestionReview:
    session.expire_all()
    return session.query(QuestionReview).filter_by(user_id=user.id).one()


def send(
    client: TestClient,
    shown: Response,
    *,
    keep: Sequence[str] = (),
    answers: dict[str, str] | None = None,
    edits: dict[str, str] | None = None,
    act: str = "submit",
    headers: dict[str, str] | None = None,
    **more: str,
) -> Response:
    """Fill the form in as people do, and send it."""
    form = one(shown, "form#answer")
    fields = filled_in(form)
    offers = {text: n for n, text in enumerate(texts_of(form.select(".offer .choice__text")))}
    ids = fields["edited"]
    fields["picked"] = [ids[offers[text]] for text in keep]
    for name, given in (("answer", answers), ("edit", edits)):
        for text, words in (given or {}).items():
            fields[name][offers[text]] = words
    address = str(form["action"]).removesuffix("submit") + act
    return client.post(
        address, data={**fields, **more}, headers=headers or {}, follow_redirects=False
    )


def test_only_members_see_them(client: TestClient, session: Session, asked: AskedRound) -> None:
    assert client.get(url_of(asked), follow_redirects=False).status_code == 303
    sign_in(client, session, make_user(session))
    assert client.get(url_of(asked)).status_code == 404


def test_an_image_is_shown_with_its_description_questions_and_answers(
    annas: TestClient, asked: AskedRound
) -> None:
    shown = annas.get(url_of(asked))
    assert DESCRIPTION in text_of(shown, ".described")
    assert texts_of(page(shown).select(".offer .choice__text")) == [SOFA, DOG]
    assert [str(field["value"]) for field in page(shown).select("[name=answer]")] == ["red", "yes"]
    assert texts_of(page(shown).select(".choice__drawn"))[0].endswith("Asked 2 times")
    assert "1 image waits" in text_of(shown, ".bar__state")


def test_what_is_kept_and_corrected_becomes_an_item(annas: TestClient, asked: AskedRound) -> None:
    reply = send(
        annas,
        annas.get(url_of(asked)),
        keep=[SOFA, DOG],
        answers={DOG: "no"},
        edits={SOFA: "What colour is the seat?"},
    )
    assert (reply.status_code, reply.headers["Location"]) == (303, url_of(asked))
    assert [(item.question, item.answer) for item in asked.made_items()] == [
        ("What colour is the seat?", "red"),
        (DOG, "no"),
    ]
    assert "No questions wait" in annas.get(url_of(asked)).text


def test_a_script_is_told_where_to_go_on(annas: TestClient, asked: AskedRound) -> None:
    reply = send(annas, annas.get(url_of(asked)), none_fits="true", headers=HTMX)
    assert (reply.status_code, reply.headers["HX-Redirect"]) == (204, url_of(asked))
    assert asked.made_items() == []


def test_what_is_refused_is_shown_again_with_the_reason_and_stays_a_draft(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    refused = send(annas, annas.get(url_of(asked)), keep=[SOFA], answers={SOFA: " "})
    assert refused.status_code == 422
    assert "Question 1 has no answer" in text_of(refused, ".notice--bad")
    assert len(page(refused).select("[name=picked][checked]")) == 1
    assert review_of(session, anna).status is JudgementStatus.DRAFT
    again = send(annas, refused, keep=[SOFA], answers={SOFA: "crimson"})
    assert again.status_code == 303
    assert [item.answer for item in asked.made_items()] == ["crimson"]


def test_odd_characters_and_broken_forms_are_no_crash(annas: TestClient, asked: AskedRound) -> None:
    shown = annas.get(url_of(asked))
    action = str(one(shown, "form#answer")["action"])
    for fields in (
        {"version": "0", "edited": ["1", "2"], "edit": ["a"], "answer": ["a", "b"]},
        {"version": "0", "fault": "x:not_in_image"},
        {"version": "0", "picked": "999999"},
    ):
        assert annas.post(action, data=fields).status_code == 422
    reply = send(annas, shown, keep=[DOG], answers={DOG: "n\0o"})
    assert reply.status_code == 303
    assert [item.answer for item in asked.made_items()] == ["no"]


def test_a_draft_is_kept_and_shown_again(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    saved = send(annas, annas.get(url_of(asked)), keep=[DOG], act="draft", headers=HTMX)
    assert "Saved" in saved.text
    assert one(saved, "[data-version]")["data-version"] == "1"
    shown = annas.get(url_of(asked))
    assert len(page(shown).select("[name=picked][checked]")) == 1
    stale = {**filled_in(one(shown, "form#answer")), "version": "0", "picked": []}
    assert annas.post(f"{url_of(asked)}/{review_of(session, anna).id}/draft", data=stale).status_code == 409  # fmt: skip  # noqa: E501


def test_the_last_image_can_be_taken_back_until_its_items_are_used(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    send(annas, annas.get(url_of(asked)), keep=[SOFA])
    form = one(annas.get(url_of(asked)), "form#take-back")
    back = annas.post(str(form["action"]), follow_redirects=True)
    assert back.url.path == f"{url_of(asked)}/{review_of(session, anna).id}"
    assert "Taken back" in back.text
    assert asked.made_items() == []
    send(annas, back, keep=[SOFA])
    session.expire_all()
    asked.round.status = RoundStatus.CANCELLED
    make_round_item(session, make_round(session, asked.project, number=2), asked.made_items()[0])
    session.commit()
    refused = annas.post(str(form["action"]))
    assert refused.status_code == 409
    assert "stays as it is" in refused.text


def test_skipped_images_and_those_of_others_say_so(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    shown = annas.get(url_of(asked))
    base = str(one(shown, "form#answer")["data-base"])
    empty = annas.post(f"{base}/skip", follow_redirects=True)
    assert "You skipped what is left" in text_of(empty, "#question")
    shown = annas.get(str(one(empty, "#work .actions a[href*=questions]")["href"]))
    assert "You skipped this image" in shown.text
    assert annas.post(f"{base}/resume").status_code == 303
    annas.post(f"{base}/skip")
    taken = handing_out.open_next(session, asked.project, asked.add_member())
    assert taken is not None
    session.commit()
    assert "Others are at work" in annas.get(url_of(asked)).text
    assert annas.post(f"{base}/resume").status_code == 409
    submit(session, taken, choose(session, taken, drops_all=True))
    session.commit()
    assert "Somebody else has decided" in annas.get(base).text


def test_a_heartbeat_tells_the_lease_and_leaving_ends_it_soon(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    form = one(annas.get(url_of(asked)), "form#answer")
    base = str(form["data-base"])
    beat = annas.post(f"{base}/heartbeat", data={"active_ms": "5"}, headers=HTMX)
    lease = str(one(beat, "[data-lease]")["data-lease"])
    assert lease >= str(form["data-lease"])
    assert annas.post(f"{base}/leave", data={"lease": lease}).status_code == 204
    left = review_of(session, anna)
    assert left.lease_until is not None
    assert left.lease_until.isoformat(timespec="microseconds") < lease
    annas.post(f"{base}/release")
    assert review_of(session, anna).status is JudgementStatus.RELEASED


def test_nobody_sees_or_changes_the_place_of_somebody_else(
    client: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    sign_in(client, session, anna)
    base = str(one(client.get(url_of(asked)), "form#answer")["data-base"])
    sign_in(client, session, asked.add_member())
    assert client.get(base).status_code == 404
    for act in ("submit", "draft", "skip", "take-back", "resume", "heartbeat", "release", "leave"):
        assert client.post(f"{base}/{act}", data={"version": "0"}).status_code == 404
    other = AskedRound(session)
    sign_in(client, session, anna)
    number = base.rpartition("/")[2]
    assert client.get(f"/projects/{other.project.slug}/questions/{number}").status_code == 404


def test_an_archived_project_says_so_and_keeps_nothing(
    annas: TestClient, session: Session, asked: AskedRound
) -> None:
    base = str(one(annas.get(url_of(asked)), "form#answer")["data-base"])
    asked.project.archived_at = asked.round.created_at
    session.commit()
    assert "This project is archived" in annas.get(url_of(asked)).text
    assert annas.post(f"{base}/submit", data={"version": "0"}).status_code == 409


def test_programs_get_the_problem_itself(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    base = str(one(annas.get(url_of(asked)), "form#answer")["data-base"])
    refused = annas.post(
        f"{base}/submit", data={"version": "0"}, headers={"Accept": "application/json"}
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "opinion.empty")


def test_the_pages_of_a_project_lead_to_what_waits_and_say_nothing_once_it_is_decided(
    annas: TestClient, session: Session, asked: AskedRound, anna: User
) -> None:
    home, project = "/", f"/projects/{asked.project.slug}"
    link = f"a[href='{url_of(asked)}']"
    for path in (home, project):
        assert len(page(annas.get(path)).select(link)) == 1
    assert "Questions about 1 image wait" in annas.get(project).text
    asked.project.archived_at = asked.round.created_at
    session.commit()
    for path in (home, project):
        assert page(annas.get(path)).select(link) == []
    asked.project.archived_at = None
    review = handing_out.open_next(session, asked.project, anna)
    assert review is not None
    submit(session, review, choose(session, review, drops_all=True))
    session.commit()
    for path in (home, project):
        assert page(annas.get(path)).select(link) == []


def test_a_project_without_items_is_led_to_its_questions(
    client: TestClient, session: Session, asked: AskedRound
) -> None:
    sign_in(client, session, make_user(session, is_admin=True))
    asked.round.status = RoundStatus.CANCELLED
    asked.items[0].excluded_at = asked.round.created_at
    session.commit()
    step = one(client.get(f"/projects/{asked.project.slug}"), "[aria-labelledby=next-title]")
    assert "The model asked questions" in step.get_text()


def test_the_page_of_an_item_says_that_the_model_asked_it(
    client: TestClient, session: Session, asked: AskedRound
) -> None:
    user = asked.add_member()
    review = handing_out.open_next(session, asked.project, user)
    assert review is not None
    edits = {SOFA: "what color is the seat?"}
    submit(session, review, choose(session, review, keep=[SOFA], edits=edits))
    name, item_id = user.name, asked.made_items()[0].id
    sign_in(client, session, make_user(session, is_admin=True))
    said = text_of(client.get(f"/items/{item_id}"), "#asked")
    assert "The model asked this in round 1" in said
    assert SOFA in said
    assert f"Kept by {name}" in said
    assert not page(client.get(f"/items/{asked.items[0].id}")).select("#asked")
