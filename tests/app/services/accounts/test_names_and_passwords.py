"""Names that can be seen and told apart, passwords that are not tried first, guesses that count."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.texts import name_key
from app.models import Membership, User
from app.services.accounts import accounts
from app.services.accounts.names import checked_name
from app.services.accounts.passwords import check_password_rules
from app.services.accounts.rate_limit import place_of
from app.services.projects import projects
from tests.support.factories import make_project, make_user

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José", "Jose\u0301"),
        ("Anna-Lena", "Anna\u2010Lena"),
        ("Anna-Lena", "Anna\u2011Lena"),
        ("Anna-Lena", "Anna–Lena"),
        ("Ada", "Ａｄａ"),
        ("Straße", "STRASSE"),
        ("O'Hara", "O’Hara"),
        ("Ada Lovelace", "ada\u00a0\u2003lovelace "),
        ("Νίκος", "ΝΊΚΟΣ"),
        ("ﬁona", "Fiona"),
        ("علی", "علی\u200c"),
    ],
)
def test_names_that_look_alike_are_one(session: Session, one: str, other: str) -> None:
    assert name_key(one) == name_key(other)
    first = accounts.add_user(session, name=one, password=PASSWORD)
    with pytest.raises(InvalidInput, match="is taken"):
        accounts.add_user(session, name=other)
    assert accounts.check_sign_in(session, name=other, password=PASSWORD, address=one) is first


@pytest.mark.parametrize(("one", "other"), [("Ada", "Adah"), ("Jose", "José"), ("a1", "a2")])
def test_names_that_differ_stay_two(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize(
    "name",
    ["\u200b", "\u3164", "\u2800\u2800", "a\u202eb", "\u0301", "a\u2066b", "\u00ad", "Ad\u0430"],
)
def test_nobody_and_no_project_is_called_what_cannot_be_seen(session: Session, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be shown|look alike|is needed"):
        accounts.add_user(session, name=name)
    with pytest.raises(InvalidInput, match=r"cannot be shown|look alike|is needed"):
        projects.create_project(session, name=name, actor=None)


@pytest.mark.parametrize("name", ["علی\u200cرضا", "José 🎈", "数据集 1", "Ada 👩\u200d🔬", "Ольга"])
def test_names_of_all_languages_are_taken(name: str) -> None:
    assert checked_name(name, most=100) == name


def test_two_accounts_of_before_that_collide_both_sign_in(session: Session) -> None:
    older = accounts.add_user(session, name="José", password=PASSWORD)
    twin = User(name="Jose\u0301", name_twin=1, password_hash=None)
    session.add(twin)
    session.flush()
    accounts.set_password(session, twin, "another good one", actor=None)
    for typed in ("José", "Jose\u0301", "JOSÉ"):
        found = [
            accounts.check_sign_in(session, name=typed, password=password, address="twins")
            for password in (PASSWORD, "another good one")
        ]
        assert found == [older, twin]


@pytest.mark.parametrize(
    "password",
    [
        "1234567890", "aaaaaaaaaa", "0987654321", "abcdefghij", "qwertyuiop", "qwertzuiop",
        "abcabcabcabc", "password12", "P@ssw0rd123", "passwort2024", "1q1q1q1q1q1q", "letmein1234",
        "ada lovelace", "AdaLovelace1", "iloveyou!!", "1111122222", "asdfghjkl1", "12345678901234",
    ],
)  # fmt: skip
def test_what_is_tried_first_is_no_password(password: str) -> None:
    with pytest.raises(InvalidInput):
        check_password_rules(password, name="AdaLovelace" if "Ada" in password else "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "x8#kq!Lp29",
        "drei Enten im Regen",
        "tzuvmeäöp3",
        "q" * 3 + "7Vb!m2Kd",
    ],
)
def test_other_passwords_are_taken(password: str) -> None:
    check_password_rules(password, name="Ada Lovelace")


# --- Guesses --------------------------------------------------------------------------------


def test_an_ipv6_subscriber_is_one_place() -> None:
    assert place_of("2001:db8:1:2:3::4") == place_of("2001:db8:1:2:ffff::1")
    assert place_of("2001:db8:1:2::1") != place_of("2001:db8:1:3::1")
    assert place_of("::ffff:192.0.2.1") == place_of("192.0.2.1") == "192.0.2.1"
    assert place_of("fe80::1%eth0") == "fe80::/64"
    assert place_of("testclient") == "testclient"


@pytest.mark.slow
def test_one_guesser_locks_out_nobody_else_at_the_same_address(session: Session) -> None:
    ada = accounts.add_user(session, name="Ada", password=PASSWORD)
    grace = accounts.add_user(session, name="Grace", password=PASSWORD)
    place = "bridge-1"
    for number in range(accounts.ATTEMPTS_PER_ADDRESS):
        accounts.check_sign_in(session, name=f"guess {number}", password="x", address=place)
    assert accounts.check_sign_in(session, name="Ada", password=PASSWORD, address=place) is ada
    # Who guesses goes on with one attempt for a name, and no more.
    accounts.check_sign_in(session, name="Grace", password="x", address=place)
    with pytest.raises(accounts.TooManyAttempts):
        accounts.check_sign_in(session, name="Grace", password=PASSWORD, address=place)
    # A browser in which Grace signed in before has a count of its own.
    found = accounts.check_sign_in(
        session, name="Grace", password=PASSWORD, address=place, known_id=grace.id
    )
    assert found is grace
    for _ in range(accounts.ATTEMPTS_PER_NAME):
        accounts.check_sign_in(
            session, name="Grace", password="x", address=place, known_id=grace.id
        )
    with pytest.raises(accounts.TooManyAttempts):
        accounts.check_sign_in(
            session, name="Grace", password=PASSWORD, address=place, known_id=grace.id
        )


# --- Coming back ----------------------------------------------------------------------------


def test_a_removed_member_needs_a_new_invitation(session: Session) -> None:
    project, admin = make_project(session), make_user(session, is_admin=True)
    noor = make_user(session, name="Noor")
    old = projects.make_invite(session, project, actor=admin).rpartition("/")[2]
    session.flush()
    projects.join(session, old, noor)
    session.flush()
    member = session.scalars(select(Membership).where(Membership.user_id == noor.id)).one()
    projects.remove_member(session, member, actor=admin)
    session.flush()
    with pytest.raises(projects.InviteIsOver, match="taken out"):
        projects.join(session, old, noor)
    projects.join(session, old, make_user(session))
    new = projects.make_invite(session, project, actor=admin).rpartition("/")[2]
    session.flush()
    invite, _ = projects.find_invite(session, new)
    invite.created_at = datetime.now(UTC) + timedelta(seconds=1)  # a transaction has one time
    projects.join(session, new, noor)


def test_links_of_a_person_end_when_the_account_is_closed_or_opened(session: Session) -> None:
    admin, ada = make_user(session, is_admin=True), make_user(session, name="Ada")
    link = accounts.make_sign_in_link(session, ada, is_reset=True).rpartition("/")[2]
    accounts.set_disabled(session, ada, True, actor=admin)
    accounts.set_disabled(session, ada, False, actor=admin)
    session.flush()
    with pytest.raises(accounts.LinkIsOver):
        accounts.reset_password(session, link, PASSWORD)
