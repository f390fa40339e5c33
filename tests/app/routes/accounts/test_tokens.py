"""Programs that ask by a token: they may what its person may, and are told why where it ends."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import Response
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.kit import db
from app.kit.db import session_scope
from app.lifecycle import Job, JudgementStatus, Role
from app.main import create_app
from app.models import ApiToken, Judgement, Project, Round, Run, User
from app.services.accounts import accounts, tokens
from tests.support.browsing import (
    HTMX,
    bearer,
    close_and_open_it_again,
    close_the_account,
    erase,
    find_row,
    make_token,
    sign_in,
)
from tests.support.dataset_files import own_store, row
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OF_A_PROXY = {"Authorization": "Basic YWRhOnNlY3JldA=="}
UNKNOWN = tokens.PREFIX + "x" * 43


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def ada(session: Session, project: Project) -> User:
    """An admin of the project."""
    ada = make_user(session, name="Ada")
    make_membership(session, project, ada, Role.ADMIN)
    return ada


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project), slots=2)
    return round_


def problem(response: Response, status: int, code: str) -> str:
    """The sentence of a refusal, which must be one that a program can read."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "Location" not in response.headers
    told = response.json()
    assert (told["status"], told["code"]) == (status, code)
    return str(told["detail"])


def refused(response: Response, code: str) -> str:
    """The sentence of a 401 that asks for another token."""
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    return problem(response, 401, code)


# --- What a token opens ----------------------------------------------------------------------


def test_a_token_opens_what_its_person_may_see_and_do(
    client: TestClient, session: Session, project: Project, ada: User, round_: Round
) -> None:
    headers = bearer(make_token(session, ada))
    for path in ("/", "/mine", f"/projects/{project.slug}/items", f"/rounds/{round_.id}"):
        assert client.get(path, headers=headers).status_code == 200
    assert client.post(f"/rounds/{round_.id}/cancel", headers=headers).status_code == 303
    assert session.get_one(Round, round_.id).status == "cancelled"


def test_a_program_imports_a_file(
    client: TestClient, session: Session, project: Project, ada: User, tmp_path: object
) -> None:
    headers = bearer(make_token(session, ada))
    with own_store(tmp_path):  # type: ignore[arg-type]
        response = client.post(
            f"/projects/{project.slug}/imports",
            files={"files": ("items.jsonl", str(row(1)).encode())},
            headers=headers,
        )
    assert response.status_code == 303
    run = session.scalars(select(Run)).one()
    assert response.headers["Location"] == f"/runs/{run.id}"
    assert (run.job, run.requested_by_id) == (Job.IMPORT, ada.id)


def test_somebody_judges_by_a_token(
    client: TestClient, session: Session, ada: User, round_: Round
) -> None:
    headers = bearer(make_token(session, ada))
    assert client.get(f"/rounds/{round_.id}/judge", headers=headers).status_code == 200
    judgement = session.scalars(select(Judgement)).one()
    path = f"/judgements/{judgement.id}"
    saved = {"version": str(judgement.version), "none_fits": "true"}
    assert client.post(f"{path}/draft", data=saved, headers=headers).status_code == 303
    saved["version"] = "1"
    assert client.post(f"{path}/submit", data=saved, headers=headers).status_code == 303
    session.expire_all()
    assert session.get_one(Judgement, judgement.id).status is JudgementStatus.SUBMITTED
    grace = bearer(make_token(session, make_user(session)))
    assert problem(client.get(path, headers=grace), 404, "resource.missing")


def test_a_token_from_before_tokens_expired_is_still_good(
    client: TestClient, session: Session, ada: User
) -> None:
    secret = make_token(session, ada)
    find_row(session, secret).expires_at = None
    session.flush()
    assert client.get("/mine", headers=bearer(secret)).status_code == 200


def test_a_token_has_the_rights_of_its_person_and_no_more(
    client: TestClient, session: Session, project: Project, ada: User, round_: Round
) -> None:
    noor, stranger = make_user(session, name="Noor"), make_user(session)
    make_membership(session, project, noor, Role.ANNOTATOR)
    item = session.scalars(select(Project)).one().id
    assert item
    managed = (f"/projects/{project.slug}/items", f"/rounds/{round_.id}", "/people")
    for path in managed:
        of_noor = client.get(path, headers=bearer(make_token(session, noor)))
        problem(of_noor, 403, "access.denied")
    for path in managed[:2]:
        of_stranger = client.get(path, headers=bearer(make_token(session, stranger)))
        problem(of_stranger, 404, "resource.missing")
    find = "/projects/nowhere"
    problem(client.get(find, headers=bearer(make_token(session, ada))), 404, "resource.missing")


