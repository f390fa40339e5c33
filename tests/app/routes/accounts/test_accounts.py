"""Signing in and out, links, invites and the own account, as a browser sees them."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.settings import get_settings
from app.lifecycle import Role
from app.main import create_app
from app.services.accounts import accounts
from app.services.projects import projects
from app.web.access.deps import get_session
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_user

PASSWORD = "correct horse battery"


def cookie_name(client: TestClient) -> str:
    return str(client.app.state.cookies.session_name)  # type: ignore[attr-defined]


def test_sign_in_with_a_password_and_out_again(client: TestClient, session: Session) -> None:
    accounts.add_user(session, name="Ada", password=PASSWORD)
    response = client.post(
        "/sign-in", data={"name": "ada", "password": PASSWORD, "next": "/account"}
    )
    assert response.status_code == 303
    assert response.headers["Location"] == "/account"
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert client.get("/account").status_code == 200
    assert client.post("/sign-out").headers["Location"] == "/sign-in"
    assert client.get("/account").status_code == 303


def test_wrong_password_keeps_the_name_and_says_so(client: TestClient, session: Session) -> None:
    accounts.add_user(session, name="Ada", password=PASSWORD)
    response = client.post("/sign-in", data={"name": "Ada", "password": "x", "next": "/account"})
    assert response.status_code == 422
    assert one(response, "input[name=name]")["value"] == "Ada"
    assert one(response, "main input[name=next]")["value"] == "/account"
    assert "not right" in text_of(response, "[role=alert]")
    assert cookie_name(client) not in client.cookies


def test_too_many_wrong_passwords_are_429(client: TestClient, session: Session) -> None:
    accounts.add_user(session, name="Limited", password=PASSWORD)
    data = {"name": "Limited", "password": "wrong"}
    statuses = [client.post("/sign-in", data=data).status_code for _ in range(10)]
    assert statuses == [422] * accounts.ATTEMPTS_PER_NAME + [429] * 2


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil"])
def test_sign_in_never_leads_to_another_site(
    client: TestClient, session: Session, target: str
) -> None:
    accounts.add_user(session, name="Ada", password=PASSWORD)
    form = client.get("/sign-in", params={"next": target})
    assert one(form, "main input[name=next]")["value"] == "/"
    response = client.post("/sign-in", data={"name": "Ada", "password": PASSWORD, "next": target})
    assert response.headers["Location"] == "/"


def test_an_installation_without_accounts_says_how_to_make_one(
    client: TestClient, session: Session
) -> None:
    assert "illume user add" in client.get("/sign-in").text
    make_user(session)
    assert "illume user add" not in client.get("/sign-in").text


def test_a_forged_or_old_session_is_no_session(client: TestClient, session: Session) -> None:
    ada = make_user(session)
    cookies = client.app.state.cookies  # type: ignore[attr-defined]
    signed = [cookies.sessions.dumps(said) for said in ([ada.id, 0], [ada.id, "key"], [ada.id])]
    for value in ("WzEsMF0.forged.signature", *signed):
        client.cookies.clear()
        client.cookies.set(cookie_name(client), value)
        assert client.get("/account").status_code == 303


def test_a_closed_account_is_signed_out(client: TestClient, session: Session) -> None:
    admin, ada = make_user(session, is_admin=True), make_user(session)
    sign_in(client, session, ada)
    accounts.set_disabled(session, ada, True, actor=admin)
    assert client.get("/account").status_code == 303
    # Even where a session itself would still hold.
    mark = [ada.id, accounts.start_session(session, ada)]
    cookies = client.app.state.cookies  # type: ignore[attr-defined]
    client.cookies.set(cookie_name(client), cookies.sessions.dumps(mark))
    assert client.get("/account").status_code == 303


def test_cookies_are_secure_behind_https(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://illume.example.org")
    get_settings.cache_clear()
    try:
        app = create_app()
        app.dependency_overrides[get_session] = client.app.dependency_overrides[get_session]  # type: ignore[attr-defined]
        with TestClient(
            app, base_url="https://illume.example.org", follow_redirects=False
        ) as browser:
            link = accounts.make_sign_in_link(session, make_user(session))
            response = browser.get(link, headers={"Sec-Fetch-Mode": "navigate"})
            assert "Secure" in response.headers["Set-Cookie"]
            assert "max-age" in response.headers["Strict-Transport-Security"]
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


# --- One-time links -------------------------------------------------------------------------


def test_link_signs_in_with_one_click(client: TestClient, session: Session) -> None:
    link = accounts.make_sign_in_link(session, make_user(session), next_path="/account")
    response = client.get(link)
    assert response.status_code == 303
    assert response.headers["Location"] == "/account"
    assert client.get("/account").status_code == 200
    again = client.get(link)  # the tab is reloaded: its owner is signed in already
    assert again.headers["Location"] == "/account"


def test_link_opened_by_somebody_else_afterwards_is_gone(
    client: TestClient, session: Session
) -> None:
    link = accounts.make_sign_in_link(session, make_user(session))
    client.get(link)
    client.cookies.clear()
    response = client.get(link)
    assert response.status_code == 410
    assert "Ask for a new one" in text_of(response, ".lede")
    assert client.get("/sign-in/link/unknown").status_code == 410


@pytest.mark.parametrize(
    ("public_url", "headers"),
    [
        (None, {"Sec-Purpose": "prefetch;prerender"}),
        ("https://illume.example.org", {"User-Agent": "SomeChat link preview"}),
    ],
)
def test_a_program_that_looks_at_a_link_does_not_use_it_up(
    client: TestClient,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    public_url: str | None,
    headers: dict[str, str],
) -> None:
    ada = make_user(session)
    link = accounts.make_sign_in_link(session, ada)
    if public_url:
        monkeypatch.setenv("PUBLIC_URL", public_url)
    get_settings.cache_clear()
    try:
        response = client.get(link, headers=headers)
        assert response.status_code == 200
        assert one(response, "main form")["action"] == link
        assert client.post(link).status_code == 303
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert client.get("/account").status_code == 200


def test_reset_link_asks_for_a_password_first(client: TestClient, session: Session) -> None:
    ada = make_user(session)
    link = accounts.make_sign_in_link(session, ada, is_reset=True)
    for _ in range(2):
        response = client.get(link)
        assert response.status_code == 200
        assert one(response, "input[name=password]")["autocomplete"] == "new-password"
    assert client.get("/account").status_code == 303
    wrong = client.post(link, data={"password": PASSWORD, "again": "something else"})
    assert wrong.status_code == 422
    assert "not the same" in text_of(wrong, "[role=alert]")
    right = client.post(link, data={"password": PASSWORD, "again": PASSWORD})
    assert right.status_code == 303
    assert client.get("/account").status_code == 200
    assert client.get(link).headers.get("Location") == "/"  # used: its owner just goes on
    client.cookies.clear()
    assert client.get(link).status_code == 410
    assert accounts.check_sign_in(session, name=ada.name, password=PASSWORD, address="a") is ada


# --- Invites --------------------------------------------------------------------------------


def test_invite_makes_an_account_and_a_member(client: TestClient, session: Session) -> None:
    project = make_project(session, name="Street scenes")
    link = projects.make_invite(session, project, max_uses=1, actor=None)
    response = client.get(link)
    assert response.status_code == 200
    assert text_of(response, "h1") == "Street scenes"
    form = {"name": "Newcomer", "password": PASSWORD, "again": PASSWORD}
    joined = client.post(link, data=form)
    assert joined.status_code == 303
    home = client.get("/account")
    assert text_of(home, "h1") == "Newcomer"
    assert "Welcome to Street scenes" in text_of(home, "#toasts")
    client.cookies.clear()
    assert client.get(link).status_code == 410
    assert client.post(link, data=form).status_code == 410


def test_invite_form_keeps_the_name_and_says_what_is_wrong(
    client: TestClient, session: Session
) -> None:
    make_user(session, name="Taken")
    link = projects.make_invite(session, make_project(session), actor=None)
    response = client.post(link, data={"name": "taken", "password": PASSWORD, "again": PASSWORD})
    assert response.status_code == 422
    assert one(response, "input[name=name]")["value"] == "taken"
    assert "taken" in text_of(response, "[role=alert]")


def test_somebody_signed_in_joins_with_their_account(client: TestClient, session: Session) -> None:
    project = make_project(session)
    link = projects.make_invite(session, project, max_uses=2, role=Role.ADMIN, actor=None)
    ada = make_user(session)
    sign_in(client, session, ada)
    assert ada.name in text_of(client.get(link), "main form .btn--primary")
    for _ in range(3):  # a member already: no use is counted
        assert client.post(link).status_code == 303
    assert client.get(f"/projects/{project.slug}/settings").status_code == 200
    grace = make_user(session)
    sign_in(client, session, grace)
    assert client.post(link).status_code == 303


def test_revoked_invite_is_gone(client: TestClient, session: Session) -> None:
    project = make_project(session)
    link = projects.make_invite(session, project, actor=None)
    invite, _ = projects.find_invite(session, link.rpartition("/")[2])
    projects.revoke_invite(session, invite, actor=make_user(session))
    assert client.get(link).status_code == 410


# --- The own account and all accounts -------------------------------------------------------


def test_change_of_password_keeps_this_session_and_ends_others(
    client: TestClient, session: Session
) -> None:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    sign_in(client, session, ada)
    old = client.cookies[cookie_name(client)]
    new = "another good one"
    wrong = client.post("/account/password", data={"current": "x", "password": new, "again": new})
    assert wrong.status_code == 422
    right = client.post(
        "/account/password", data={"current": PASSWORD, "password": new, "again": new}
    )
    assert right.status_code == 303
    assert client.get("/account").status_code == 200
    client.cookies.clear()
    client.cookies.set(cookie_name(client), old)
    assert client.get("/account").status_code == 303


def test_sign_out_everywhere(client: TestClient, session: Session) -> None:
    ada = make_user(session)
    sign_in(client, session, ada)
    old = client.cookies[cookie_name(client)]
    assert client.post("/account/sign-out-everywhere").headers["Location"] == "/sign-in"
    client.cookies.set(cookie_name(client), old)
    assert client.get("/account").status_code == 303


PEOPLE_POSTS = [
    "/people",
    "/people/1/link",
    "/people/1/close",
    "/people/1/reopen",
    "/people/1/admin",
]


def test_accounts_are_for_administrators(client: TestClient, session: Session) -> None:
    project, ada = make_project(session), make_user(session)
    make_membership(session, project, ada, Role.ADMIN)
    session.commit()
    assert client.get("/people").status_code == 303
    sign_in(client, session, ada)
    assert client.get("/people").status_code == 403
    assert {client.post(path).status_code for path in PEOPLE_POSTS} == {403}


def test_administrator_adds_somebody_who_sets_a_password(
    client: TestClient, session: Session
) -> None:
    sign_in(client, session, make_user(session, is_admin=True))
    response = client.post("/people", data={"name": "Grace"})
    assert response.status_code == 200
    link = text_of(response, ".copy code")
    assert link.startswith("http://testserver/sign-in/link/")
    client.cookies.clear()
    path = link.removeprefix("http://testserver")
    assert client.post(path, data={"password": PASSWORD, "again": PASSWORD}).status_code == 303
    assert text_of(client.get("/account"), "h1") == "Grace"


def test_administrator_closes_and_reopens_accounts(client: TestClient, session: Session) -> None:
    admin, ada = make_user(session, is_admin=True), make_user(session)
    sign_in(client, session, admin)
    assert client.post(f"/people/{ada.id}/close").status_code == 303
    session.refresh(ada)
    assert ada.disabled_at is not None
    assert client.post(f"/people/{ada.id}/reopen").status_code == 303
    session.refresh(ada)
    assert ada.disabled_at is None
    assert client.post(f"/people/{admin.id}/close").status_code == 409
    assert client.post(f"/people/{admin.id}/admin", data={"is_admin": "false"}).status_code == 409
    assert client.post("/people/999999/close").status_code == 404


def test_people_are_paged_by_name(client: TestClient, session: Session) -> None:
    admin = make_user(session, name="aaa", is_admin=True)
    for number in range(105):
        make_user(session, name=f"person {number:03}")
    sign_in(client, session, admin)
    first = client.get("/people")
    second = client.get(one(first, "a[rel=next]")["href"])
    assert len(page(first).select("tbody tr")) == 100
    assert text_of(second, "tbody tr:last-child th") == "person 104"
    assert "Next" not in second.text
