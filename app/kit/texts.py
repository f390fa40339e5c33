"""The form in which texts are kept and compared."""

import hashlib
import re
import unicodedata

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, which PostgreSQL has no place for, and halves of characters, which UTF-8 has none for."""

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc") | {
    chr(code) for code in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
}
"""Characters that are letters or marks by the book, and that nobody sees."""

_LIKE = {**dict.fromkeys("−˗⁃", "-"), **dict.fromkeys("‘’‛ʼʹ´`′", "'")}
_SPACES = re.compile(r"\s+")


def collapse(text: str) -> str:
    """Returns the text on one line: single spaces, composed, without what no database takes."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", UNSTORABLE.sub("", text))).strip()


def plain_lines(text: str) -> str:
    """Returns the text with line ends of one kind and without what no database takes.

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
    """Returns a number in [0, 1) that depends on the parts only: reproducible random choices."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
