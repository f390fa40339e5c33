"""Tokens from the command line: what is printed opens what its person may see."""

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.main import create_app
from app.models import ApiToken, User
from app.services.accounts import accounts
from tests.support.browsing import bearer, find_row, whose_token
from tests.support.command_line import LIMIT_SECONDS, REPOSITORY, output_of, refusal_of, run_illume

Sessions = sessionmaker[Session]


@pytest.fixture
def ada(database: Sessions) -> User:
    with database() as session:
        ada = accounts.add_user(session, name="ada")
        session.commit()
        return ada


def days_left(database: Sessions, secret: str) -> float:
    with database() as session:
        expires_at = find_row(session, secret).expires_at
    assert expires_at is not None
    return (expires_at - datetime.now(UTC)) / timedelta(days=1)


@pytest.mark.parametrize(
    "words", [("create", "ada"), ("ada",), ("--label", "notebook", "ada")], ids=" ".join
)
def test_a_token_alone_is_printed_to_the_output(
    database: Sessions, ada: User, words: tuple[str, ...]
) -> None:
    """`illume token NAME` is the older spelling."""
    printed = output_of("token", *words)
    secret = printed.strip()
    assert printed == f"{secret}\n"
    with database() as session:
        assert whose_token(session, secret) == session.get_one(User, ada.id)
    assert 364 < days_left(database, secret) <= 365


def test_a_person_at_a_terminal_is_told_how_to_end_the_token(database: Sessions, ada: User) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "token", "create", "ada"],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "500"},
        stdout=theirs,
    ) as process:
        assert process.wait(LIMIT_SECONDS) == 0
    os.close(theirs)
    told = os.read(ours, 10_000).decode()
    os.close(ours)
    number = re.search(r"illume token revoke (\d+)", told)
    assert number, told
    with database() as session:
        secret = told.split()[0]
        assert find_row(session, secret).id == int(number[1])


def test_a_token_opens_what_its_person_may_see_until_it_is_revoked(
    database: Sessions, ada: User
) -> None:
    printed = json.loads(output_of("token", "create", "ada", "--label", "notebook", "--json"))
    assert (printed["user"], printed["label"], printed["state"]) == ("ada", "notebook", "good")
    with TestClient(create_app(), follow_redirects=False) as program:
        assert program.get("/mine", headers=bearer(printed["token"])).status_code == 200
        assert "is revoked" in output_of("token", "revoke", str(printed["number"]))
        assert program.get("/mine", headers=bearer(printed["token"])).status_code == 401
    assert "was revoked before" in output_of("token", "revoke", str(printed["number"]))


def test_secrets_are_kept_as_hashes_and_shown_once(database: Sessions, ada: User) -> None:
    secret = output_of("token", "ada").strip()
    with database() as session:
        kept = find_row(session, secret)
        assert secret not in (kept.token_hash, kept.name)
    assert secret not in output_of("token", "list")
    assert secret not in output_of("token", "list", "--json")


def test_the_list_tells_whose_tokens_there_are_and_whether_they_are_good(
    database: Sessions, ada: User
) -> None:
    secrets = [
        output_of("token", "create", "ada", "--label", label, "--days", days).strip()
        for label, days in (("the notebook", "3"), ("over", "1"), ("leaked", "1"))
    ]
    assert 2.9 < days_left(database, secrets[0]) <= 3
    with database() as session:
        grace = accounts.add_user(session, name="grace")
        find_row(session, secrets[1]).expires_at = datetime.now(UTC)
        find_row(session, secrets[0]).used_at = datetime.now(UTC)
        leaked = find_row(session, secrets[2]).id
        session.commit()
    output_of("token", "revoke", str(leaked))
    output_of("token", grace.name)
    told = output_of("token", "list")
    lines = {label: line for line in told.splitlines() for label in ("the notebook", "over")}
    assert len(lines) == 2
    for part in ("ada", "the notebook", "good", "never", "grace", "command line", "expired"):
        assert part in told
    rows = json.loads(output_of("token", "list", "ada", "--json"))
    assert [row["state"] for row in rows] == ["good", "expired", "revoked"]
    assert {row["user"] for row in rows} == {"ada"}
    assert [row["used_at"] is None for row in rows] == [False, True, True]


def test_tokens_of_a_closed_account_are_revoked_and_no_new_ones_are_made(
    database: Sessions, ada: User
) -> None:
    output_of("token", "ada")
    with database() as session:
        grace = accounts.add_user(session, name="grace", is_admin=True)
        accounts.set_disabled(session, session.get_one(User, ada.id), True, actor=grace)
        session.commit()
    assert "disabled" in refusal_of("token", "ada")
    assert [row["state"] for row in json.loads(output_of("token", "list", "--json"))] == ["revoked"]


def test_token_of_nobody(database: Sessions) -> None:
    for words in (("eve",), ("create", "eve"), ("list", "eve")):
        line = refusal_of("token", *words)
        assert "nobody called `eve`" in line
        assert "illume user add eve" in line
    assert "illume token list" in refusal_of("token", "revoke", "7")
    with database() as session:
        assert session.scalar(select(func.count()).select_from(ApiToken)) == 0


@pytest.mark.parametrize("days", ["0", "-1", "3651", "some"])
def test_days_that_are_not_possible_are_status_2(database: Sessions, ada: User, days: str) -> None:
    ended = run_illume("token", "create", "ada", "--days", days)
    assert ended.returncode == 2
    assert "--days" in ended.stderr
