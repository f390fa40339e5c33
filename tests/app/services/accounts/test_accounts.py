"""Accounts, passwords and one-time links."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.errors import Conflict, InvalidInput
from app.lifecycle import UserKind
from app.models import Event, SignInLink, User
from app.services.accounts import accounts
from tests.support.browsing import whose_session
from tests.support.factories import make_user

PASSWORD = "correct horse battery"


def try_sign_in(session: Session, name: str, password: str, address: str) -> User | None:
    return accounts.check_sign_in(session, name=name, password=password, address=address)


def test_password_is_stored_as_argon2_and_signs_in(session: Session) -> None:
    ada = accounts.add_user(session, name="Ada  Lovelace", password=PASSWORD)
    assert ada.name == "Ada Lovelace"
    assert ada.password_hash is not None
    assert ada.password_hash.startswith("$argon2id$")
    assert try_sign_in(session, " ada lovelace ", PASSWORD, "address-1") is ada
    assert try_sign_in(session, "Ada Lovelace", PASSWORD + "x", "address-1") is None


def test_nobody_and_closed_accounts_do_not_sign_in(session: Session) -> None:
    admin = make_user(session, is_admin=True)
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    accounts.set_disabled(session, ada, True, actor=admin)
    assert try_sign_in(session, "Ada", PASSWORD, "address-2") is None
    assert try_sign_in(session, "nobody", PASSWORD, "address-2") is None
    without = make_user(session, name="Linkless")
    assert try_sign_in(session, without.name, "", "address-2") is None


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("", PASSWORD, "name is needed"),
        ("x" * 101, PASSWORD, "longer than"),
        ("a\u202eb", PASSWORD, "cannot be shown"),
        ("Bob", "short", "at least 10"),
        ("Bob", "x" * 201, "longer than 200"),
        ("a-long-name", "A-Long-Name", "must not be the name"),
    ],
)
def test_rules_of_names_and_passwords(
    session: Session, name: str, password: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        accounts.add_user(session, name=name, password=password)


def test_names_are_taken_in_any_capitals_and_by_critics(session: Session) -> None:
    accounts.add_user(session, name="Ada")
    make_user(session, name="exact", kind=UserKind.CRITIC)
    for name in ("ADA", "Exact"):
        with pytest.raises(InvalidInput, match="taken"):
            accounts.add_user(session, name=name)


def test_wrong_passwords_are_limited_per_name_and_address(session: Session) -> None:
    accounts.add_user(session, name="Grace", password=PASSWORD)
    for _ in range(accounts.ATTEMPTS_PER_NAME):
        assert try_sign_in(session, "Grace", "wrong password", "address-3") is None
    with pytest.raises(accounts.TooManyAttempts):
        try_sign_in(session, "grace", PASSWORD, "address-3")
    assert try_sign_in(session, "Grace", PASSWORD, "address-4") is not None


@pytest.mark.slow
def test_a_right_password_forgets_the_wrong_ones(session: Session) -> None:
    accounts.add_user(session, name="Edith", password=PASSWORD)
    for _ in range(3):
        for _ in range(accounts.ATTEMPTS_PER_NAME - 1):
            assert try_sign_in(session, "Edith", "wrong password", "address-5") is None
        assert try_sign_in(session, "Edith", PASSWORD, "address-5") is not None


def test_new_password_ends_sessions_and_links(session: Session) -> None:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    link = accounts.make_sign_in_link(session, ada)
    key = accounts.start_session(session, ada)
    assert whose_session(session, ada.id, key) is ada
    accounts.change_password(session, ada, current=PASSWORD, new="another good one")
    assert whose_session(session, ada.id, key) is None
    with pytest.raises(accounts.LinkIsOver):
        accounts.use_sign_in_link(session, link.rpartition("/")[2])


def test_change_needs_the_current_password_where_there_is_one(session: Session) -> None:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    with pytest.raises(InvalidInput, match="current password"):
        accounts.change_password(session, ada, current="wrong", new="another good one")
    linked = make_user(session)
    accounts.change_password(session, linked, current="", new="my first password")
    assert linked.password_hash is not None


def test_link_signs_in_once_and_is_stored_as_a_hash(session: Session) -> None:
    ada = make_user(session)
    path = accounts.make_sign_in_link(session, ada, next_path="/rounds/3/judge")
    token = path.removeprefix("/sign-in/link/")
    session.flush()
    link = session.scalars(select(SignInLink)).one()
    assert token not in link.token_hash
    assert accounts.use_sign_in_link(session, token) == (ada, "/rounds/3/judge")
    with pytest.raises(accounts.LinkIsOver):
        accounts.use_sign_in_link(session, token)


def test_expired_and_unknown_links_are_over(session: Session) -> None:
    ada = make_user(session)
    token = accounts.make_sign_in_link(session, ada).rpartition("/")[2]
    accounts.find_link(session, token).expires_at = datetime.now(UTC) - timedelta(seconds=1)
    for candidate in (token, "unknown"):
        with pytest.raises(accounts.LinkIsOver):
            accounts.use_sign_in_link(session, candidate)


def test_link_never_leads_to_another_site(session: Session) -> None:
    ada = make_user(session)
    path = accounts.make_sign_in_link(session, ada, next_path="https://evil.example/")
    assert accounts.use_sign_in_link(session, path.rpartition("/")[2])[1] == "/"


def test_a_refused_password_does_not_use_up_the_reset_link(session: Session) -> None:
    ada = make_user(session)
    token = accounts.make_sign_in_link(session, ada, is_reset=True).rpartition("/")[2]
    with pytest.raises(InvalidInput):
        accounts.reset_password(session, token, "short")
    user, _ = accounts.reset_password(session, token, PASSWORD)
    assert user is ada
    with pytest.raises(accounts.LinkIsOver):
        accounts.reset_password(session, token, PASSWORD)


def test_a_plain_link_resets_no_password(session: Session) -> None:
    token = accounts.make_sign_in_link(session, make_user(session)).rpartition("/")[2]
    with pytest.raises(accounts.LinkIsOver):
        accounts.reset_password(session, token, PASSWORD)


def test_of_two_who_open_a_link_at_once_one_gets_in(database: sessionmaker[Session]) -> None:
    with database.begin() as session:
        token = accounts.make_sign_in_link(session, make_user(session)).rpartition("/")[2]

    def use(_: int) -> bool:
        try:
            with session_scope() as own:
                accounts.use_sign_in_link(own, token)
        except accounts.LinkIsOver:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a\\..\\b",
        "/\t/evil.example",
        "evil",
        "",
        None,
    ],
)
def test_unsafe_paths_lead_home(path: str | None) -> None:
    assert accounts.safe_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/projects/a?b=c", "/rounds/1/judge#item"])
def test_own_paths_are_kept(path: str) -> None:
    assert accounts.safe_path(path) == path


def test_the_last_administrator_stays(session: Session) -> None:
    ada, grace = make_user(session, is_admin=True), make_user(session, is_admin=True)
    accounts.set_admin(session, grace, False, actor=ada)
    session.flush()
    with pytest.raises(Conflict, match="last administrator"):
        accounts.set_admin(session, ada, False, actor=ada)
    with pytest.raises(Conflict, match="own account"):
        accounts.set_disabled(session, ada, True, actor=ada)


def test_what_happens_to_accounts_is_history(session: Session) -> None:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    accounts.sign_out_everywhere(session, ada)
    session.flush()
    tags = session.scalars(select(Event.tag).order_by(Event.id)).all()
    assert tags == ["user:added", "user:sessions:ended"]
