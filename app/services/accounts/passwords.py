"""Passwords: argon2id with the library's current parameters; old hashes are renewed at sign-in."""

import unicodedata
from functools import lru_cache
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.kit.sentences import Sentence
from app.kit.texts import name_key
from app.services.refusals import PasswordRefused

MIN_LENGTH = 10
MAX_LENGTH = 200

_ROWS = "1234567890 qwertyuiop qwertzuiop azertyuiop asdfghjkl qsdfghjklm zxcvbnm yxcvbnm wxcvbn"
_EDGES = "0123456789!?.,-_#+* "
_LOOKS = str.maketrans("@$034571", "asoeastl")
_WORDS = """
    password passwort passwords letmein welcome willkommen iloveyou ichliebedich monkey dragon
    football fussball baseball sunshine princess superman batman trustno changeme administrator
    admin hallo hello schatz qwertz qwerty illume annotator secret geheim master
"""
_COMMON = frozenset(_WORDS.split())


@lru_cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")


def check_password_rules(password: str, *, name: str) -> None:
    if len(password) < MIN_LENGTH:
        raise PasswordRefused(
            Sentence("The password needs at least %(n)s characters.", n=MIN_LENGTH)
        )
    if len(password) > MAX_LENGTH:
        raise PasswordRefused(
            Sentence("The password is longer than %(n)s characters.", n=MAX_LENGTH)
        )
    plain = unicodedata.normalize("NFKC", password).casefold()
    if _is_mostly(plain, name_key(name)):
        raise PasswordRefused(Sentence("The password must not be the name."))
    if _is_guessed_first(plain):
        raise PasswordRefused(
            Sentence(
                "This password is among the first that anybody would try. Take a few words that "
                "nobody puts together."
            )
        )


def _is_mostly(password: str, name: str) -> bool:
    """Whether little is left of the password without the name."""
    return len(name) >= 3 and len(password.replace(name, "")) < 5 and name in password


def _is_guessed_first(password: str) -> bool:
    """Whether it is one piece repeated, a walk along a keyboard, or a common word."""
    return (
        len(set(password)) < 4
        or _is_repeated(password)
        or _share_of_steps(password) > 0.6
        or password.strip(_EDGES).translate(_LOOKS) in _COMMON
        or any(_is_mostly(password.translate(_LOOKS), word) for word in _COMMON)
    )


def _is_repeated(password: str) -> bool:
    """Whether a piece of at most a third of it is all that there is."""
    return any(
        all(password[place] == password[place - size] for place in range(size, len(password)))
        for size in range(1, len(password) // 3 + 1)
    )


def _share_of_steps(password: str) -> float:
    """Returns the share of characters that equal, or neighbour, the one before."""
    pairs = list(pairwise(password))
    n_steps = sum(
        abs(ord(one) - ord(other)) <= 1 or one + other in _ROWS or other + one in _ROWS
        for one, other in pairs
    )
    return n_steps / len(pairs)


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
