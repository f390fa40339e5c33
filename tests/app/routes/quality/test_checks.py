"""The pages of check items: made by hand and from what people agree on, read, retired, acted on."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import JudgementStatus, Role, RoundStatus
from app.models import CheckItem, Judgement, Project, Round, User
from tests.support.browsing import filled_in, one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.quality.checks import (
    FIT,
    MISFIT,
    expected_of,
    judge_some,
    make_checks,
    settings_with,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Scenes")


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    settings = settings_with(0.15, check_floor=0.5, overlap=2)
    round_ = make_round(session, project, settings=settings)
    for _ in range(36):
        make_round_item(session, round_, make_item(session, project), slots=2)
    return round_


@pytest.fixture
def ada(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session, name="Ada")
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


@pytest.fixture
def noor(session: Session, project: Project) -> User:
    user = make_user(session, name="Noor")
    make_membership(session, project, user)
    return user


def address(project: Project, rest: str = "") -> str:
    return f"/projects/{project.slug}/checks{rest}"


def test_a_check_item_is_written_by_hand_read_and_retired(
    ada: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project, question="what is red?", external_id="a-1")
    form = one(ada.get(address(project, "/new?item=a-1")), "form.form")
    fields = filled_in(form)
    assert fields["text-1"] == ["the ball is red"]
    assert fields["verdict-1"] == ["fits"]
    said = {name: values[0] for name, values in fields.items()}
    said |= {"text-2": "the ball is blue", "verdict-2": "misfit", "uses": "7"}
    answer = ada.post(address(project, "/new"), data=said, follow_redirects=True)
    assert "The check item is made." in answer.text
    check_item = session.scalars(select(CheckItem)).one()
    assert (check_item.item_id, check_item.max_uses) == (item.id, 7)
    assert "1 of 2" in text_of(ada.get(address(project)), "#checks-title ~ .table-wrap")
    shown = ada.get(address(project, f"/{check_item.id}"))
    assert [row.get_text(" ", strip=True) for row in page(shown).select("tbody tr")] == [
        "the ball is red fits 0 of 0",
        "the ball is blue does not fit 0 of 0",
    ]
    answer = ada.post(address(project, f"/{check_item.id}/retire"), follow_redirects=True)
    assert "retired" in text_of(answer, "#checks-title ~ .table-wrap")


def test_what_is_wrong_with_the_form_is_said_and_nothing_typed_is_lost(
    ada: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project, external_id="a-1")
    said = {"item": "a-1", "text-1": "so it is", "verdict-1": "", "uses": "many"}
    answer = ada.post(address(project, "/new"), data=said)
    assert answer.status_code == 422
    told = text_of(answer, "[role=alert]")
    assert "Rationale 1: does it fit or not?" in told
    assert "The number of uses is between 1 and 10000." in told
    assert filled_in(one(answer, "form.form"))["text-1"] == ["so it is"]
    unknown = ada.get(address(project, "/new?item=nothing"))
    assert unknown.status_code == 422
    assert "no item with that id" in unknown.text


def test_items_on_which_people_agree_are_made_check_items_with_one_press(
    ada: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=settings_with(0, overlap=2))
    for _ in range(2):
        item = make_item(session, project)
        make_round_item(session, round_, item, texts=(*FIT, *MISFIT), slots=2)
    for _ in range(2):
        judge_some(session, round_, make_user(session), 2, lambda one: sorted(one.shown_order)[:2])
    made = ada.post(address(project, "/agreed"), data={"n": "5"}, follow_redirects=True)
    assert "2 check items made." in made.text
    again = ada.post(address(project, "/agreed"), data={"n": "5"})
    assert again.status_code == 422
    assert "There is no such item" in again.text
    assert ada.post(address(project, "/agreed"), data={"n": "lots"}).status_code == 422


def test_who_is_surely_below_the_floor_is_named_and_their_answers_go_and_come_back(
    ada: TestClient, session: Session, project: Project, round_: Round, noor: User
) -> None:
    make_checks(session, project, 6)
    judge_some(
        session, round_, noor, 40, lambda one: set(one.shown_order) - expected_of(session, one)
    )
    table = text_of(ada.get(address(project)), "#people-title ~ .table-wrap")
    assert "Noor" in table
    assert "surely below 0.50" in table
    person = address(project, f"/people/{noor.id}")
    assert "Surely below the lowest check score" in ada.get(person).text
    answer = ada.post(f"{person}/withdraw", follow_redirects=True)
    n = session.scalars(
        select(func.count()).where(
            Judgement.user_id == noor.id, Judgement.status == JudgementStatus.WITHDRAWN
        )
    ).one()
    assert n >= 30
    assert f"{n} answers are set apart." in answer.text
    answer = ada.post(f"{person}/give-back", follow_redirects=True)
    assert f"{n} answers count." in answer.text


def test_annotators_are_told_what_they_are_measured_on_and_see_no_check_page(
    client: TestClient, session: Session, project: Project, round_: Round, noor: User
) -> None:
    (check_item,) = make_checks(session, project, 1)
    judge_some(session, round_, noor, 8)
    browser = sign_in(client, session, noor)
    judging = browser.get(f"/rounds/{round_.id}/judge")
    assert "Some items are checks" in text_of(judging, "#guidelines")
    for path in ("", "/new?item=a", f"/{check_item.id}", f"/people/{noor.id}"):
        assert browser.get(address(project, path)).status_code == 403
    assert browser.post(address(project, f"/people/{noor.id}/withdraw")).status_code == 403


def test_what_belongs_to_another_project_is_not_found(
    ada: TestClient, session: Session, project: Project
) -> None:
    other = make_project(session)
    (check_item,) = make_checks(session, other, 1)
    assert ada.get(address(project, f"/{check_item.id}")).status_code == 404
    assert ada.post(address(project, f"/{check_item.id}/retire")).status_code == 404
    assert ada.get(address(project, f"/people/{make_user(session).id}")).status_code == 404


def test_without_an_open_round_nothing_can_be_set_apart(
    ada: TestClient, session: Session, project: Project, round_: Round, noor: User
) -> None:
    make_checks(session, project, 1)
    judge_some(session, round_, noor, 8)
    round_.status = RoundStatus.CANCELLED
    session.flush()
    answer = ada.post(address(project, f"/people/{noor.id}/withdraw"))
    assert answer.status_code == 409
    assert "No round is open." in answer.text
