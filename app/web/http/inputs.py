"""Checks what comes from outside: every text goes through one door, and is refused or kept here."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fastapi import Request
from starlette.datastructures import FormData

from app.kit.errors import InvalidInput, NotFound
from app.kit.numbers import LARGEST
from app.kit.sentences import Sentence
from app.kit.texts import UNSTORABLE

Handler = TypeVar("Handler", bound=Callable[..., Any])
_DROPPING: set[Callable[..., Any]] = set()

_WHOLE = re.compile(r"[+-]?\d{1,19}")
NO_PAGE = Sentence("There is no page at this address.")


def read_whole(text: str) -> int | None:
    """Returns the whole number that a text spells, or None where there is none, or none of ours."""
    if not _WHOLE.fullmatch(text.strip()):
        return None
    number = int(text)
    return number if -LARGEST <= number <= LARGEST else None


def drops_odd_characters(handler: Handler) -> Handler:
    """Marks a handler whose services leave such characters out: what somebody judged is kept."""
    _DROPPING.add(handler)
    return handler


async def check_texts(request: Request) -> None:
    """Refuses addresses and forms with characters that cannot be kept, before anything reads them.

    Raises:
        NotFound: such a character is in the path.
        InvalidInput: it is in the query or in the form.
    """
    if any(UNSTORABLE.search(str(value)) for value in request.path_params.values()):
        raise NotFound(NO_PAGE)
    refuse_unstorable(part for pair in request.query_params.multi_items() for part in pair)
    # A handler without form fields reads the body itself, or not at all.
    has_form = getattr(request.scope.get("route"), "body_field", None) is not None
    if has_form and request.scope.get("endpoint") not in _DROPPING:
        check_form(await request.form())


def check_form(form: FormData) -> FormData:
    """Returns the form as it is. Raises InvalidInput for a name or text that cannot be kept."""
    for name, value in form.multi_items():
        refuse_unstorable((name, value if isinstance(value, str) else value.filename or ""))
    return form


def refuse_unstorable(texts: Iterable[str]) -> None:
    """Raises InvalidInput, naming the first character that no database takes."""
    for text in texts:
        if found := UNSTORABLE.search(text):
            raise InvalidInput(
                Sentence(
                    "The text holds a character that cannot be kept (%(code)s). Remove it and "
                    "send it again.",
                    code=f"U+{ord(found[0]):04X}",
                )
            )
