"""A session that has ended is dead on the server: copies of its cookie open nothing anywhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Judgement, Round, SignInSession, User
from app.services.accounts import accounts
from app.services.projects import projects
from tests.support.browsing import (
    HTMX,
    close_and_open_it_again,
    close_the_account,
    erase,
    one,
    page,
    sign_in,
    text_of,
)
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "another good one"


@pytest.fixture
def ada(session: Session) -> User:
    return accounts.add_user(session, name="Ada", password=PASSWORD)


@pytest.fixture
def round_(session: Session, ada: User) -> Round:
    project = make_project(session)
    make_membership(session, project, ada)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project), slots=2)
    return round_


def cookie_name(client: TestClient) -> str:
    return str(client.app.state.cookies.session_name)  # type: ignore[attr-defined]


def cookie(client: TestClient) -> str:
    return str(client.cookies[cookie_name(client)])


def use_cookie(client: TestClient, value: str) -> TestClient:
    """Another browser, into which somebody has copied a session's cookie."""
    client.cookies.clear()
    client.cookies.set(cookie_name(client), value)
    return client


def is_signed_in(client: TestClient, value: str) -> bool:
    return use_cookie(client, value).get("/account").status_code == 200


def sessions_of(session: Session, user: User) -> int:
    session.expire_all()
    return len(session.scalars(select(SignInSession).where(SignInSession.user_id == user.id)).all())


# --- What ends a session ---------------------------------------------------------------------


def test_signing_out_ends_this_session_and_no_other(
    client: TestClient, session: Session, ada: User
) -> None:
    here, elsewhere = (cookie(sign_in(client, session, ada)) for _ in range(2))
    assert use_cookie(client, here).post("/sign-out").status_code == 303
    assert not is_signed_in(client, here)
    assert is_signed_in(client, elsewhere)
    # Signing out once more, with the copy, ends nobody else's.
    assert use_cookie(client, here).post("/sign-out").status_code == 303
    assert is_signed_in(client, elsewhere)
    assert sessions_of(session, ada) == 1


def sign_out_everywhere(client: TestClient, session: Session, ada: User) -> None:
    assert client.post("/account/sign-out-everywhere").status_code == 303


