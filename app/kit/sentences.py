"""Sentences for people that know their parts, so that each reader gets them in their language."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import PlainSerializer, PlainValidator


class Amount(int):
    """A number of things in a sentence, grouped as the reader's language does it: 1,200."""

    def __str__(self) -> str:
        return f"{int(self):,}"


class Share(float):
    """A part of a whole in a sentence, from 0 to 1, written in percent: 45.0%."""

    def __str__(self) -> str:
        return f"{float(self):.1%}"


class Points(float):
    """A difference of two parts of a whole in a sentence, written in percentage points: 3.0."""

    def __str__(self) -> str:
        return f"{100 * float(self):.1f}"


class Sentence(str):
    """A sentence for people: English as a text, with what a translation of it needs.

    Logs, JSON and the command line read it as the English text that it is. Pages look `template`
    up in the reader's language and put `parts` in (`%(name)s`); a part may be a sentence itself.
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


def pack(part: object) -> Any:
    """Returns a sentence, or a part of one, as a value that JSON can hold; `unpack` reads it."""
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
        case Share() | Points():
            return {type(part).__name__.lower(): float(part)}
        case StrEnum():
            return {"text": part.value.replace("_", " "), "parts": {}}  # pages know it as a word
    return part if isinstance(part, int | float | str) else str(part)


def unpack(packed: Any) -> Any:
    """Returns what `pack` was given: a sentence with its parts, or a plain text or number."""
    if not isinstance(packed, Mapping):
        return packed
    if "amount" in packed:
        return Amount(packed["amount"])
    if "share" in packed:
        return Share(packed["share"])
    if "points" in packed:
        return Points(packed["points"])
    text, many = packed["text"], packed.get("many")
    parts = {str(name): unpack(value) for name, value in packed["parts"].items()}
    if many is None:
        return Sentence(text, **parts)
    return CountedSentence(text, many, n=packed["n"], **parts)


def _read_told(value: object) -> str:
    try:
        text = unpack(value)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("This is no packed sentence.") from error
    if not isinstance(text, str):
        raise ValueError("This is neither a text nor a packed sentence.")
    return text


Told = Annotated[str, PlainValidator(_read_told), PlainSerializer(pack)]
"""A text for people as a field that is stored as JSON: a sentence keeps its parts, so that pages
can translate it. What was stored before sentences had parts is a plain text."""


def shortened(text: str, most: int) -> str:
    """Returns a text of at most so many characters: a sentence within them as it is, else the end
    cut off."""
    return text if len(text) <= most else text[:most]
