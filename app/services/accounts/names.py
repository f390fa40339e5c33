"""Names that people give, to themselves and to projects: to be seen, and told from others."""

import unicodedata

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.texts import UNSEEN

_JOINERS = "\u200c\u200d"
"""Written within words of some languages, and within emoji."""

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK")
"""Those whose letters are taken for each other."""


def checked_name(name: str, *, most: int) -> str:
    """Returns the name as it is kept: composed characters, single blanks.

    Raises InvalidInput for a name that is empty, too long, or has parts that nobody sees or that
    pass for others.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name:
        raise InvalidInput(Sentence("A name is needed."))
    if len(name) > most:
        raise InvalidInput(Sentence("The name is longer than %(n)s characters.", n=most))
    if not all(_is_seen(one) or one in _JOINERS for one in name) or not any(map(_says, name)):
        raise InvalidInput(Sentence("The name has characters that cannot be shown."))
    if any(_is_mixed(word) for word in name.split()):
        raise InvalidInput(
            Sentence("The name mixes letters of different alphabets that look alike.")
        )
    return name


def _is_seen(one: str) -> bool:
    # The sixteenth variation selector only asks for the coloured form of a symbol.
    return one == "\ufe0f" or (one.isprintable() and one not in UNSEEN)


def _says(one: str) -> bool:
    """Whether a character is there on its own: marks need one to stand on."""
    return unicodedata.category(one)[0] in "LNSP"


def _is_mixed(word: str) -> bool:
    found = {unicodedata.name(one, "").partition(" ")[0] for one in word if one.isalpha()}
    return len(found.intersection(_ALPHABETS)) > 1
