"""Tokens of programs: kept as hashes, good for a time, and told apart where they are not."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.models import ApiToken, Event
from app.services.accounts import accounts, tokens
from tests.support.browsing import find_row, make_token, whose_token
from tests.support.factories import make_user


def test_a_token_is_known_by_its_maker_alone_and_can_be_revoked(session: Session) -> None:
    ada = make_user(session)
    secret = make_token(session, ada)
    entry = session.scalars(select(ApiToken)).one()
    assert secret not in (entry.token_hash, entry.name)
    assert tokens.could_be_token(secret)
    assert whose_token(session, secret) is ada
    assert whose_token(session, secret + "x") is None
    tokens.revoke_token(session, entry, actor=ada)
    session.flush()
    assert whose_token(session, secret) is None
    revoked_at = entry.revoked_at
    tokens.revoke_token(session, entry, actor=ada)
    assert entry.revoked_at == revoked_at
    tags = session.scalars(select(Event.tag).order_by(Event.id)).all()
    assert tags == ["user:token:created", "user:token:revoked"]


def test_a_token_ends_after_its_days_and_older_ones_have_no_end(session: Session) -> None:
    ada = make_user(session)
    secret = make_token(session, ada)
    entry = find_row(session, secret)
    assert entry.expires_at is not None
    left = entry.expires_at - datetime.now(UTC)
    assert timedelta(days=364) < left <= timedelta(days=tokens.TOKEN_DAYS)
    entry.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    session.flush()
    assert whose_token(session, secret) is None
    entry.expires_at = None
    session.flush()
    assert whose_token(session, secret) is ada


@pytest.mark.parametrize("days", [0, -1, tokens.MAX_TOKEN_DAYS + 1])
def test_days_and_labels_that_are_not_possible_are_refused(session: Session, days: int) -> None:
    ada = make_user(session)
    with pytest.raises(InvalidInput, match="1 to 3650 days"):
        tokens.create_token(session, ada, label="notebook", days=days)
    with pytest.raises(InvalidInput, match="Shorten"):
        tokens.create_token(session, ada, label="x" * 201)
    entry, _ = tokens.create_token(session, ada, label="  two \n words ")
    assert entry.name == "two words"


@pytest.mark.parametrize(
    "text",
    ["", "illume_", "illume_" + "x" * 42, "illume_" + "x" * 44, "x" * 50, "illume_" + "ä" * 43],
)
def test_what_does_not_look_like_a_token_is_asked_for_nowhere(text: str) -> None:
    assert not tokens.could_be_token(text)


def test_closing_an_account_ends_its_tokens_also_when_it_is_opened_again(session: Session) -> None:
    ada, grace = make_user(session), make_user(session, is_admin=True)
    secret = make_token(session, ada)
    for is_closed in (True, False):
        accounts.set_disabled(session, ada, is_closed, actor=grace)
        session.flush()
        session.expire_all()
        assert whose_token(session, secret) is None
