"""Sentences for people that know their parts, and the form in which texts are kept."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Self

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL has no place for, and halves of characters, which UTF-8 has none for."""

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc") | {
    chr(code) for code in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
}
"""Characters that are letters or marks by the book, and that nobody sees."""

_LIKE = {**dict.fromkeys("−˗⁃", "-"), **dict.fromkeys("‘’‛ʼʹ´`′", "'")}
_SPACES = re.compile(r"\s+")


class Amount(int):
    """A number in a sentence, grouped as the reader's language does it: 1,200."""

    def __str__(self) -> str:
        return f"{int(self):,}"


class Deferred(str):
    """A number or a time as English text, written anew by pages in another language.

    What a page shows is gathered before its language is known: `write` is called while it renders.
    """

    write: Callable[[], str]

    def __new__(cls, write: Callable[[], str]) -> Self:
        text = super().__new__(cls, write())
        text.write = write
        return text


class Sentence(str):
    """A sentence for people: English as a text, with what a translation of it needs.

    Logs, JSON and the command line read it as the English text that it is. Pages in another
    language look `template` up and put `parts` in (`%(name)s`); a part may be a sentence itself.
    """

    template: str
    parts: dict[str, object]

    def __new__(cls, template: str, **parts: object) -> Self:
        sentence = super().__new__(cls, template % parts)
        sentence.template = template
        sentence.parts = parts
        return sentence

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled with its parts; the text alone may not be a template."""
        return unpack, (pack(self),)


class CountedSentence(Sentence):
    """A sentence about `%(n)s` of something, with one form for one and one for any other number."""

    many: str
    n: int

    def __new__(cls, one: str, many: str, *, n: int, **parts: object) -> Self:
        sentence = super().__new__(cls, one if n == 1 else many, **parts, n=Amount(n))
        sentence.template = one
        sentence.many = many
        sentence.n = n
        return sentence


def pack(part: object) -> object:
    """A sentence, or a part of one, as what JSON can hold; `unpack` gives it back."""
    match part:
        case CountedSentence():
            others = {name: pack(value) for name, value in part.parts.items() if name != "n"}
            return {"text": part.template, "many": part.many, "n": part.n, "parts": others}
        case Sentence():
            return {
                "text": part.template,
                "parts": {name: pack(value) for name, value in part.parts.items()},
            }
        case Amount():
            return {"amount": int(part)}
        case int() | float() | str():
            return part
    return str(part)


def unpack(packed: Any) -> Any:
    if not isinstance(packed, Mapping):
        return packed
    if "amount" in packed:
        return Amount(packed["amount"])
    text, many = packed["text"], packed.get("many")
    parts = {str(name): unpack(value) for name, value in packed["parts"].items()}
    if many is None:
        return Sentence(text, **parts)
    return CountedSentence(text, many, n=packed["n"], **parts)


def collapse(text: str) -> str:
    """One line, single spaces, composed characters; what no database takes is dropped."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", UNSTORABLE.sub("", text))).strip()


def plain_lines(text: str) -> str:
    """The text with line ends of one kind and without what no database takes.

    Browsers send every line end as CR LF, whatever it was.
    """
    return UNSTORABLE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def is_unchanged(typed: str, stored: str) -> bool:
    """Whether a form came back with what stood in it: then the stored text stays to the byte."""
    return plain_lines(typed) == plain_lines(stored)


def name_key(name: str) -> str:
    """Returns what two names have in common that people cannot tell apart.

    Capitals, width, composed or not, kinds of hyphens, apostrophes and blanks, and characters that
    nobody sees make no difference.
    """
    plain = unicodedata.normalize("NFKC", UNSTORABLE.sub("", name)).casefold()
    plain = unicodedata.normalize("NFKC", plain)
    seen = (_LIKE.get(c) or ("-" if unicodedata.category(c) == "Pd" else c) for c in plain)
    kept = (c for c in seen if c not in UNSEEN and unicodedata.category(c) not in {"Cf", "Cc"})
    return _SPACES.sub(" ", "".join(kept)).strip()


def unit_hash(*parts: str | int) -> float:
    """A number in [0, 1) that depends on the parts only: reproducible random choices."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
