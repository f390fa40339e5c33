"""Numbers beyond the database's and characters that it has no place for: never a 500, anywhere."""

import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import available_timezones

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.numbers import LARGEST
from app.lifecycle import Role
from app.main import ROUTES
from app.models import Event, Invite, Item, User
from app.services.accounts import accounts
from app.services.judging import opening, practice_items
from app.services.projects import projects
from app.services.releases.releases import request_release
from app.web.pages.judging.today import day_start
from tests.support.browsing import HTMX, page, sign_in, text_of
from tests.support.factories import (
    make_membership,
    make_project,
    make_user,
)
from tests.support.quality.checks import make_checks
from tests.support.rounds.asked_questions import AskedRound, open_image

ODD_NUMBERS = [str(LARGEST + 1), "9" * 5000, "²"]
ODD_TEXTS = ["a\0b"]


def routes() -> list[APIRoute]:
    found = [route for module in ROUTES for route in module.router.routes]
    assert all(isinstance(route, APIRoute) for route in found)
    return [route for route in found if isinstance(route, APIRoute)]


def each(dependant: Dependant) -> Iterator[Dependant]:
    """What a handler asks for, and what that asks for."""
    yield dependant
    for part in dependant.dependencies:
        yield from each(part)


def fields_of(route: APIRoute) -> tuple[list[str], list[str]]:
    """Names in the query and in the form."""
    form: list[str] = []
    query: list[str] = []
    for part in each(route.dependant):
        query += [field.name for field in part.query_params]
        for field in part.body_params:
            schema = TypeAdapter(field.field_info.annotation).json_schema()
            form += schema.get("properties", {}) or [field.name]
    return query, form


def test_every_number_that_a_handler_takes_is_one_of_the_database() -> None:
    unbounded = []
    for route in routes():
        asked = [
            field
            for part in each(route.dependant)
            for field in (*part.path_params, *part.query_params, *part.body_params)
        ]
        for field in asked:
            schema = TypeAdapter(
                Annotated[field.field_info.annotation, field.field_info]
            ).json_schema()
            unbounded += [
                f"{route.path}: {field.name}"
                for part in _integers(schema)
                if part.get("maximum", LARGEST + 1) > LARGEST
            ]
    assert unbounded == []


