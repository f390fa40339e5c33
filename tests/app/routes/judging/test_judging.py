"""Judging over HTTP, with and without htmx: what annotators see, and what is refused."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from httpx2 import Response
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit import db
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import (
    Judgement,
    JudgementRevision,
    Membership,
    Project,
    Round,
    RoundItem,
    User,
)
from app.services.accounts import accounts
from app.services.judging import opening
from app.services.judging.keys import N_PICKS, TRACED, USUAL_KEYS
from app.services.projects import projects
from app.web.pages.judging.work import build_empty, explain_empty
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_draws,
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

LATER = timedelta(hours=1)


@pytest.fixture
def annotator(session: Session) -> User:
    return make_user(session, name="Noor")


@pytest.fixture
def round_(session: Session, annotator: User) -> Round:
    """An open round with three items, whose annotator is Noor."""
    project = make_project(session, name="Scenes")
    make_membership(session, project, annotator)
    round_ = make_round(session, project)
    for number in range(3):
        item = make_item(session, project, question=f"what is number {number}?")
        make_round_item(session, round_, item, slots=2)
    return round_


@pytest.fixture
def noor(client: TestClient, session: Session, round_: Round, annotator: User) -> TestClient:
    return sign_in(client, session, annotator)


def open_item(client: TestClient, round_: Round, *, htmx: bool = False) -> Response:
    response = client.get(f"/rounds/{round_.id}/judge", headers=HTMX if htmx else {})
    assert response.status_code == 200, response.text
    return response


def id_in(response: Response) -> int:
    return int(str(one(response, "#answer")["data-judgement-id"]))


def choices_in(response: Response) -> list[int]:
    return [int(str(box["value"])) for box in page(response).select("input[name=picked]")]


def post(
    client: TestClient,
    judgement_id: int,
    action: str,
    *,
    picked: Sequence[int] = (),
    version: int = 0,
    htmx: bool = False,
    **fields: str,
) -> Response:
    data = {"version": str(version), "picked": [str(number) for number in picked], **fields}
    return client.post(
        f"/judgements/{judgement_id}/{action}", data=data, headers=HTMX if htmx else {}
    )


def project_of(session: Session, round_: Round) -> Project:
    return session.get_one(Project, round_.project_id)


def get_judgement(session: Session, judgement_id: int) -> Judgement:
    session.expire_all()
    return session.get_one(Judgement, judgement_id)


# --- Who may ---------------------------------------------------------------------------------


def test_anonymous_people_are_sent_to_sign_in_and_back(
    client: TestClient, session: Session, round_: Round
) -> None:
    session.commit()
    response = client.get(f"/rounds/{round_.id}/judge")
    assert response.status_code == 303
    assert response.headers["Location"] == f"/sign-in?next=/rounds/{round_.id}/judge"


def test_a_lost_session_keeps_its_status_for_the_script(
    client: TestClient, session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    client.cookies.clear()
    response = post(client, judgement_id, "submit", none_fits="true", htmx=True)
    assert response.status_code == 401


def test_strangers_find_no_round_and_no_judgement(
    client: TestClient, session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    stranger = sign_in(client, session, make_user(session))
    assert stranger.get(f"/rounds/{round_.id}/judge").status_code == 404
    assert stranger.get(f"/judgements/{judgement_id}").status_code == 404
    for action in ("draft", "submit", "skip", "take-back", "resume", "heartbeat", "release"):
        response = post(stranger, judgement_id, action, none_fits="true")
        assert response.status_code == 404, action


def test_another_member_cannot_see_or_touch_somebody_elses_answer(
    client: TestClient, session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    other = make_user(session)
    make_membership(session, project_of(session, round_), other)
    member = sign_in(client, session, other)
    assert member.get(f"/judgements/{judgement_id}").status_code == 404
    assert post(member, judgement_id, "submit", none_fits="true").status_code == 404


# --- The page --------------------------------------------------------------------------------


def test_shows_image_question_answer_and_the_candidates_in_their_order(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    judgement = get_judgement(session, id_in(response))
    assert "what is number" in text_of(response, "#question")
    assert "red" in text_of(response, ".asked__answer")
    assert "/images/" in str(one(response, ".view__image")["src"])
    assert choices_in(response) == judgement.shown_order
    hints = [key.get_text() for key in page(response).select(".offer .choice__key")]
    assert hints == ["1", "2", "3"]


def test_what_the_model_wrote_is_text_and_nothing_else(
    session: Session, noor: TestClient, round_: Round
) -> None:
    item = make_item(session, project_of(session, round_), question="<b>why</b>?")
    round_item = make_round_item(
        session, round_, item, texts=["<script>alert(1)</script>", '" onclick="x'], slots=2
    )
    round_item.priority = 9
    session.flush()
    response = open_item(noor, round_)
    assert not page(response).select("#work script, #work [onclick], #question b")
    texts = {element.get_text() for element in page(response).select(".choices .choice__text")}
    assert texts == {"<script>alert(1)</script>", '" onclick="x'}


def test_a_text_is_marked_where_all_its_draws_were_cut(
    session: Session, noor: TestClient, round_: Round
) -> None:
    item = make_item(session, project_of(session, round_))
    texts = ["it is red and", "it is red", "it is round", "a ball"]
    make_round_item(session, round_, item, texts=texts, slots=2).priority = 9
    make_draws(
        session,
        round_,
        item,
        {
            "it is red and": [True, True],
            "it is red": [True, False],
            "it is round": [True, None],
            "a ball": [False],
        },
    )
    response = open_item(noor, round_)
    (note,) = page(response).select(".choice__cut")
    assert note.get_text() == "Cut off at the length limit"
    # In the label, so that it is part of what the box is called.
    label = note.find_parent("label")
    assert label is not None
    assert label.select_one(".choice__text").get_text() == "it is red and"


def test_a_second_look_shows_the_same_item(noor: TestClient, round_: Round) -> None:
    assert id_in(open_item(noor, round_)) == id_in(open_item(noor, round_))


def test_script_and_browser_get_the_same_work(noor: TestClient, round_: Round) -> None:
    whole, fragment = open_item(noor, round_), open_item(noor, round_, htmx=True)
    assert "<html" in whole.text
    assert "<html" not in fragment.text
    works = [one(whole, "#work"), one(fragment, "#work")]
    for work in works:
        for marked in work.select("[data-lease]"):
            del marked["data-lease"]  # each look renews it
    assert works[0] == works[1]


def test_the_next_images_are_named_for_fetching_ahead(noor: TestClient, round_: Round) -> None:
    response = open_item(noor, round_)
    links = [str(link["data-upcoming"]) for link in page(response).select("[data-upcoming]")]
    assert len(links) == 2
    assert str(one(response, ".view__image")["src"]) not in links
    following = post(noor, id_in(response), "submit", none_fits="true", htmx=True)
    assert str(one(following, ".view__image")["src"]) == links[0]


def test_guidelines_are_rendered_without_anything_dangerous(
    session: Session, noor: TestClient, round_: Round
) -> None:
    project = project_of(session, round_)
    project.guidelines = (
        "# Pick\n\n<script>alert(1)</script> [bad](javascript:alert(1)) "
        "[good](https://example.org) ![pixel](https://example.org/p.png)"
    )
    session.flush()
    panel = one(open_item(noor, round_), ".guide__panel .prose")
    assert not panel.select("script, img")
    assert next(link["href"] for link in panel.select("a")) == "https://example.org"
    assert all(not str(link["href"]).startswith("javascript") for link in panel.select("a"))
    assert panel.select_one("h2")


def test_guidelines_are_open_for_those_who_are_new_to_the_round(
    noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    assert one(response, "#guidelines").has_attr("open")
    post(noor, id_in(response), "submit", none_fits="true")
    assert not one(open_item(noor, round_), "#guidelines").has_attr("open")


def test_keys_are_one_registry_without_clashes(noor: TestClient, round_: Round) -> None:
    assert max(Counter(key.key for key in USUAL_KEYS).values()) == 1
    response = open_item(noor, round_)
    shown = {
        str(element["data-key"]): element["data-key-action"]
        for element in page(response).select("[data-key]")
    }
    # How a rationale came about is shown where the strategy of the round leaves traces.
    usual = [key for key in USUAL_KEYS if key.action not in TRACED]
    assert shown == {key.key: key.action for key in usual}
    # Every key presses something that is there, once there is a submission to go back to.
    post(noor, id_in(response), "submit", none_fits="true")
    response = open_item(noor, round_)
    actions = {str(element["data-action"]) for element in page(response).select("[data-action]")}
    unshown = {f"pick-{place}" for place in range(4, N_PICKS + 1)}
    assert {key.action for key in usual} - actions == {"mend", "next", *unshown}


def test_the_policy_needs_no_inline_script_or_style(noor: TestClient, round_: Round) -> None:
    response = open_item(noor, round_)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert not page(response).select("script:not([src]), style, [style], [onclick]")


# --- Drafts ----------------------------------------------------------------------------------


def test_every_click_is_stored_with_its_version(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    judgement_id, (a, b, _) = id_in(response), choices_in(response)
    first = post(noor, judgement_id, "draft", picked=[a], htmx=True)
    assert (first.status_code, one(first, "#saved")["data-version"]) == (200, "1")
    second = post(noor, judgement_id, "draft", picked=[a, b], version=1, htmx=True)
    assert one(second, "#saved")["data-version"] == "2"
    judgement = get_judgement(session, judgement_id)
    assert judgement.picked == sorted([a, b])
    again = open_item(noor, round_)
    checked = page(again).select("input[name=picked][checked]")
    assert sorted(int(str(box["value"])) for box in checked) == sorted([a, b])


def test_without_script_a_draft_is_saved_by_a_button(noor: TestClient, round_: Round) -> None:
    response = open_item(noor, round_)
    judgement_id = id_in(response)
    button = one(response, f"button[formaction='/judgements/{judgement_id}/draft']")
    assert button.get_text() == "Save draft"
    saved = post(noor, judgement_id, "draft", picked=choices_in(response)[:1], comment="why")
    assert saved.status_code == 303
    again = noor.get(saved.headers["Location"])
    assert one(again, "textarea[name=comment]").get_text() == "why"
    assert "Draft saved" in text_of(again, "#toasts")


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("action", ["draft", "submit"])
def test_a_stale_tab_overwrites_nothing_and_sees_both(
    session: Session, noor: TestClient, round_: Round, action: str, htmx: bool
) -> None:
    response = open_item(noor, round_)
    judgement_id, (a, b, _) = id_in(response), choices_in(response)
    post(noor, judgement_id, "draft", picked=[a], htmx=True)
    stale = post(noor, judgement_id, action, picked=[b], version=0, htmx=htmx)
    assert stale.status_code == 409
    assert get_judgement(session, judgement_id).picked == [a]
    stored, here = (card.get_text(" ") for card in page(stale).select("#conflict .card"))
    assert stored != here
    # What is here can still be chosen, on top of the version that is stored.
    form = one(stale, "#conflict form")
    fields = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    assert json.loads(fields["opinion"])["picked"] == [b]
    assert noor.post(str(form["action"]), data=fields).status_code == 303
    assert get_judgement(session, judgement_id).picked == [b]


# --- Submitting ------------------------------------------------------------------------------


def test_submitting_brings_the_next_item_in_one_trip(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    following = post(
        noor, id_in(response), "submit", picked=choices_in(response)[:1], active_ms="10", htmx=True
    )
    assert following.status_code == 200
    assert "<html" not in following.text
    assert id_in(following) != id_in(response)
    assert get_judgement(session, id_in(response)).status is JudgementStatus.SUBMITTED
    assert "1 today" in text_of(following, ".bar__state")
    assert "1 in this round" in text_of(following, ".bar__state")


def test_without_script_submitting_leads_to_the_next_item(noor: TestClient, round_: Round) -> None:
    response = open_item(noor, round_)
    done = post(noor, id_in(response), "submit", none_fits="true")
    assert (done.status_code, done.headers["Location"]) == (303, f"/rounds/{round_.id}/judge")
    assert id_in(noor.get(done.headers["Location"])) != id_in(response)


def test_a_double_enter_is_answered_with_the_next_item_twice(
    noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    first = post(noor, judgement_id, "submit", none_fits="true", htmx=True)
    second = post(noor, judgement_id, "submit", none_fits="true", htmx=True)
    assert (first.status_code, second.status_code) == (200, 200)
    assert id_in(first) == id_in(second)


@pytest.mark.parametrize("htmx", [True, False])
def test_nothing_chosen_is_told_beside_what_was_typed(
    noor: TestClient, round_: Round, htmx: bool
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    refused = post(noor, judgement_id, "submit", comment="no idea", htmx=htmx)
    assert refused.status_code == 422
    assert "Nothing is chosen" in text_of(refused, "#answer [role=alert]")
    assert one(refused, "textarea[name=comment]").get_text() == "no idea"


def test_two_facts_at_once_are_refused_and_shown_again(noor: TestClient, round_: Round) -> None:
    response = open_item(noor, round_)
    picked = choices_in(response)[:1]
    refused = post(noor, id_in(response), "submit", picked=picked, none_fits="true")
    assert refused.status_code == 422
    assert "only one of the three" in text_of(refused, "#answer [role=alert]")
    assert one(refused, "input[name=none_fits]").has_attr("checked")
    assert len(page(refused).select("input[name=picked][checked]")) == 1


@pytest.mark.parametrize(
    "fields",
    [{"version": "x"}, {"version": "1", "picked": "y"}, {}],
    ids=["version", "picked", "missing"],
)
def test_a_form_that_is_not_ours_is_refused(
    noor: TestClient, round_: Round, fields: dict[str, str]
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    response = noor.post(f"/judgements/{judgement_id}/submit", data=fields)
    assert response.status_code == 422


def test_characters_that_the_database_refuses_do_no_harm(
    session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    response = post(noor, judgement_id, "submit", none_fits="true", comment="a\0b")
    assert response.status_code == 303
    assert get_judgement(session, judgement_id).comment == "ab"


def test_a_closed_round_is_told_and_the_page_says_what_happens(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    session.get_one(Round, round_.id).status = RoundStatus.TRAINING
    session.flush()
    late = post(noor, id_in(response), "submit", none_fits="true")
    assert late.status_code == 409
    assert "closed for judging" in text_of(late, "#conflict")
    assert "None fits" in text_of(late, "#conflict")
    assert "the model is learning" in text_of(open_item(noor, round_), "#question")


def test_an_answer_that_came_too_late_is_kept(
    session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    judgement_id, picked = id_in(response), choices_in(response)[:1]
    later = datetime.now(UTC) + LATER
    session.expire_all()
    others = [make_user(session) for _ in range(6)]
    for other in others:
        opening.open_next_item(session, session.get_one(Round, round_.id), other, now=later)
    assert get_judgement(session, judgement_id).status is JudgementStatus.RELEASED
    late = post(noor, judgement_id, "submit", picked=picked)
    assert late.status_code == 409
    assert "kept" in text_of(late, "#conflict")
    assert get_judgement(session, judgement_id).picked == picked
    assert "let go" in noor.get(f"/rounds/{round_.id}/mine").text


# --- Skipping, taking back, own items ---------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reason": "The question is unclear"}, "The question is unclear"),
        ({"reason": "", "other_reason": "blurred"}, "blurred"),
    ],
)
def test_skipping_brings_the_next_item_and_keeps_the_reason(
    session: Session, noor: TestClient, round_: Round, fields: dict[str, str], reason: str
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    following = noor.post(f"/judgements/{judgement_id}/skip", data=fields, headers=HTMX)
    assert id_in(following) != judgement_id
    assert get_judgement(session, judgement_id).skip_reason == reason
    mine = noor.get(f"/rounds/{round_.id}/mine")
    assert f"Skipped: {reason}" in mine.text
    back = noor.post(f"/judgements/{judgement_id}/resume")
    assert id_in(noor.get(back.headers["Location"])) == judgement_id


def test_skipping_needs_a_reason(noor: TestClient, round_: Round) -> None:
    judgement_id = id_in(open_item(noor, round_))
    assert noor.post(f"/judgements/{judgement_id}/skip").status_code == 422


@pytest.mark.parametrize("htmx", [True, False])
def test_taking_back_shows_the_answer_to_change(
    session: Session, noor: TestClient, round_: Round, htmx: bool
) -> None:
    response = open_item(noor, round_)
    judgement_id, picked = id_in(response), choices_in(response)[:2]
    following = post(noor, judgement_id, "submit", picked=picked, htmx=True)
    action = str(one(following, "#take-back")["action"])
    assert action == f"/judgements/{judgement_id}/take-back"
    back = noor.post(action, headers=HTMX if htmx else {})
    if not htmx:
        assert back.status_code == 303
        back = noor.get(back.headers["Location"])
    assert id_in(back) == judgement_id
    assert one(back, "#answer")["data-editable"] == "yes"
    assert len(page(back).select("input[name=picked][checked]")) == 2
    assert get_judgement(session, judgement_id).status is JudgementStatus.DRAFT


def test_own_items_are_reviewed_one_by_one(noor: TestClient, round_: Round) -> None:
    ids = []
    for _ in range(2):
        ids.append(id_in(open_item(noor, round_)))
        post(noor, ids[-1], "submit", none_fits="true")
    current = open_item(noor, round_)
    newest = noor.get(str(one(current, "[data-action=previous]")["href"]))
    assert id_in(newest) == ids[1]
    assert one(newest, "#answer")["data-editable"] == "no"
    assert page(newest).select("fieldset[disabled] input[name=none_fits][checked]")
    oldest = noor.get(str(one(newest, "[data-action=previous]")["href"]))
    assert id_in(oldest) == ids[0]
    assert not page(oldest).select("[data-action=previous]")
    assert str(one(oldest, "[data-action=next]")["href"]) == f"/judgements/{ids[1]}"
    assert str(one(newest, "[data-action=next]")["href"]) == f"/rounds/{round_.id}/judge"


def test_the_list_shows_own_items_only(
    client: TestClient, session: Session, noor: TestClient, round_: Round
) -> None:
    post(noor, id_in(open_item(noor, round_)), "submit", answer_is_wrong="true", is_flagged="true")
    listed = noor.get(f"/rounds/{round_.id}/mine")
    assert len(page(listed).select(".rows__row")) == 1
    assert "The answer is wrong" in text_of(listed, ".rows__row")
    assert "Flagged" in text_of(listed, ".rows__row")
    other = sign_in(client, session, make_user(session, is_admin=True))
    assert not page(other.get(f"/rounds/{round_.id}/mine")).select(".rows__row")


def test_who_is_unsure_says_so_beside_their_verdicts(
    client: TestClient, session: Session, noor: TestClient, round_: Round
) -> None:
    response = open_item(noor, round_)
    judgement_id, picked = id_in(response), choices_in(response)[:1]
    post(noor, judgement_id, "draft", picked=picked, is_unsure="true", htmx=True)
    assert one(noor.get(f"/judgements/{judgement_id}"), "input[name=is_unsure][checked]")
    post(noor, judgement_id, "submit", picked=picked, version=1, is_unsure="true")
    judgement = get_judgement(session, judgement_id)
    revision = session.scalars(select(JudgementRevision)).one()
    assert judgement.is_unsure
    assert revision.content["is_unsure"]
    assert "1 of 3 fit Unsure" in text_of(noor.get(f"/rounds/{round_.id}/mine"), ".rows__row")
    admin = sign_in(client, session, make_user(session, is_admin=True))
    item = session.get_one(RoundItem, judgement.round_item_id)
    shown = admin.get(f"/items/{item.item_id}")
    assert "picked 1 of 3 unsure" in text_of(shown, "[aria-labelledby=judgements-title]")


def test_a_pause_frees_the_item(session: Session, noor: TestClient, round_: Round) -> None:
    judgement_id = id_in(open_item(noor, round_))
    assert noor.post(f"/judgements/{judgement_id}/release").headers["Location"] == "/"
    assert get_judgement(session, judgement_id).status is JudgementStatus.RELEASED


# --- Better texts ------------------------------------------------------------------------------


def mend(
    client: TestClient,
    judgement_id: int,
    action: str,
    edits: dict[int, str],
    *,
    plain: bool = False,
) -> Response:
    data = {
        "version": "0",
        "answer_is_wrong": "true",
        "edited": [str(number) for number in edits],
        "edit": list(edits.values()),
    }
    headers = {} if plain else HTMX
    return client.post(f"/judgements/{judgement_id}/{action}", data=data, headers=headers)


@pytest.fixture
def long_text(session: Session, round_: Round) -> str:
    """A rationale that is longer than better texts mostly may be, at the item that comes first."""
    text = "because " * 200 + "of it"
    item = make_item(session, project_of(session, round_))
    make_round_item(session, round_, item, texts=(text, "short"), slots=2).priority = 9
    return text


def test_a_better_text_that_is_its_candidate_is_none_however_long(
    session: Session, noor: TestClient, round_: Round, long_text: str
) -> None:
    shown = open_item(noor, round_)
    judgement_id, ids = id_in(shown), choices_in(shown)
    by_text = {text_of_choice(shown, number): number for number in ids}
    longest = by_text[long_text]
    assert mend(noor, judgement_id, "draft", {longest: f" {long_text}\r\n"}).status_code == 200
    judgement = get_judgement(session, judgement_id)
    assert (judgement.answer_is_wrong, judgement.edits) == (True, {})


def text_of_choice(response: Response, candidate_id: int) -> str:
    return str(
        page(response).select_one(f"[data-candidate='{candidate_id}'] .choice__text").text  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("action", ["draft", "submit"])
def test_a_better_text_that_is_too_long_is_told_and_all_else_is_saved(
    session: Session, noor: TestClient, round_: Round, long_text: str, action: str
) -> None:
    shown = open_item(noor, round_)
    judgement_id, (first, second) = id_in(shown), choices_in(shown)
    limit = int(str(page(shown).select("[name=edit]")[0]["data-limit"]))
    assert limit == len(long_text)
    edits = {first: "y" * (limit + 1), second: "a better one"}
    response = mend(noor, judgement_id, action, edits, plain=True)
    assert response.status_code == 422
    field = one(response, f"#edit-{first}")
    assert field["aria-invalid"] == "true"
    assert f"at most {limit:,} characters" in text_of(response, f"#too-long-{first}")
    judgement = get_judgement(session, judgement_id)
    assert judgement.status is JudgementStatus.DRAFT
    assert judgement.answer_is_wrong
    assert judgement.edits == {str(second): "a better one"}


def test_the_script_is_told_that_a_text_was_left_out(
    noor: TestClient, round_: Round, long_text: str
) -> None:
    shown = open_item(noor, round_)
    first = choices_in(shown)[0]
    response = mend(noor, id_in(shown), "draft", {first: "y" * (len(long_text) + 1)})
    assert response.status_code == 200
    assert "but for a text that is too long" in text_of(response, "#saved")


# --- Who has the item: messages come in any order ----------------------------------------------


def lease_in(response: Response) -> str:
    """The end of the lease, as the page or an answer of it names it."""
    return str(page(response).select("[data-lease]")[0]["data-lease"])


def beat(client: TestClient, judgement_id: int) -> str:
    response = post(client, judgement_id, "heartbeat", active_ms="0", htmx=True)
    assert response.status_code == 200
    return lease_in(response)


def leave(client: TestClient, judgement_id: int, lease: str) -> None:
    response = client.post(f"/judgements/{judgement_id}/leave", data={"lease": lease})
    assert response.status_code == 204


def seconds_left(session: Session, judgement_id: int) -> float:
    until = get_judgement(session, judgement_id).lease_until
    assert until is not None
    return (until - datetime.now(UTC)).total_seconds()


def test_a_heartbeat_is_answered_with_the_end_of_the_lease(
    session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    lease = beat(noor, judgement_id)
    until = get_judgement(session, judgement_id).lease_until
    assert until == datetime.fromisoformat(lease)


def test_the_last_page_that_leaves_frees_the_item_soon(
    session: Session, noor: TestClient, round_: Round
) -> None:
    shown = open_item(noor, round_)
    leave(noor, id_in(shown), lease_in(shown))
    assert seconds_left(session, id_in(shown)) <= 20


def test_after_a_reload_the_leave_of_the_page_before_counts_neither_early_nor_late(
    session: Session, noor: TestClient, round_: Round
) -> None:
    old = open_item(noor, round_)
    leave(noor, id_in(old), lease_in(old))
    new = open_item(noor, round_)
    assert seconds_left(session, id_in(old)) > 290
    leave(noor, id_in(old), lease_in(old))
    assert seconds_left(session, id_in(old)) > 290
    # And where the page shows the item by its own address, it is its first heartbeat that counts.
    again = noor.get(f"/judgements/{id_in(old)}")
    assert lease_in(again) == lease_in(new)
    beat(noor, id_in(old))
    leave(noor, id_in(old), lease_in(new))
    assert seconds_left(session, id_in(old)) > 290


@pytest.mark.parametrize("is_beat_first", [True, False], ids=["beat, leave", "leave, beat"])
def test_a_second_tab_that_is_closed_leaves_the_item_to_the_first(
    session: Session, noor: TestClient, round_: Round, is_beat_first: bool
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    second = lease_in(open_item(noor, round_))
    if is_beat_first:
        beat(noor, judgement_id)
    leave(noor, judgement_id, second)
    if not is_beat_first:
        beat(noor, judgement_id)
    assert seconds_left(session, judgement_id) > 290


def test_looking_back_keeps_the_item_that_is_begun(
    session: Session, noor: TestClient, round_: Round
) -> None:
    submitted = id_in(open_item(noor, round_))
    begun = post(noor, submitted, "submit", none_fits="true", htmx=True)
    leave(noor, id_in(begun), lease_in(begun))
    noor.get(f"/judgements/{submitted}")
    beat(noor, id_in(begun))  # by the page that looks back
    assert seconds_left(session, id_in(begun)) > 290


def test_a_leave_that_names_no_lease_changes_nothing(
    session: Session, noor: TestClient, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    assert noor.post(f"/judgements/{judgement_id}/leave").status_code == 204
    for wrong in ("soon", "2026-01-01T00:00:00"):
        response = noor.post(f"/judgements/{judgement_id}/leave", data={"lease": wrong})
        assert response.status_code == 422
    assert seconds_left(session, judgement_id) > 290


@pytest.mark.parametrize("path", ["/sign-out", "/account/sign-out-everywhere"])
def test_signing_out_frees_the_item_at_once_and_keeps_what_was_chosen(
    session: Session, noor: TestClient, annotator: User, round_: Round, path: str
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    post(noor, judgement_id, "draft", none_fits="true", htmx=True)
    assert noor.post(path, follow_redirects=False).status_code == 303
    judgement = get_judgement(session, judgement_id)
    assert (judgement.status, judgement.slot) == (JudgementStatus.RELEASED, None)
    assert judgement.none_fits
    # Late messages of the page that was left do not take it again.
    assert post(noor, judgement_id, "heartbeat", active_ms="0", htmx=True).status_code == 401
    session.refresh(annotator)
    assert id_in(open_item(sign_in(noor, session, annotator), round_)) == judgement_id


def test_a_closed_account_or_a_removed_member_holds_nothing_any_more(
    session: Session, noor: TestClient, annotator: User, round_: Round
) -> None:
    admin = make_user(session, is_admin=True)
    judgement_id = id_in(open_item(noor, round_))
    membership = session.scalars(select(Membership).where(Membership.user_id == annotator.id)).one()
    projects.remove_member(session, membership, actor=admin)
    session.commit()
    assert get_judgement(session, judgement_id).status is JudgementStatus.RELEASED
    make_membership(session, project_of(session, round_), annotator)
    assert id_in(open_item(noor, round_)) == judgement_id
    accounts.set_disabled(session, annotator, True, actor=admin)
    session.commit()
    assert get_judgement(session, judgement_id).status is JudgementStatus.RELEASED


def test_a_closed_account_is_told_so_and_not_to_sign_in_again(
    session: Session, noor: TestClient, annotator: User, round_: Round
) -> None:
    judgement_id = id_in(open_item(noor, round_))
    session.refresh(annotator)
    accounts.set_disabled(session, annotator, True, actor=make_user(session, is_admin=True))
    session.commit()
    response = post(noor, judgement_id, "draft", none_fits="true", htmx=True)
    assert (response.status_code, response.headers["X-Illume"]) == (401, "account-closed")
    assert "HX-Redirect" not in response.headers
    assert "Your account was closed" in text_of(response, ".lede")
    assert "Your account was closed" in noor.get(f"/rounds/{round_.id}/judge").text


def test_every_answer_of_ours_carries_our_mark(noor: TestClient, round_: Round) -> None:
    """By it the page tells a stored answer from the sign-in page of a proxy."""
    judgement_id = id_in(open_item(noor, round_))
    answers = [
        open_item(noor, round_),
        post(noor, judgement_id, "draft", none_fits="true", htmx=True),
        post(noor, judgement_id, "leave"),
        post(noor, judgement_id, "skip", htmx=True),
        noor.get("/no/such/page"),
        noor.get("/static/app.js"),
        noor.post("/sign-in", data={"name": "Noor", "password": "wrong"}),
    ]
    assert {answer.status_code for answer in answers} == {200, 204, 404, 422}
    assert all(answer.headers["X-Illume"] == "1" for answer in answers)


# --- The empty queue --------------------------------------------------------------------------


def judge_all(client: TestClient, round_: Round) -> Response:
    response = open_item(client, round_, htmx=True)
    while page(response).select("#answer"):
        response = post(client, id_in(response), "submit", none_fits="true", htmx=True)
    return response


def test_an_empty_queue_says_why_and_looks_again_by_itself(noor: TestClient, round_: Round) -> None:
    response = judge_all(noor, round_)
    assert "judged everything that you can" in text_of(response, "#question")
    assert "3 items still need the view of somebody else" in text_of(response, "#work")
    assert one(response, "#work")["data-refresh-seconds"] == "5"
    whole = open_item(noor, round_)
    assert page(whole).select("noscript meta[http-equiv=refresh]")
    assert page(whole).select("#take-back")


def test_the_reasons_differ(session: Session, noor: TestClient, round_: Round) -> None:
    judge_all(noor, round_)
    session.expire_all()
    items = session.scalars(select(RoundItem).where(RoundItem.round_id == round_.id)).all()
    items[0].state = RoundItemState.WAITING
    session.flush()
    assert "still writing" in text_of(open_item(noor, round_), "#work")
    for item in items:
        item.state = RoundItemState.DONE
    session.flush()
    assert "All items of this round are judged" in text_of(open_item(noor, round_), "#question")


@pytest.mark.parametrize("status", [s for s in RoundStatus if s not in ("generating", "judging")])
def test_each_status_of_a_round_is_explained(status: RoundStatus) -> None:
    title, text = explain_empty(status, None)
    assert title
    assert text.endswith(".")


def test_a_finished_round_does_not_look_again(session: Session, round_: Round) -> None:
    round_.status = RoundStatus.CANCELLED
    today = datetime.now(UTC)
    assert not build_empty(session, round_, make_user(session), today=today).refreshes


# --- Cost ------------------------------------------------------------------------------------


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(*args: object) -> None:
        statements.append(str(args[2]))

    engine = db.get_engine()
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", count)


def test_the_number_of_queries_does_not_grow_with_the_round(
    session: Session, noor: TestClient, round_: Round
) -> None:
    round_id = round_.id

    def measured(method: str, path: str, data: dict[str, str] | None = None) -> tuple[int, str]:
        # Nothing that the test or an earlier request loaded saves a query.
        session.expunge_all()
        with counted_statements() as statements:
            response = noor.request(method, path, data=data, headers=HTMX)
        assert response.status_code == 200
        return len(statements), response.text

    def cost() -> tuple[int, int, int]:
        shown, text = measured("GET", f"/rounds/{round_id}/judge")
        judgement_id = BeautifulSoup(text, "html.parser").select("#answer")[0]["data-judgement-id"]
        submitted, _ = measured(
            "POST",
            f"/judgements/{judgement_id}/submit",
            {"version": "0", "none_fits": "true"},
        )
        listed, _ = measured("GET", f"/rounds/{round_id}/mine")
        return shown, submitted, listed

    cost()
    small = cost()
    same_round = session.get_one(Round, round_id)
    for _ in range(30):
        make_round_item(
            session,
            same_round,
            make_item(session, project_of(session, same_round)),
            texts=[f"reason {number}" for number in range(10)],
            slots=2,
        )
    del same_round
    for _ in range(12):
        cost()
    assert cost() == small
    # A page, a submission with the next item, the list of own items.
    assert all(n <= most for n, most in zip(small, (20, 40, 15), strict=True)), small
