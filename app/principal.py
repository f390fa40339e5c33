"""The person behind a request, and how the request shows who they are.

There are two ways: the session of a browser, and the token of a program.
"""

from dataclasses import dataclass
from enum import StrEnum


class CameBy(StrEnum):
    """The way in which a request shows who sends it."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - the name of a way


@dataclass(frozen=True, slots=True)
class Credential:
    """The key of a session or of a token that a request shows, as the hash that is stored."""

    came_by: CameBy
    key_hash: str
    user_id: int | None = None
    """Whose session it is, as the cookie says; a token does not name its person."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request, and how they came.

    A copy of the account's row: pages and error pages read it when the database session is over.
    """

    id: int
    name: str
    is_admin: bool
    language: str | None
    came_by: CameBy
