"""API tokens, with which programs ask in a person's name. Only their hashes are stored."""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app.events.accounts import ApiTokenCreated, ApiTokenRevoked
from app.kit.db import session_scope
from app.kit.errors import (
    AccountClosed,
    InvalidInput,
    NotSignedIn,
    TokenExpired,
    TokenRevoked,
    TokenUnknown,
)
from app.kit.sentences import Sentence
from app.lifecycle import MAX_TOKEN_DAYS, TOKEN_DAYS
from app.models import ApiToken, User
from app.queries.accounts import tokens as queries
from app.services.accounts.accounts import hash_token, new_token
from app.services.events import record

PREFIX = "illume_"
"""Begins every token, so that whoever searches texts for leaked keys can tell whose it is."""
MAX_LABEL = 200

_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def could_be_token(text: str) -> bool:
    """Whether a text looks as our tokens do; nothing else is worth asking the database for."""
    return _TOKEN.fullmatch(text) is not None


def create_token(
    session: Session, user: User, *, label: str, days: int = TOKEN_DAYS
) -> tuple[ApiToken, str]:
    """Make a token of a person that lasts for so many days; the secret is known here only.

    Returns its row and the secret. Raises InvalidInput for days or a label that are not possible.
    """
    if not 1 <= days <= MAX_TOKEN_DAYS:
        raise InvalidInput(
            Sentence(
                "A token lasts for 1 to %(most)s days. Choose another number.", most=MAX_TOKEN_DAYS
            )
        )
    label = " ".join(label.split()) or "token"
    if len(label) > MAX_LABEL:
        raise InvalidInput(
            Sentence("The label is longer than %(most)s characters. Shorten it.", most=MAX_LABEL)
        )
    secret = PREFIX + new_token()
    token = ApiToken(
        user_id=user.id,
        name=label,
        token_hash=hash_token(secret),
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    session.add(token)
    record(session, ApiTokenCreated(user_id=user.id, name=label), actor=user)
    session.flush()  # its number is told with it
    return token, secret


def revoke_token(session: Session, token: ApiToken, *, actor: User | None) -> None:
    """Make a token worthless from now on. Nothing happens to one that was revoked before."""
    if token.revoked_at is None:
        token.revoked_at = datetime.now(UTC)
        record(session, ApiTokenRevoked(user_id=token.user_id), actor=actor)


def explain_refusal(session: Session, token_hash: str) -> NotSignedIn:
    """Returns the error for a token that opens nothing, which says what to do about it."""
    found = queries.find_token(session, token_hash)
    if found is None:
        return TokenUnknown(UNKNOWN)
    token, user = found
    if user.disabled_at is not None:
        return AccountClosed(
            Sentence(
                "The account of this token was closed. Ask an administrator to open it again, then "
                "make a new token."
            )
        )
    if token.revoked_at is not None:
        return TokenRevoked(
            Sentence("This token was revoked. Ask for a new one (illume token create NAME).")
        )
    if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
        return TokenExpired(
            Sentence("This token has expired. Ask for a new one (illume token create NAME).")
        )
    return TokenUnknown(UNKNOWN)


def note_use(token_hash: str) -> None:
    """Write down, in a transaction of its own, that a token is used now; once an hour at most."""
    with session_scope() as session:
        queries.note_use(session, token_hash)


UNKNOWN = Sentence(
    "There is no such token. Send `Authorization: Bearer TOKEN` with one that illume token create "
    "NAME has printed."
)