def change_the_password(client: TestClient, session: Session, ada: User) -> None:
    form = {"current": PASSWORD, "password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
    assert client.post("/account/password", data=form).status_code == 303
    assert client.get("/account").status_code == 200  # here, and in no other browser
    assert sessions_of(session, ada) == 1


def set_the_password_by_a_link(client: TestClient, session: Session, ada: User) -> None:
    link = accounts.make_sign_in_link(session, ada, is_reset=True)
    client.cookies.clear()
    form = {"password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
    assert client.post(link, data=form).status_code == 303
    assert client.get("/account").status_code == 200


ENDS = (
    sign_out_everywhere,
    change_the_password,
    set_the_password_by_a_link,
    close_the_account,
    close_and_open_it_again,
    erase,
)


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_all_sessions_ends_them_in_every_browser(
    client: TestClient,
    session: Session,
    ada: User,
    end: Callable[[TestClient, Session, User], None],
) -> None:
    grace = cookie(sign_in(client, session, make_user(session)))
    copies = [cookie(sign_in(client, session, ada)) for _ in range(3)]
    assert all(is_signed_in(client, copy) for copy in copies)
    end(client, session, session.get_one(User, ada.id))
    assert not any(is_signed_in(client, copy) for copy in copies)
    assert is_signed_in(client, grace)


@pytest.mark.parametrize("is_same_person", [True, False])
def test_a_browser_has_one_session_whoever_signs_in_there(
    client: TestClient, session: Session, ada: User, is_same_person: bool
) -> None:
    """By password or by link: the cookie that is written over is worth nothing any more."""
    first = cookie(sign_in(client, session, ada))
    name = "Ada" if is_same_person else "Grace"
    if not is_same_person:
        accounts.add_user(session, name="Grace", password=PASSWORD)
    assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
    second = cookie(client)
    assert not is_signed_in(client, first)
    assert is_signed_in(client, second)


def test_opening_ones_own_link_while_signed_in_keeps_the_item(
    client: TestClient, session: Session, ada: User, round_: Round
) -> None:
    first = cookie(sign_in(client, session, ada))
    client.get(f"/rounds/{round_.id}/judge")
    link = accounts.make_sign_in_link(session, session.get_one(User, ada.id))
    assert client.get(link).status_code == 303
    assert not is_signed_in(client, first)
    assert session.scalars(select(Judgement)).one().lease_until is not None


def test_sessions_are_kept_as_hashes_and_forgotten_when_they_are_over(
    client: TestClient, session: Session, ada: User
) -> None:
    value = cookie(sign_in(client, session, ada))
    kept = session.scalars(select(SignInSession)).one()
    assert kept.key_hash not in value
    mark = client.app.state.cookies.sessions.loads(value)  # type: ignore[attr-defined]
    assert kept.key_hash == accounts.hash_token(mark[1])
    assert accounts.forget_old_sessions(session) == 0
    kept.created_at = datetime.now(UTC) - timedelta(days=accounts.SESSION_DAYS, minutes=1)
    session.commit()
    assert accounts.forget_old_sessions(session) == 1
    assert not is_signed_in(client, value)


# --- What a dead session is answered ---------------------------------------------------------

READS = ("/", "/account", "/mine", "/rounds/{round}/judge", "/judgements/{judgement}", "/people")
WRITES = (
    "/account/password",
    "/judgements/{judgement}/draft",
    "/judgements/{judgement}/submit",
    "/judgements/{judgement}/heartbeat",
    "/judgements/{judgement}/leave",
)
KINDS = {"page": {}, "htmx": HTMX, "json": {"Accept": "application/json"}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_session_is_answered_as_none_is(
    client: TestClient, session: Session, ada: User, round_: Round, kind: str
) -> None:
    value = cookie(sign_in(client, session, ada))
    client.get(f"/rounds/{round_.id}/judge")
    judgement = session.scalars(select(Judgement)).one()
    ids = {"round": round_.id, "judgement": judgement.id}
    client.post("/sign-out")
    fields = {"version": "0", "none_fits": "true", "current": PASSWORD, "password": "x" * 12}

    def answers() -> list[tuple[int, str | None, str | None, str]]:
        replies = [client.get(path.format(**ids), headers=KINDS[kind]) for path in READS]
        replies += [
            client.post(path.format(**ids), data=fields, headers=KINDS[kind]) for path in WRITES
        ]
        return [
            (
                reply.status_code,
                reply.headers.get("Location"),
                reply.headers.get("HX-Redirect"),
                reply.json()["detail"] if kind == "json" else "",
            )
            for reply in replies
        ]

    use_cookie(client, value)
    with_a_dead_one = answers()
    client.cookies.clear()
    assert answers() == with_a_dead_one
    assert {status for status, *_ in with_a_dead_one} == ({303} if kind == "page" else {401})
    session.refresh(judgement)
    assert (judgement.none_fits, judgement.version) == (False, 0)


# --- Links of somebody else ------------------------------------------------------------------


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_link_of_somebody_else_says_who_is_signed_out_by_it(
    client: TestClient, session: Session, ada: User, round_: Round, is_reset: bool
) -> None:
    before = cookie(sign_in(client, session, ada))
    client.get(f"/rounds/{round_.id}/judge")
    grace = make_user(session, name="Grace")
    link = accounts.make_sign_in_link(session, grace, is_reset=is_reset)
    for _ in range(2):  # looking does not use it up, and signs nobody out
        shown = client.get(link)
        assert shown.status_code == 200
        assert "You are signed in as Ada." in text_of(shown, "main")
        assert "signs Ada out in this browser, and Grace in" in text_of(shown, "main .notice")
        assert one(shown, "main a.btn")["href"] == "/"
        assert text_of(client.get("/account"), "h1") == "Ada"
    form = one(shown, "main form")
    assert (form["method"], form["action"]) == ("post", link)
    fields = {str(field["name"]): str(field.get("value", "")) for field in form.select("input")}
    if is_reset:
        wrong = client.post(link, data={**fields, "password": PASSWORD, "again": "x"})
        assert wrong.status_code == 422
        assert "You are signed in as Ada." in text_of(wrong, "main")
        fields |= {"password": PASSWORD, "again": PASSWORD}
    assert client.post(link, data=fields).status_code == 303
    assert text_of(client.get("/account"), "h1") == "Grace"
    assert session.scalars(select(Judgement)).one().lease_until is None  # free for others
    assert not is_signed_in(client, before)


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("leaving", ["", "somebody", "0"])
def test_who_signed_in_meanwhile_is_not_signed_out_by_an_older_form(
    client: TestClient, session: Session, ada: User, is_reset: bool, leaving: str
) -> None:
    link = accounts.make_sign_in_link(session, make_user(session, name="Grace"), is_reset=is_reset)
    sign_in(client, session, ada)
    fields = {"leaving": leaving, "password": PASSWORD, "again": PASSWORD}
    refused = client.post(link, data=fields)
    assert refused.status_code == 409
    assert "You are signed in as Ada." in text_of(refused, ".lede")
    assert text_of(client.get("/account"), "h1") == "Ada"
    client.post("/sign-out")
    assert client.post(link, data=fields).status_code == 303  # it was not used up
    assert text_of(client.get("/account"), "h1") == "Grace"


def test_a_used_link_of_somebody_else_is_over_and_signs_nobody_out(
    client: TestClient, session: Session, ada: User
) -> None:
    link = accounts.make_sign_in_link(session, make_user(session))
    assert client.get(link).status_code == 303
    sign_in(client, session, ada)
    assert client.get(link).status_code == 410
    assert client.post(link, data={"leaving": str(ada.id)}).status_code == 410
    assert text_of(client.get("/account"), "h1") == "Ada"


def test_an_invite_is_taken_by_the_person_whom_the_page_named(
    client: TestClient, session: Session, ada: User
) -> None:
    link = projects.make_invite(session, make_project(session), max_uses=5, actor=None)
    anonymous = client.get(link)
    assert not page(anonymous).select("input[name=member]")
    sign_in(client, session, ada)
    form = {"name": "Newcomer", "password": PASSWORD, "again": PASSWORD}
    meant_for_a_new_account = client.post(link, data=form)
    assert meant_for_a_new_account.status_code == 409
    assert "Ada" in text_of(meant_for_a_new_account, "main form .btn--primary")
    ours = {"member": one(client.get(link), "input[name=member]")["value"]}
    sign_in(client, session, make_user(session, name="Grace"))
    refused = client.post(link, data=ours)
    assert refused.status_code == 409
    assert "Grace" in text_of(refused, "main form .btn--primary")
    client.post("/sign-out")
    assert client.post(link, data=ours).status_code == 409
    assert projects.find_invite(session, link.rpartition("/")[2])[0].n_uses == 0
    sign_in(client, session, ada)
    assert client.post(link, data=ours).status_code == 303
