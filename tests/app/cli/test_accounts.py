"""Accounts and invites from the command line; what is printed works in a browser."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.kit.settings import get_settings
from app.lifecycle import Role
from app.main import create_app
from app.models import Invite, Membership, SignInLink, User
from app.services.accounts import accounts
from tests.support.command_line import output_of, refusal_of, run_illume
from tests.support.factories import make_project

PASSWORD = "correct horse battery"

Sessions = sessionmaker[Session]


@pytest.fixture
def browser(database: Sessions) -> Iterator[TestClient]:
    """A browser on what the commands have committed."""
    with TestClient(create_app(), follow_redirects=False) as client:
        yield client


@pytest.fixture
def slug(database: Sessions) -> str:
    with database() as session:
        project = make_project(session, name="Street scenes")
        session.commit()
        return project.slug


def path_in(output: str) -> str:
    """The path of the one link that was printed, which leads to this installation."""
    (link,) = [word for word in output.split() if word.startswith("http")]
    assert link.startswith(f"{get_settings().base_url}/")
    return urlsplit(link).path


def count(database: Sessions, table: type) -> int:
    with database() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def find_person(database: Sessions, name: str) -> User:
    with database() as session:
        return session.scalars(select(User).where(User.name == name)).one()


def choose_password(browser: TestClient, path: str, password: str) -> int:
    assert browser.get(path).status_code == 200
    return browser.post(path, data={"password": password, "again": password}).status_code


def test_added_person_sets_a_password_by_the_link_and_signs_in(
    database: Sessions, browser: TestClient
) -> None:
    output = output_of("user", "add", "ada")
    assert "Added ada" in output
    path = path_in(output)
    assert choose_password(browser, path, "short") == 422  # a refused one does not use it up
    assert choose_password(browser, path, PASSWORD) == 303
    assert browser.get("/account").status_code == 200
    browser.cookies.clear()
    assert browser.get(path).status_code == 410  # good once
    signed_in = browser.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert signed_in.status_code == 303
    ada = find_person(database, "ada")
    assert (ada.is_admin, ada.password_hash != PASSWORD) == (False, True)


def test_link_of_an_administrator_lets_them_administrate(
    database: Sessions, browser: TestClient
) -> None:
    path = path_in(output_of("user", "add", "grace", "--admin"))
    choose_password(browser, path, PASSWORD)
    assert find_person(database, "grace").is_admin
    assert browser.get("/people").status_code == 200


def test_name_that_is_taken(database: Sessions) -> None:
    with database() as session:
        accounts.add_user(session, name="ada")
        session.commit()
    line = refusal_of("user", "add", "Ada")
    assert line.startswith("illume: ")
    assert "taken" in line
    assert (count(database, User), count(database, SignInLink)) == (1, 0)


def test_new_password_ends_the_old_one(database: Sessions, browser: TestClient) -> None:
    with database() as session:
        accounts.add_user(session, name="ada", password=PASSWORD)
        session.commit()
    path = path_in(output_of("user", "password", "ada"))
    assert choose_password(browser, path, "another battery horse") == 303
    browser.cookies.clear()
    sign_in = [
        browser.post("/sign-in", data={"name": "ada", "password": password}).status_code
        for password in (PASSWORD, "another battery horse")
    ]
    assert sign_in == [422, 303]


def test_password_of_nobody(database: Sessions) -> None:
    assert "nobody called `eve`" in refusal_of("user", "password", "eve")


def test_invited_become_members_until_the_link_is_used_up(
    database: Sessions, browser: TestClient, slug: str
) -> None:
    path = path_in(output_of("invite", slug, "--uses", "1", "--days", "3"))
    assert "Street scenes" in browser.get(path).text
    joined = browser.post(path, data={"name": "ada", "password": PASSWORD, "again": PASSWORD})
    assert joined.status_code == 303
    with database() as session:
        invite, membership = (
            session.scalars(select(Invite)).one(),
            session.scalars(select(Membership)).one(),
        )
    assert (membership.role, invite.n_uses) == (Role.ANNOTATOR, 1)
    assert 2.9 < (invite.expires_at - invite.created_at).total_seconds() / 86_400 < 3.1
    browser.cookies.clear()
    late = browser.post(path, data={"name": "bob", "password": PASSWORD, "again": PASSWORD})
    assert late.status_code == 410
    assert count(database, User) == 1


def test_admins_of_a_project_can_be_invited(
    database: Sessions, browser: TestClient, slug: str
) -> None:
    path = path_in(output_of("invite", slug, "--role", "admin"))
    browser.post(path, data={"name": "ada", "password": PASSWORD, "again": PASSWORD})
    with database() as session:
        assert session.scalars(select(Membership.role)).all() == [Role.ADMIN]


def test_link_leads_to_the_port_that_up_was_given(slug: str) -> None:
    settings = get_settings().model_copy(update={"port": 8123})
    settings.record_address()
    try:
        assert "http://127.0.0.1:8123/" in output_of("invite", slug)
        assert "http://127.0.0.1:8123/" in output_of("user", "add", "zoe")
    finally:
        (settings.illume_home / "address").unlink()


def test_invite_to_nothing(database: Sessions) -> None:
    line = refusal_of("invite", "nowhere")
    assert "no project `nowhere`" in line
    assert "illume project list" in line


def test_unknown_role_is_status_2(database: Sessions, slug: str) -> None:
    ended = run_illume("invite", slug, "--role", "owner")
    assert ended.returncode == 2
    assert "--role" in ended.stderr
    assert count(database, Invite) == 0


@pytest.mark.parametrize("public_url", ["https://illume.example.org", "https://example.org/illume"])
def test_links_carry_the_public_address(database: Sessions, public_url: str) -> None:
    ended = run_illume("user", "add", "ada", PUBLIC_URL=f"{public_url}/")
    assert f"  {public_url}/sign-in/link/" in ended.stdout
