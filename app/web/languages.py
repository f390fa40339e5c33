"""The languages of the pages: which one a request gets, and the catalogues behind it.

English texts are the keys. A catalogue is a committed .po file, read once per process. A page is
shown in another language only when all of it is translated: TRANSLATED_PAGES names those pages, and
every other page stays English as a whole.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from starlette.requests import Request

from app.texts import Amount, CountedSentence, Sentence

SOURCE_LANGUAGE = "en"
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}
"""By code: the name that a language has for itself."""
LANGUAGE_COOKIE = "language"
LOCALES = Path(__file__).with_name("locale")

TRANSLATED_PAGES = frozenset(
    {
        "account/join.html",
        "account/link.html",
        "account/reset.html",
        "account/show.html",
        "account/sign_in.html",
        "import/index.html",
        "import/run.html",
        "member/index.html",
        "member/remove.html",
        "people/index.html",
        "practice/edit.html",
        "practice/index.html",
        "project/guidelines.html",
        "project/index.html",
        "project/member.html",
        "project/new.html",
        "project/settings.html",
        "project/show.html",
    }
)

_language: ContextVar[str] = ContextVar("language", default=SOURCE_LANGUAGE)


# --- Choosing -------------------------------------------------------------------------------


def page_language(request: Request, page: str) -> str:
    """The language of one page: the person's where the page is translated, else English."""
    return chosen_language(request) if page in TRANSLATED_PAGES else SOURCE_LANGUAGE


def chosen_language(request: Request) -> str:
    """What the person chose (kept with the account, or in this browser); else its preference."""
    viewer = getattr(request.state, "viewer", None)
    for choice in (viewer.language if viewer else None, request.cookies.get(LANGUAGE_COOKIE)):
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
    """A sentence that Python code made: a Sentence with its parts, or a text without any."""
    if not isinstance(sentence, Sentence):
        return gettext(sentence)
    if _language.get() == SOURCE_LANGUAGE:
        return str(sentence)
    template = (
        ngettext(sentence.template, sentence.many, sentence.n)
        if isinstance(sentence, CountedSentence)
        else gettext(sentence.template)
    )
    return template % {name: _translate_part(part) for name, part in sentence.parts.items()}


def _translate_part(part: object) -> object:
    if isinstance(part, Sentence):
        return translate(part)
    if isinstance(part, Amount):
        return format_decimal(int(part), locale=_language.get())
    return part


def script_texts(name: str) -> dict[str, str]:
    """What a script of static/ says, by its English text; nothing where the page is English."""
    return _script_texts(_language.get(), name)


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
def _script_texts(language: str, name: str) -> dict[str, str]:
    source = f"static/{name}"
    return {
        str(message.id): str(message.string)
        for message in _messages(language)
        if any(path == source for path, _ in message.locations)
    }


def _messages(language: str) -> list[Message]:
    """The translated messages; a doubtful one (fuzzy) is left English."""
    if language == SOURCE_LANGUAGE:
        return []
    return [m for m in read_catalogue(language) if m.id and m.string and not m.fuzzy]
