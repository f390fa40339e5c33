"""The languages of the pages: which one a request gets, and the catalogues behind it.

English texts are the keys. A catalogue is a committed .po file, read once per process. Tests see to
it that every text of every page is in it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from starlette.requests import Request

from app.kit.texts import Amount, CountedSentence, Deferred, Sentence
from app.web.assets.bundles import BUNDLES

SOURCE_LANGUAGE = "en"
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}
"""By code: the name that a language has for itself."""
LANGUAGE_COOKIE = "language"
PAGE_LANGUAGE_HEADER = "Page-Language"
LOCALES = Path(__file__).with_name("locale")

STORING_MODULES = (
    "app/services/rounds/bases.py",
    "app/services/rounds/decision.py",
    "app/services/runs/failures.py",
    "app/services/rounds/rounds.py",
    "app/services/judging/settling.py",
    "app/services/rounds/training_rows.py",
    "app/metrics/meteor.py",
)
"""Sentences of these are stored, as English: why a round ended, an item was left, a run failed."""

_language: ContextVar[str] = ContextVar("language", default=SOURCE_LANGUAGE)


# --- Choosing -------------------------------------------------------------------------------


def chosen_language(request: Request) -> str:
    """The language of the page that a script asks from; else what the person chose (kept with
    the account, or in this browser); else what the browser prefers.

    A piece goes into a page that may have been loaded before another choice, or before the session
    ended and took the account's choice along.
    """
    viewer = getattr(request.state, "viewer", None)
    for choice in (
        request.headers.get(PAGE_LANGUAGE_HEADER),
        viewer.language if viewer else None,
        request.cookies.get(LANGUAGE_COOKIE),
    ):
        if choice in LANGUAGE_NAMES:
            return choice
    return negotiate(request.headers.get("Accept-Language", ""))


def negotiate(accepted: str) -> str:
    """The language of ours that an Accept-Language header likes best; English without one."""
    best, best_weight = SOURCE_LANGUAGE, 0.0
    for part in accepted.split(","):
        tag, _, parameter = part.partition(";")
        code = tag.strip().split("-")[0].lower()
        weight = _weight(parameter)
        if code in LANGUAGE_NAMES and weight > best_weight:
            best, best_weight = code, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


# --- Speaking -------------------------------------------------------------------------------


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Templates rendered inside are in this language, their imported macros too."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def current_language() -> str:
    return _language.get()


def gettext(text: str) -> str:
    return _singulars(_language.get()).get(text, text)


def ngettext(one: str, many: str, n: int) -> str:
    forms = _plurals(_language.get()).get(one)
    if forms is None:
        return one if n == 1 else many
    return forms[int(n != 1)]


def translate(sentence: str) -> str:
    """A Sentence with its parts; any other text may be what a person wrote, and stays as it is."""
    if isinstance(sentence, Deferred):
        return sentence.write()
    if not isinstance(sentence, Sentence):
        return sentence
    if _language.get() == SOURCE_LANGUAGE:
        return str(sentence)
    template = (
        ngettext(sentence.template, sentence.many, sentence.n)
        if isinstance(sentence, CountedSentence)
        else gettext(sentence.template)
    )
    return template % {name: _translate_part(part) for name, part in sentence.parts.items()}


def _translate_part(part: object) -> object:
    if isinstance(part, Sentence | Deferred):
        return translate(part)
    if isinstance(part, StrEnum):
        return gettext(part.value.replace("_", " "))  # a word of labels.py
    if isinstance(part, Amount):
        return format_decimal(int(part), locale=_language.get())
    return part


def recall(stored: str) -> str:
    """A sentence that our own code once wrote into the database, in the language of the page.

    Such a text is English. It is found again among the sentences of the modules that write there;
    what is none of them, such as an error of a library, stays as it was written.
    """
    language = _language.get()
    if language == SOURCE_LANGUAGE:
        return stored
    if stored in _stored_texts(language):
        return gettext(stored)
    for pattern, translation in _stored_forms(language):
        if match := pattern.fullmatch(stored):
            return translation % {name: recall(part) for name, part in match.groupdict().items()}
    return stored


def script_texts(*names: str) -> str:
    """What scripts of static/ say, as JSON by the English text; empty where the page is English."""
    return _script_texts(_language.get(), names)


# --- Catalogues -----------------------------------------------------------------------------


@lru_cache
def read_catalogue(language: str) -> Catalog:
    with (LOCALES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@lru_cache
def _singulars(language: str) -> Mapping[str, str]:
    return {
        message.id: message.string
        for message in _messages(language)
        if isinstance(message.id, str) and isinstance(message.string, str)
    }


@lru_cache
def _plurals(language: str) -> Mapping[str, tuple[str, ...]]:
    return {
        message.id[0]: tuple(message.string)
        for message in _messages(language)
        if not isinstance(message.id, str) and isinstance(message.string, tuple)
    }


@lru_cache
def _stored_texts(language: str) -> frozenset[str]:
    return frozenset(
        str(message.id)
        for message in _messages(language)
        if any(path in STORING_MODULES for path, _ in message.locations)
    )


@lru_cache
def _stored_forms(language: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """Pattern of the English text, and translation; the one with most words of its own first."""
    forms = [
        (_pattern_of(str(message.id)), str(message.string))
        for message in _messages(language)
        if isinstance(message.string, str)
        and "%(" in message.id
        and message.id in _stored_texts(language)
    ]
    return sorted(forms, key=lambda form: len(form[0].pattern), reverse=True)


def _pattern_of(template: str) -> re.Pattern[str]:
    pieces = re.split(r"%\((\w+)\)s", template)
    pattern = "".join(
        f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece.replace("%%", "%"))
        for index, piece in enumerate(pieces)
    )
    return re.compile(pattern, re.DOTALL)


@lru_cache
def _script_texts(language: str, names: tuple[str, ...]) -> str:
    sources = {f"static/{part}" for name in names for part in BUNDLES.get(name, (name,))}
    texts = {
        str(message.id): str(message.string)
        for message in _messages(language)
        if any(path in sources for path, _ in message.locations)
    }
    return json.dumps(texts, ensure_ascii=False) if texts else ""


def _messages(language: str) -> list[Message]:
    """The translated messages; a doubtful one (fuzzy) is left English."""
    if language == SOURCE_LANGUAGE:
        return []
    return [m for m in read_catalogue(language) if m.id and m.string and not m.fuzzy]
