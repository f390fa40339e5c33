"""Passwords: argon2id with the library's current parameters; old hashes are renewed at sign-in."""

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidInput
from app.texts import Sentence

MIN_LENGTH = 10
MAX_LENGTH = 200


@lru_cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")


def check_password_rules(password: str, *, name: str) -> None:
    if len(password) < MIN_LENGTH:
        raise InvalidInput(Sentence("The password needs at least %(n)s characters.", n=MIN_LENGTH))
    if len(password) > MAX_LENGTH:
        raise InvalidInput(Sentence("The password is longer than %(n)s characters.", n=MAX_LENGTH))
    if password.casefold() == name.casefold():
        raise InvalidInput(Sentence("The password must not be the name."))


def hash_password(password: str) -> str:
    return _hasher().hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Takes the same time for a person without a password, or for nobody at all."""
    try:
        _hasher().verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    return _hasher().check_needs_rehash(password_hash)
