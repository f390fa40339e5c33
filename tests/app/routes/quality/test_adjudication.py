"""The pages of adjudication: who sees them, what they tell, and what they keep."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role, RoundStatus
from app.models import Adjudication, Project, Round, User
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_user
from tests.support.judging import gather_now, make_people
from tests.support.quality.disputes import decide_item, make_disputed_round


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 3)


@pytest.fixture
def round_(session: Session, people: list[User]) -> Round:
    return make_disputed_round(session, make_project(session), people=people)


@pytest.fixture
def ada(session: Session, round_: Round) -> User:
    return make_member(session, round_, Role.ADMIN)


@pytest.fixture
def admin(client: TestClient, session: Session, ada: User) -> TestClient:
    return sign_in(client, session, ada)


def make_member(session: Session, round_: Round, role: Role) -> User:
    user = make_user(session)
    make_membership(session, session.get_one(Project, round_.project_id), user, role)
    return user


def url_of(round_: Round) -> str:
    return f"/rounds/{round_.id}/adjudication"


def form_of(client: TestClient, url: str) -> tuple[str, dict[str, str], list[str]]:
    """The address of the form of an item, its version, and the names of what is to be chosen."""
    form = page(client.get(url)).select_one("form#answer")
    assert form is not None
    version = form.select_one("input[name=version]")
    assert version is not None
    names = list(dict.fromkeys(str(one["name"]) for one in form.select("input[type=radio]")))
    return str(form["action"]), {"version": str(version["value"])}, names


def test_only_admins_of_the_project_adjudicate(
    client: TestClient, session: Session, round_: Round
) -> None:
    url = url_of(round_)
    paths = [url, f"{url}/decided", f"{url}/items/1"]
    assert [client.get(path, follow_redirects=False).status_code for path in paths] == [303] * 3
    sign_in(client, session, make_user(session))
    assert [client.get(path).status_code for path in paths] == [404] * 3
    assert client.post(f"{url}/items/1").status_code == 404
    sign_in(client, session, make_member(session, round_, Role.ANNOTATOR))
    assert [client.get(path).status_code for path in paths] == [403] * 3
    assert client.post(f"{url}/items/1/take-back").status_code == 403


def test_an_item_shows_what_each_person_said_but_not_who(
    admin: TestClient, round_: Round, people: list[User]
) -> None:
    answer = admin.get(url_of(round_))
    assert not [one.name for one in people if one.name in answer.text]
    rows = page(answer).select(".dispute")
    assert len(rows) == 2
    second, third = (
        [text.get_text() for text in row.select(".said__one .visually-hidden")] for row in rows
    )
    assert sorted(text[3:] for text in second) == ["does not fit", "fits", "fits"]
    assert sorted(text[3:] for text in third) == ["does not fit", "does not fit", "fits"]
    assert [text[0] for text in second] == ["A", "B", "C"]
    (odd,) = (one[0] for one in third if one.endswith(": fits"))
    assert f"{odd}: wrong about the image" in rows[0].get_text().replace(": W", ": w")
    assert "2 rationales on which all agree" in text_of(answer, ".fold")
    assert "0 of 3 disputed items decided" in text_of(answer, ".bar")


def test_items_are_decided_one_after_the_other_and_taken_back(
    admin: TestClient, session: Session, round_: Round
) -> None:
    url = url_of(round_)
    for n_done in range(1, 4):
        action, form, names = form_of(admin, url)
        answer = admin.post(action, data=form | dict.fromkeys(names, "fits"))
        assert (answer.status_code, answer.headers["location"]) == (303, url)
        answer = admin.get(url)
        assert f"{n_done} of 3 disputed items decided" in text_of(answer, "main")
    assert "Everything that people differ on so far is decided." in text_of(answer, "main")
    assert {row.fits for row in session.scalars(select(Adjudication))} == {True}
    listed = page(admin.get(f"{url}/decided")).select("tbody tr")
    assert len(listed) == 3
    answer = admin.post(f"{action}/take-back")
    assert (answer.status_code, answer.headers["location"]) == (303, action)
    answer = admin.get(action)
    assert "Taken back." in answer.text
    assert "2 of 3 disputed items decided" in text_of(answer, "main")


def test_a_decision_that_is_not_whole_is_shown_again(
    admin: TestClient, session: Session, round_: Round
) -> None:
    action, form, names = form_of(admin, url_of(round_))
    answer = admin.post(action, data=form | {names[1]: "misfit", "candidate-x": "fits"})
    assert answer.status_code == 422
    assert "Decide every rationale" in text_of(answer, "[role=alert]")
    (chosen,) = page(answer).select("input[type=radio][checked]")
    assert (chosen["name"], chosen["value"]) == (names[1], "misfit")
    assert not session.scalars(select(Adjudication)).all()


def test_of_two_adjudicators_the_second_sees_what_the_first_decided(
    admin: TestClient, session: Session, round_: Round
) -> None:
    action, form, names = form_of(admin, url_of(round_))
    item_id = int(action.rpartition("/")[2])
    decide_item(session, round_, item_id, make_member(session, round_, Role.ADMIN), True, False)
    answer = admin.post(action, data=form | dict.fromkeys(names, "fits"))
    assert answer.status_code == 409
    assert "while you looked at it" in text_of(answer, "[role=alert]")
    checked = [one["value"] for one in page(answer).select("input[type=radio][checked]")]
    assert checked == ["fits", "misfit"]


def test_nothing_is_decided_in_a_round_that_is_closed_or_a_project_that_is_archived(
    admin: TestClient, session: Session, round_: Round
) -> None:
    url = url_of(round_)
    action, form, names = form_of(admin, url)
    project = session.get_one(Project, round_.project_id)
    whole = form | dict.fromkeys(names, "fits")
    project.archived_at = datetime.now(UTC)
    session.flush()  # the request reads it
    assert admin.post(action, data=whole).status_code == 409
    project.archived_at = None
    round_.status = RoundStatus.TRAINING
    session.flush()  # the status is read by the request
    answer = admin.post(action, data=whole)
    assert answer.status_code == 409
    assert "before anything is admitted" in answer.text
    assert "Nothing can be decided now" in text_of(admin.get(url), "main")
    shown = page(admin.get(action))
    assert shown.select("fieldset[disabled]")
    assert not shown.select(".bar__submit")
    assert not session.scalars(select(Adjudication)).all()


def test_what_one_judged_is_left_to_others(
    client: TestClient, session: Session, round_: Round, people: list[User]
) -> None:
    project = session.get_one(Project, round_.project_id)
    make_membership(session, project, people[0], Role.ADMIN)
    sign_in(client, session, people[0])
    answer = client.get(url_of(round_))
    assert "3 disputed items are left to other admins" in text_of(answer, "main")


def test_the_round_the_policies_and_the_closing_lead_there(
    admin: TestClient, session: Session, round_: Round, ada: User
) -> None:
    gather_now(session, round_)
    base = f"/rounds/{round_.id}"
    shown = admin.get(base)
    assert "0 of 3 disputed items decided" in text_of(shown, "#adjudication")
    assert "it waits for that" in text_of(shown, "#adjudication")
    assert "3 items on which people differ are not decided" in text_of(
        admin.get(f"{base}/close"), "main"
    )
    (item_id,) = re.findall(r"items/(\d+)", form_of(admin, url_of(round_))[0])
    decide_item(session, round_, int(item_id), ada, False, True)
    assert "adjudicators have decided since then" in text_of(admin.get(base), "#policies")
    preview = text_of(admin.get(f"{base}/close"), "tbody")
    gather_now(session, round_)
    shown = text_of(admin.get(base), "#policies")
    assert "People differ on 6 rationales. Adjudicators decided 2" in shown
    assert "Otherwise than the votes by adjudicated: 1; by any: 1; by majority: 2" in shown
    assert "decided since then" not in shown
    counted = text_of(admin.get(f"{base}/close"), "tbody")
    assert counted.split("known once")[0].split("Dawid")[0] == preview.split("Dawid")[0]
    assert "1 of 3 disputed items decided" in text_of(admin.get(f"{base}/policies"), "main")