def _integers(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _integers(part)


@pytest.fixture
def addresses(session: Session) -> dict[str, object]:
    """What every placeholder of an address may stand for, in a project with something of all."""
    admin = make_user(session, name="Ada", is_admin=True)
    project = make_project(session)
    membership = make_membership(session, project, admin, Role.ADMIN)
    asked = AskedRound(session, project)
    asked.ask()
    round_, (item,) = asked.round, asked.items
    judgement = opening.open_next_item(session, round_, admin)
    assert judgement is not None
    (check_item,) = make_checks(session, project, 1)
    practice_item = practice_items.add_item(session, project, item, actor=admin)
    invite_path = projects.make_invite(session, project, actor=admin)
    link = accounts.make_sign_in_link(session, make_user(session))
    run = request_release(session, project, actor=admin)
    session.flush()
    return {
        "slug": project.slug,
        "membership_id": membership.id,
        "invite_id": session.scalars(select(Invite.id)).one(),
        "round_id": round_.id,
        "judgement_id": judgement.id,
        "review_id": open_image(session, project, admin).id,
        "item_id": item.id,
        "practice_item_id": practice_item.id,
        "check_item_id": check_item.id,
        "answer_id": 1,
        "draw": 1,
        "turn": 1,
        "run_id": run.id,
        "release_id": 1,
        "adapter_id": 1,
        "layout": "jsonl",
        "name": "croissant.json",
        "user_id": admin.id,
        "sha256": item.image_sha256,
        "token": {"/join": invite_path, "/sign": link},
    }


def address_of(route: APIRoute, names: dict[str, object]) -> str:
    def fill(match: re.Match[str]) -> str:
        value = names[match[1]]
        if isinstance(value, dict):
            value = value[route.path[:5]].rpartition("/")[2]
        return str(value)

    return re.sub(r"\{(\w+)\}", fill, route.path)


@pytest.fixture
def ada(client: TestClient, session: Session, addresses: dict[str, object]) -> TestClient:
    return sign_in(client, session, session.get_one(User, addresses["user_id"]))


def test_an_address_with_an_odd_part_is_no_page(
    ada: TestClient, addresses: dict[str, object]
) -> None:
    n_asked = 0
    for route in routes():
        for name in re.findall(r"\{(\w+)\}", route.path):
            for odd in (*ODD_NUMBERS, *ODD_TEXTS, "-1"):
                path = address_of(route, {**addresses, name: quote(odd, safe="")})
                for method in route.methods:
                    answer = ada.request(method, path)
                    allowed = {404, 410, 422} if name == "token" else {404, 422}
                    assert answer.status_code in allowed, (method, path[:80], answer.status_code)
                    n_asked += 1
    assert n_asked > 200


def test_a_query_with_an_odd_part_is_refused_or_ignored(
    ada: TestClient, addresses: dict[str, object]
) -> None:
    for route in routes():
        if "GET" not in route.methods:
            continue
        path = address_of(route, addresses)
        for name in (*fields_of(route)[0], "unknown"):
            for odd in ODD_NUMBERS:
                answer = ada.get(path, params={name: odd}, headers=HTMX)
                assert answer.status_code < 500, (path, name, odd[:30])
            for odd in ODD_TEXTS:
                answer = ada.get(path, params={name: odd})
                assert answer.status_code == 422, (path, name)
                assert "cannot be kept (U+0000)" in text_of(answer, "main")


@pytest.mark.parametrize("odd", [ODD_NUMBERS[0], *ODD_TEXTS], ids=lambda odd: repr(odd[:12]))
def test_a_form_with_an_odd_part_is_refused(
    ada: TestClient, session: Session, addresses: dict[str, object], odd: str
) -> None:
    n_asked = 0
    for route in routes():
        if "POST" not in route.methods or route.path.startswith("/sign"):
            continue
        path = address_of(route, addresses)
        for name in fields_of(route)[1]:
            before = session.scalar(select(Event.id).order_by(Event.id.desc()).limit(1))
            answer = ada.post(path, data={"version": "0", name: odd})
            assert answer.status_code < 500, (path, name, odd[:30])
            if "\0" in odd and not route.path.startswith("/judgements/"):
                assert answer.status_code == 422, (path, name)
                after = session.scalar(select(Event.id).order_by(Event.id.desc()).limit(1))
                assert after == before, (path, name)
            n_asked += 1
    assert n_asked > 40


@pytest.mark.parametrize("field", ["name", "password", "next"])
def test_signing_in_with_a_character_that_cannot_be_kept_is_refused(
    client: TestClient, session: Session, field: str
) -> None:
    response = client.post("/sign-in", data={"name": "Ada", "password": "x", field: "a\0b"})
    assert response.status_code == 422
    assert "U+0000" in response.text


def test_half_a_character_is_refused(client: TestClient) -> None:
    """A sender may name a charset whose texts have halves of characters."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\\ud800\r\n'
        b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nsecret\r\n--x--\r\n'
    )
    kind = "multipart/form-data; boundary=x; charset=unicode_escape"
    response = client.post("/sign-in", content=body, headers={"Content-Type": kind})
    assert response.status_code == 422
    assert "U+D800" in response.text


def test_settings_with_odd_numbers_come_back_with_a_word_at_the_field(
    ada: TestClient, addresses: dict[str, object]
) -> None:
    address = f"/projects/{addresses['slug']}/settings"
    form = {
        str(field["name"]): str(field.get("value") or field.get_text())
        for field in page(ada.get(address)).select("form [name]")
        if field["name"] != "next"
        if field.get("type") != "checkbox" or field.has_attr("checked")
    }
    for odd in ("9" * 400, "nan", "1e400"):
        for name in ("max_items", "seed", "training.learning_rate", "training.alpha"):
            answer = ada.post(address, data={**form, name: odd})
            assert answer.status_code == 422, (name, odd[:20])


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("HX-Current-URL", "http://[half"),
        ("HX-Current-URL", "http://host:port/\x80"),
        ("Referer", "http://[half"),
        ("Accept-Language", "de;q=" + "9" * 5000),
        ("Accept-Language", "de;q=nan, \xb2;q=\xb2"),
        ("Cookie", "tz=../../etc/passwd; theme=\xff; language=\xff"),
        ("Cookie", 'illume_session="\\377"; illume_flash=x.y.z'),
        ("Origin", "http://[half"),
        ("Origin", "http://host:port"),
        ("X-Request-ID", "\xb2" * 10),
        ("If-None-Match", "\xff"),
        ("Range", "bytes=" + "9" * 5000 + "-"),
        ("Content-Length", "\xb2"),
        ("Content-Type", "multipart/form-data"),
        ("Content-Type", "multipart/form-data; boundary=x; charset=\xb2"),
    ],
)
def test_an_odd_header_is_no_crash(
    client: TestClient, session: Session, header: str, value: str
) -> None:
    headers = {**HTMX, header: value.encode("latin-1")}
    for path in ("/", "/sign-in", "/static/app.css", "/projects/x/imports", "/nowhere"):
        assert client.get(path, headers=headers).status_code < 500
        if header != "Content-Length":
            assert client.post(path, content=b"x", headers=headers).status_code < 500


@pytest.mark.parametrize("path", ["/static/a%00b.css", "/static/" + "a" * 5000, "/%00", "/%ff"])
def test_an_odd_address_outside_the_pages_is_no_page(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_an_address_in_another_writing_can_be_gone_to(client: TestClient, session: Session) -> None:
    """The header that sends a browser there has room for a few characters only."""
    accounts.add_user(session, name="Ada", password="correct horse battery")
    data = {"name": "Ada", "password": "correct horse battery", "next": "/項目?q=größe"}
    sent = client.post("/sign-in", data=data)
    assert sent.status_code == 303
    assert sent.headers["Location"] == "/%E9%A0%85%E7%9B%AE?q=gr%C3%B6%C3%9Fe"
    client.post("/sign-out")
    sent = client.post("/sign-in", data=data, headers=HTMX)
    assert sent.headers["HX-Redirect"] == "/%E9%A0%85%E7%9B%AE?q=gr%C3%B6%C3%9Fe"


def test_every_time_zone_that_counts_is_known_to_the_database(
    ada: TestClient, session: Session
) -> None:
    for zone in ("localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC", "\0"):
        client_zone = day_start({"tz": zone}).tzinfo
        assert str(client_zone) == "UTC", zone
    assert str(day_start({"tz": "Asia/Tokyo"}).tzinfo) == "Asia/Tokyo"
    assert "Asia/Tokyo" in available_timezones()


def test_the_title_of_an_item_is_found_by_odd_patterns(
    ada: TestClient, session: Session, addresses: dict[str, object]
) -> None:
    item = session.get_one(Item, addresses["item_id"])
    item.question = "100 % sure_thing \\ of it?"
    for wanted, is_found in (("%", True), ("_", True), ("\\", True), ("e_h", False), ("(", False)):
        answer = ada.get(f"/projects/{addresses['slug']}/items", params={"q": wanted})
        assert answer.status_code == 200
        assert ("sure_thing" in answer.text) is is_found, wanted
