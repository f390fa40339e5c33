"""The end of a round: whoever gives the last answer finds nothing more, and the round goes on."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.main import create_app
from app.models import Round, User
from app.services.accounts.accounts import make_sign_in_link
from tests.support.browsing import HTMX, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)


@pytest.fixture
def round_id(database: sessionmaker[Session]) -> int:
    """A round with two items left."""
    with session_scope() as session:
        project = make_project(session)
        make_membership(session, project, make_user(session, name="Noor"))
        round_ = make_round(session, project)
        for _ in range(2):
            make_round_item(session, round_, make_item(session, project))
        return round_.id


@pytest.fixture
def noor(round_id: int) -> Iterator[TestClient]:
    with session_scope() as session:
        link = make_sign_in_link(session, session.scalars(select(User)).one())
    with TestClient(create_app()) as client:
        client.get(link)
        yield client


def status_of(round_id: int) -> RoundStatus:
    with session_scope() as session:
        return session.get_one(Round, round_id).status


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("submit", {"version": "0", "none_fits": "true"}),
        ("skip", {"reason": "it is dark"}),
    ],
)
@pytest.mark.parametrize("has_script", [True, False])
def test_the_last_answer_ends_judging(
    noor: TestClient, round_id: int, has_script: bool, action: str, form: dict[str, str]
) -> None:
    headers = HTMX if has_script else {}
    shown = noor.get(f"/rounds/{round_id}/judge", headers=headers)
    for n_left in (1, 0):
        found = re.search(r'data-judgement-id="(\d+)"', shown.text)
        assert found, shown.text
        assert status_of(round_id) is RoundStatus.JUDGING
        shown = noor.post(f"/judgements/{found[1]}/{action}", data=form, headers=headers)
        assert ("data-judgement-id" in shown.text) == bool(n_left)
    assert status_of(round_id) is RoundStatus.CLOSING  # a worker does the rest
    again = noor.get(f"/rounds/{round_id}/judge")
    assert "what was picked is being counted" in text_of(again, "#work")
