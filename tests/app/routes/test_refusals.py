"""Refusals as browsers and programs get them: the form once more, or a problem with its code."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import PracticeMode, Role, RoundStatus
from app.models import Item, Judgement, Project, Round, User
from app.services.accounts import accounts
from app.services.dataset import items
from app.services.projects import removal
from tests.support.browsing import bearer, make_token, one, sign_in
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

PASSWORD = "correct horse battery"


@dataclass
class Place:
    """A project with an open round, an item that its admin holds, and its admin."""

    session: Session
    ada: User
    project: Project
    round_: Round
    names: dict[str, object] = field(default_factory=dict)

    @property
    def judgement(self) -> Judgement:
        return self.session.scalars(select(Judgement)).one()


@pytest.fixture
def place(client: TestClient, session: Session) -> Place:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    ada.is_admin = True
    project = make_project(session)
    make_membership(session, project, ada, Role.ADMIN)
    round_ = make_round(session, project)
    item = make_item(session, project)
    make_round_item(session, round_, item, slots=2)
    place = Place(session, ada, project, round_)
    place.names = {"slug": project.slug, "round": round_.id, "item": item.id, "ada": ada.id}
    place.names["bob"] = make_user(session, name="Bob").id
    sign_in(client, session, ada)
    client.get(f"/rounds/{round_.id}/judge")
    place.names["judgement"] = place.judgement.id
    return place


def problem(response: Response, status: int) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, object] = response.json()
    return told


# --- Forms -----------------------------------------------------------------------------------

Fields = dict[str, str]
FORMS: dict[str, tuple[str, Fields, str]] = {
    "a name that is taken": ("/people", {"name": "ada"}, "name.taken"),
    "a person's name": ("/people/{bob}/erase", {"name": "Ada"}, "name.not_repeated"),
    "a project without a name": ("/projects", {"name": ""}, "input.invalid"),
    "settings": ("/projects/{slug}/settings", {"overlap": "x"}, "settings.invalid"),
    "details": ("/projects/{slug}/details", {"name": ""}, "input.invalid"),
    "an invite": ("/projects/{slug}/invites", {"days": "x"}, "input.invalid"),
    "an import": ("/projects/{slug}/imports", {"layout": "auto"}, "file.wrong"),
    "an item left out": ("/items/{item}/exclude", {"reason": ""}, "input.invalid"),
    "a correction": ("/items/{item}/correct", {"question": ""}, "input.invalid"),
    "a practice item": ("/projects/{slug}/practice/items", {"external_id": "?"}, "input.invalid"),
    "a practice rule": (
        "/projects/{slug}/practice/rules",
        {"mode": PracticeMode.OFFERED.value, "pass_percent": "101"},
        "input.invalid",
    ),
    "guidelines": (
        "/projects/{slug}/guidelines",
        {"guidelines": "x" * 200_001, "version": "1"},
        "input.invalid",
    ),
    "keys": ("/account/keys", {"action": "pick_1", "key": ""}, "input.invalid"),
    "nothing chosen": ("/judgements/{judgement}/submit", {"version": "0"}, "opinion.empty"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_program_is_told_the_code_where_a_browser_sees_the_form_again(
    client: TestClient, session: Session, place: Place, name: str
) -> None:
    path, fields, code = FORMS[name]
    path = path.format(**place.names)
    sent = {"files": {"nothing": b""}} if path.endswith("/imports") else {}
    shown = client.post(path, data=fields, **sent)  # type: ignore[arg-type]
    assert shown.status_code in {409, 422}
    assert shown.headers["content-type"].startswith("text/html")
    headers = bearer(make_token(session, session.get_one(User, place.ada.id)))
    # Whoever adds people hands out links, which a token must not.
    asking = [{"Accept": "application/json"}, *([headers] if path != "/people" else [])]
    for extra in asking:
        told = problem(client.post(path, data=fields, headers=extra, **sent), shown.status_code)  # type: ignore[arg-type]
        assert told["code"] == code
        assert told["detail"]


def test_settings_that_are_not_possible_are_named_one_by_one(
    client: TestClient, session: Session, place: Place
) -> None:
    path = f"/projects/{place.project.slug}/settings"
    headers = bearer(make_token(session, session.get_one(User, place.ada.id)))
    told = problem(client.post(path, data={"seed": "none"}, headers=headers), 422)
    errors = told["errors"]
    assert isinstance(errors, list)
    assert any(line.startswith("seed: ") for line in errors)


def test_a_form_that_is_refused_is_shown_with_what_was_typed(
    client: TestClient, session: Session, place: Place
) -> None:
    shown = client.post(f"/items/{place.names['item']}/exclude", data={"reason": "x" * 501})
    assert shown.status_code == 422
    assert "x" * 501 in str(one(shown, "form [name=reason]"))
    assert "longer than 500" in shown.text


def test_refused_passwords_are_told_apart(
    client: TestClient, session: Session, place: Place
) -> None:
    given = {
        "password.wrong": {"current": "wrong", "password": "x", "again": "x"},
        "password.refused": {"current": PASSWORD, "password": "one", "again": "other"},
    }
    given["password.wrong"] |= {"password": "another good one", "again": "another good one"}
    for code, fields in given.items():
        asked = {"Accept": "application/json"}
        told = problem(client.post("/account/password", data=fields, headers=asked), 422)
        assert told["code"] == code


# --- States that do not fit ------------------------------------------------------------------


def nothing(place: Place) -> None:
    """As it is."""


def close_the_round(place: Place) -> None:
    place.round_.status = RoundStatus.TRAINING


def archive(place: Place) -> None:
    place.round_.status = RoundStatus.CANCELLED
    place.session.flush()
    removal.archive_project(place.session, place.project, actor=place.ada)


def write_in_another_tab(place: Place) -> None:
    place.judgement.version, place.judgement.comment = 7, "written elsewhere"


CONFLICTS: dict[str, tuple[Callable[[Place], None], str, Fields]] = {
    "round.open": (nothing, "/projects/{slug}/rounds", {}),
    "round.not_draft": (nothing, "/rounds/{round}/start", {}),
    "round.not_judging": (close_the_round, "/rounds/{round}/close", {}),
    "retry.nothing": (nothing, "/rounds/{round}/retry", {}),
    "round.closed": (close_the_round, "/judgements/{judgement}/skip", {"reason": "dark"}),
    "version.stale": (
        write_in_another_tab,
        "/judgements/{judgement}/draft",
        {"version": "0", "none_fits": "true"},
    ),
    "project.archived": (archive, "/projects/{slug}/rounds", {}),
    "project.busy": (nothing, "/projects/{slug}/archive", {}),
    "project.not_archived": (nothing, "/projects/{slug}/delete", {"name": "x"}),
    "item.not_excluded": (nothing, "/items/{item}/include", {}),
    "account.own": (nothing, "/people/{ada}/close", {}),
    "practice.over": (nothing, "/projects/{slug}/practice", {}),
}


@pytest.mark.parametrize("code", CONFLICTS)
def test_states_that_do_not_fit_are_told_apart(
    client: TestClient, session: Session, place: Place, code: str
) -> None:
    before, path, fields = CONFLICTS[code]
    before(place)
    session.flush()
    headers = bearer(make_token(session, session.get_one(User, place.ada.id)))
    told = problem(client.post(path.format(**place.names), data=fields, headers=headers), 409)
    assert told["code"] == code


def test_an_opinion_that_came_too_late_is_kept_and_its_program_told(
    client: TestClient, session: Session, place: Place
) -> None:
    headers = bearer(make_token(session, place.ada))
    path = f"/judgements/{place.names['judgement']}"
    assert client.post(f"{path}/release", headers=headers).status_code == 303
    item = session.get_one(Item, place.names["item"])
    items.exclude_item(session, item, reason="dark", actor=None)
    said = {"version": "0", "none_fits": "true", "comment": "too late"}
    told = problem(client.post(f"{path}/draft", data=said, headers=headers), 409)
    assert told["code"] == "lease.lost"
    session.expire_all()
    assert place.judgement.comment == "too late"


def test_what_a_program_is_told_of_a_text_that_is_too_long_takes_nothing_back(
    client: TestClient, session: Session, place: Place
) -> None:
    first, second = place.judgement.shown_order[:2]
    said = {
        "version": "0",
        "answer_is_wrong": "true",
        "edited": [str(first), str(second)],
        "edit": ["y" * 20_000, "a better one"],
    }
    path = f"/judgements/{place.names['judgement']}/submit"
    headers = bearer(make_token(session, place.ada))
    told = problem(client.post(path, data=said, headers=headers), 422)
    assert told["code"] == "opinion.partly_stored"
    session.expire_all()
    assert place.judgement.edits == {str(second): "a better one"}
