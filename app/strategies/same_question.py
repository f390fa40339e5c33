"""When two questions about one image count as one.

Stricter than it might be: words that say nothing of what is asked are left out, and the rest must
be the same in the same order. "Left of" and "right of" differ in one word, and so do questions that
have different answers; a question asked twice costs people a click.
"""

import hashlib

from app.same_text import normalise

_SAY_NOTHING = frozenset({"a", "an", "the", "please", "can", "you", "see", "tell", "me", "there"})
_SAME = {"colour": "color", "colours": "colors", "which": "what", "grey": "gray"}
_ENDINGS = tuple(("in", one) for one in ("picture", "image", "photo", "scene", "photograph"))


def question_key(question: str) -> tuple[str, ...]:
    """Returns the words under which equal questions about an image are one; empty for a text that
    asks nothing."""
    words = [
        _SAME.get(word, word) for word in normalise(question).split() if word not in _SAY_NOTHING
    ]
    if tuple(words[-2:]) in _ENDINGS and len(words) > 2:
        words = words[:-2]
    return tuple(words)


def stored_key(question: str) -> str:
    """Returns `question_key` as it is stored, and compared by the database."""
    return hashlib.sha256(" ".join(question_key(question)).encode()).hexdigest()