# --- What is no good -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "bearer nonsense",
        f"Bearer {UNKNOWN}",
        f"Bearer {UNKNOWN} {UNKNOWN}",
        f"Bearer {UNKNOWN},",
        "Bearer " + "x" * 60_000,
        "Bearer illume_" + "\xe4" * 43,
    ],
    ids=["none", "empty", "short", "unknown", "two", "comma", "huge", "letters"],
)
@pytest.mark.parametrize("extra", [{}, BROWSER, HTMX], ids=["program", "browser", "htmx"])
def test_what_is_no_token_is_told_how_to_send_one(
    client: TestClient, session: Session, round_: Round, value: str, extra: dict[str, str]
) -> None:
    headers = {"Authorization": value.encode("latin-1")} | {
        name: each.encode() for name, each in extra.items()
    }
    for path in ("/", f"/rounds/{round_.id}/judge", f"/rounds/{round_.id}", "/sign-in"):
        response = client.get(path, headers=headers)
        told = refused(response, "token.unknown")
        assert "illume token create" in told
        assert "xxx" not in response.text


def revoke(secret: str, session: Session, ada: User) -> None:
    tokens.revoke_token(session, find_row(session, secret), actor=ada)


def let_it_expire(secret: str, session: Session, ada: User) -> None:
    find_row(session, secret).expires_at = datetime.now(UTC) - timedelta(minutes=1)


