"""The languages of the pages: which one a request gets, and the catalogues behind it.

English texts are the keys. A catalogue is a committed .po file, read once per process. Tests see to
it that every text of every page is in it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from starlette.requests import Request

from app.kit.sentences import Amount, CountedSentence, Points, Sentence, Share
from app.principal import Principal
from app.web.assets.bundles import BUNDLES

SOURCE_LANGUAGE = "en"
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}
"""By code: the name that a language has for itself."""
LANGUAGE_COOKIE = "language"
PAGE_LANGUAGE_HEADER = "Page-Language"
LOCALES = Path(__file__).with_name("locale")

_spoken: ContextVar[tuple[str, NullTranslations]] = ContextVar(
    "spoken",
    default=(SOURCE_LANGUAGE, NullTranslations()),
)


# --- Choosing -------------------------------------------------------------------------------


def chosen_language(request: Request) -> str:
    """Returns the language of the page that a script asks from; else what the person chose (kept
    with the account, or in this browser); else what the browser prefers.

    A piece goes into a page that may have been loaded before another choice, or before the session
    ended and took the account's choice along.
    """
    principal: Principal | None = getattr(request.state, "principal", None)
    for choice in (
        request.headers.get(PAGE_LANGUAGE_HEADER),
        principal.language if principal else None,
        request.cookies.get(LANGUAGE_COOKIE),
    ):
        if choice in LANGUAGE_NAMES:
            return choice
    return negotiate(request.headers.get("Accept-Language", ""))


def negotiate(accepted: str) -> str:
    """Returns the language of ours that an Accept-Language header likes best; English
    without one.
    """
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
def speaking(language: str, translations: NullTranslations | None = None) -> Iterator[None]:
    """Renders templates inside the block in this language, their imported macros too.

    Its own catalogue is looked up, or the one given.
    """
    token = _spoken.set((language, translations or _translations(language)))
    try:
        yield
    finally:
        _spoken.reset(token)


def current_language() -> str:
    return _spoken.get()[0]


def gettext(text: str) -> str:
    """Returns the text in the language of the page; English where the catalogue has it not."""
    return _spoken.get()[1].gettext(text) if text else ""  # an empty one is a catalogue's header


def ngettext(one: str, many: str, n: int) -> str:
    """Returns the form for this number, of as many as the language has."""
    return _spoken.get()[1].ngettext(one, many, n)


def translate(sentence: str) -> str:
    """Returns a Sentence with its parts; any other text may be what a person wrote, and stays as it
    is.
    """
    if not isinstance(sentence, Sentence):
        return sentence
    template = (
        ngettext(sentence.template, sentence.many, sentence.n)
        if isinstance(sentence, CountedSentence)
        else gettext(sentence.template)
    )
    return template % {name: _translate_part(part) for name, part in sentence.parts.items()}


def _translate_part(part: object) -> object:
    match part:
        case Sentence():
            return translate(part)
        case StrEnum():
            return gettext(part.value.replace("_", " "))  # a word of labels.py
        case Amount():
            return number(int(part), 0)
        case Share():
            return percent(float(part))
        case Points():
            return number(100 * float(part), 1)
    return part


def script_texts(*names: str) -> str:
    """Returns the texts of scripts as JSON by their English ones; empty on an English page."""
    return _script_texts(current_language(), names)


# --- Numbers ----------------------------------------------------------------------------------


def number(value: float, digits: int) -> str:
    """Returns a number with its groups, and so many decimals, as the page's language writes it."""
    return _write(value, digits, "", current_language())


def percent(value: float, digits: int = 1) -> str:
    """Returns a part of a whole in percent; the sign never stands alone on a line."""
    return _write(value, digits, "\u00a0%", current_language())


@lru_cache(maxsize=4096)
def _write(value: float, digits: int, unit: str, language: str) -> str:
    """Pages say the same numbers over and over, and Babel takes its time for each."""
    pattern = f"#,##0.{'0' * digits}" if digits else "#,##0"  # without digits, no point either
    return format_decimal(value, format=pattern + unit, locale=language)


# --- Catalogues -----------------------------------------------------------------------------


@lru_cache
def read_catalogue(language: str) -> Catalog:
    with (LOCALES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@lru_cache
def _translations(language: str) -> NullTranslations:
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    return translations_of(read_catalogue(language))


def translations_of(catalogue: Catalog) -> Translations:
    """Returns a catalogue ready to be asked, with its own rule of plurals; what is empty or
    doubtful (fuzzy) in it is left English."""
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


@lru_cache
def _script_texts(language: str, names: tuple[str, ...]) -> str:
    if language == SOURCE_LANGUAGE:
        return ""
    sources = {f"static/{part}" for name in names for part in BUNDLES.get(name, (name,))}
    texts = {
        str(message.id): str(message.string)
        for message in read_catalogue(language)
        if message.id and message.string and not message.fuzzy
        if any(path in sources for path, _ in message.locations)
    }
    return json.dumps(texts, ensure_ascii=False) if texts else ""
