"""How texts are compared, and sentences for people that know their parts."""

import hashlib
import re
import unicodedata

_PUNCTUATION = re.compile(r"[^\w\s]+", re.UNICODE)
_SPACES = re.compile(r"\s+")


class Sentence(str):
    """A sentence for people: English as a text, with what a translation of it needs.

    Logs, JSON and the command line read it as the English text that it is. Pages in another
    language look `template` up and put `parts` in (`%(name)s`).
    """

    template: str
    parts: dict[str, object]

    def __new__(cls, template: str, **parts: object) -> "Sentence":
        sentence = super().__new__(cls, template % parts)
        sentence.template = template
        sentence.parts = parts
        return sentence


def collapse(text: str) -> str:
    """One line, single spaces, composed characters; NUL, which PostgreSQL refuses, is dropped."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text.replace("\0", ""))).strip()


def normalise(text: str) -> str:
    """Case, punctuation and spacing do not make two texts different."""
    return _SPACES.sub(" ", _PUNCTUATION.sub(" ", collapse(text).casefold())).strip()


def text_key(text: str) -> str:
    """Key under which equal rationales of an item are one candidate."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


def is_same_answer(given: str, expected: str) -> bool:
    return normalise(given) == normalise(expected)


def unit_hash(*parts: str | int) -> float:
    """A number in [0, 1) that depends on the parts only: reproducible random choices."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