ENDS = {
    revoke: ("token.revoked", "Ask for a new one"),
    let_it_expire: ("token.expired", "Ask for a new one"),
    close_the_account: ("account.closed", "Ask an administrator"),
    close_and_open_it_again: ("token.revoked", "Ask for a new one"),
    erase: ("token.unknown", "illume token create"),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_token_that_is_over_is_refused_everywhere_and_says_why(
    client: TestClient,
    session: Session,
    ada: User,
    project: Project,
    round_: Round,
    end: Callable[[str, Session, User], None],
) -> None:
    secret = make_token(session, ada)
    assert client.get(f"/rounds/{round_.id}", headers=bearer(secret)).status_code == 200
    end(secret, session, session.get_one(User, ada.id))
    session.flush()
    code, says = ENDS[end]
    paths = ("/mine", f"/projects/{project.slug}", f"/rounds/{round_.id}", "/account")
    for path in (*paths, f"/rounds/{round_.id}/judge", "/projects/nowhere", "/rounds/99/judge"):
        for extra in ({}, BROWSER, HTMX):
            assert says in refused(client.get(path, headers=bearer(secret) | extra), code)


def test_nobody_is_let_in_by_the_cookie_where_a_token_is_sent(
    client: TestClient, session: Session, ada: User, project: Project
) -> None:
    noor = make_user(session, name="Noor")
    sign_in(client, session, ada)
    of_noor = bearer(make_token(session, noor))
    assert "Noor" in client.get("/mine", headers=of_noor).text
    problem(client.get(f"/projects/{project.slug}", headers=of_noor), 404, "resource.missing")
    refused(client.get("/mine", headers=bearer(UNKNOWN)), "token.unknown")
    refused(client.post("/language", data={"language": "de"}, headers=bearer("x")), "token.unknown")
    assert client.get("/mine").status_code == 200


# --- Other headers ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "Basic YWRhOnNlY3JldA==", f"Token {UNKNOWN}", UNKNOWN])
def test_another_scheme_is_not_led_to_the_sign_in_page(client: TestClient, value: str) -> None:
    for path in ("/mine", "/projects/nowhere", "/rounds/1/judge"):
        response = client.get(path, headers={"Authorization": value})
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "Authorization: Bearer" in problem(response, 401, "session.missing")


def test_a_browser_behind_a_proxy_with_passwords_signs_in_as_ever(
    client: TestClient, session: Session, ada: User
) -> None:
    """It sends the proxy's password along with everything."""
    for headers in (OF_A_PROXY | BROWSER, BROWSER):
        response = client.get("/mine", headers=headers)
        assert response.status_code == 303
        assert response.headers["Location"] == "/sign-in?next=/mine"
    assert client.get("/mine", headers=OF_A_PROXY | HTMX).headers["HX-Redirect"]
    sign_in(client, session, ada)
    assert client.get("/mine", headers=OF_A_PROXY).status_code == 200
    gone = client.get("/projects/nowhere", headers=OF_A_PROXY | BROWSER)
    assert gone.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_token_needs_no_origin_and_a_cookie_does(
    client: TestClient, session: Session, ada: User, round_: Round, origin: str
) -> None:
    path = f"/rounds/{round_.id}/cancel"
    foreign = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    sign_in(client, session, ada)
    assert client.post(path, headers=foreign).status_code == 403
    assert client.post(path, headers=foreign | OF_A_PROXY).status_code == 403
    secret = make_token(session, ada)
    assert client.post(path, headers=foreign | bearer(secret)).status_code == 303


# --- What opens doors ------------------------------------------------------------------------

DOORS = (
    ("GET", "/account"),
    ("POST", "/account/password"),
    ("POST", "/account/sign-out-everywhere"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/sign-in/link/abc"),
    ("POST", "/sign-in/link/abc"),
    ("GET", "/join/abc"),
    ("POST", "/join/abc"),
    ("POST", "/people"),
    ("POST", "/people/1/link"),
)


@pytest.mark.parametrize(("method", "path"), DOORS, ids=[" ".join(door) for door in DOORS])
def test_a_token_never_makes_what_opens_doors(
    client: TestClient, session: Session, method: str, path: str
) -> None:
    admin = make_user(session, name="Grace", is_admin=True)
    data = {"name": "Eve", "password": "correct horse battery", "again": "correct horse battery"}
    sent = {"data": data} if method == "POST" else {}
    secret = make_token(session, admin)
    response = client.request(method, path, headers=bearer(secret), **sent)  # type: ignore[arg-type]
    assert "Sign in with a browser" in problem(response, 403, "session.needed")
    assert "set-cookie" not in response.headers
    assert session.scalars(select(User.name)).all() == ["Grace"]


# --- What it costs, and what is kept ---------------------------------------------------------


@contextmanager
def sent() -> Iterator[list[str]]:
    """The statements that the application sends."""
    found: list[str] = []

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        found.append(statement)

    engine = db.get_engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


@dataclass(frozen=True)
class Stored:
    """What is in the database: a token, and where its person is an admin."""

    secret: str
    project: str
    round_: str


@pytest.fixture
def stored(database: sessionmaker[Session]) -> Stored:
    with session_scope() as session:
        project = make_project(session)
        ada = make_user(session, name="Ada")
        make_membership(session, project, ada, Role.ADMIN)
        round_ = make_round(session, project)
        make_round_item(session, round_, make_item(session, project))
        secret = make_token(session, ada)
        return Stored(secret, f"/projects/{project.slug}", f"/rounds/{round_.id}")


@pytest.fixture
def program(stored: Stored) -> Iterator[TestClient]:
    with TestClient(create_app(), follow_redirects=False) as program:
        yield program


def last_use(secret: str) -> datetime | None:
    with session_scope() as session:
        return find_row(session, secret).used_at


def test_the_last_use_is_noted_once_an_hour_and_by_no_request_itself(
    program: TestClient, stored: Stored
) -> None:
    begun = datetime.now(UTC)
    with sent() as statements:
        assert program.get("/mine", headers=bearer(stored.secret)).status_code == 200
    noted = last_use(stored.secret)
    assert noted is not None
    assert begun - timedelta(seconds=1) < noted
    assert [each for each in statements if each.startswith("UPDATE")] == statements[-1:]
    with sent() as statements:
        for path in ("/mine", f"{stored.project}/items", stored.round_, f"{stored.round_}/judge"):
            assert program.get(path, headers=bearer(stored.secret)).status_code == 200
    assert not [each for each in statements if each.startswith("UPDATE api_token")]
    assert last_use(stored.secret) == noted
    with session_scope() as session:
        session.execute(text("UPDATE api_token SET used_at = now() - interval '61 minutes'"))
    assert program.get(stored.round_, headers=bearer(stored.secret)).status_code == 200
    again = last_use(stored.secret)
    assert again is not None
    assert again >= noted


def test_what_is_refused_is_no_use(program: TestClient, stored: Stored) -> None:
    assert program.get("/people", headers=bearer(stored.secret)).status_code == 403
    assert program.get(f"{stored.round_}999", headers=bearer(stored.secret)).status_code == 404
    assert last_use(stored.secret) is None


@pytest.mark.parametrize(
    "path", ["/mine", "{project}/releases", "{round_}/cancel", "{round_}/mine", "{round_}/close"]
)
def test_a_token_costs_no_more_statements_than_a_session(
    program: TestClient, stored: Stored, path: str
) -> None:
    """One statement looks up who asks and for what, and it is the first."""
    path = path.format(project=stored.project, round_=stored.round_)
    with session_scope() as session:
        session.execute(text("UPDATE api_token SET used_at = now()"))
        ada = session.scalars(select(User)).one()
        link = accounts.make_sign_in_link(session, ada)
    with sent() as by_token:
        assert program.get(path, headers=bearer(stored.secret)).status_code == 200
    program.get(link)
    with sent() as by_session:
        assert program.get(path).status_code == 200
    assert len(by_token) == len(by_session)
    assert [each for each in by_token if "api_token" in each] == by_token[:1]
    assert [each for each in by_session if "sign_in_session" in each] == by_session[:1]


def test_no_log_line_holds_a_token(
    client: TestClient, session: Session, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    secret = make_token(session, ada)
    with caplog.at_level(logging.DEBUG):
        for sent_token in (secret, UNKNOWN, "illume_short"):
            client.get("/mine", headers=bearer(sent_token))
            client.get(f"/nowhere/{sent_token}", headers=bearer(sent_token))
    ours = [record for record in caplog.records if record.name.startswith("app")]
    lines = "\n".join(f"{record.getMessage()} {record.args}" for record in ours)
    assert "/mine" in lines
    assert secret.removeprefix(tokens.PREFIX) not in lines
    assert session.scalars(select(ApiToken.token_hash)).one() not in lines
