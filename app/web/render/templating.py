"""The Jinja environment: strict about missing names, escaping everything."""

import hashlib
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, get_decimal_symbol
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.templating import Jinja2Templates

from app.kit.resources import TEMPLATES
from app.kit.sentences import Sentence
from app.lifecycle import (
    Decision,
    Job,
    JudgementStatus,
    PracticeMode,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
    UserKind,
)
from app.web.assets.addresses import address, own_path, site_path
from app.web.assets.bundles import changed_at, read_static
from app.web.assets.image_urls import image_url
from app.web.language import languages
from app.web.language.labels import label


def static_url(name: str) -> str:
    """Returns the address of a static file, which changes with its content, so that it can be
    cached for ever.
    """
    return address(f"/static/{name}?v={_version(name, changed_at(name))}")


@lru_cache(maxsize=256)
def _version(name: str, written_at: int) -> str:  # noqa: ARG001 - part of the cache key
    return hashlib.sha256(read_static(name)).hexdigest()[:12]


# --- Numbers and times, as the page's language writes them ----------------------------------


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else languages.percent(value, digits)


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else languages.number(value, digits)


def signed(value: float, digits: int = 0) -> str:
    """Returns a difference, with its sign where it is above zero too."""
    return f"+{number(value, digits)}" if value >= 0 else number(value, digits)


def significant(value: float) -> str:
    """Returns a number with three leading digits, as long as that is readable: 0.0321,
    12.5, 1200.
    """
    language = languages.current_language()
    return format_decimal(value, format="@##", locale=language, group_separator=False)


def written(figure: str) -> str:
    """Returns a number that is spelled out already, with the decimal sign of the page."""
    return figure.replace(".", get_decimal_symbol(languages.current_language()))


def capital(text: str) -> str:
    """Returns a text with a capital letter in front; those within stay, which German nouns have."""
    return text[:1].upper() + text[1:]


def ago(at: datetime | None) -> str:
    """Returns how long ago it was, in the one unit that says most."""
    if at is None:
        return languages.translate(Sentence("never"))
    span = duration(datetime.now(UTC) - at)
    return languages.translate(Sentence("%(span)s ago", span=span))


def duration(span: timedelta | float | None) -> str:
    if span is None:
        return "–"
    seconds = max(0.0, span.total_seconds() if isinstance(span, timedelta) else span)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{number(seconds / size, 0)} {languages.translate(_UNITS[unit])}"
    return f"{number(seconds, 0)} s"


def work_time(milliseconds: float | None) -> str:
    """Returns people's time in minutes or, from two hours on, in hours: a day of work has no fixed
    number of these.
    """
    if milliseconds is None:
        return "–"
    minutes = milliseconds / 60_000
    unit, value = ("h", minutes / 60) if minutes >= 2 * 60 else ("min", minutes)
    amount = number(value, 1 if value < 10 else 0)
    return f"{amount}\N{NO-BREAK SPACE}{languages.translate(_UNITS[unit])}"


_UNITS = {"d": Sentence("d"), "h": Sentence("h"), "min": Sentence("min")}


def file_size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in (Sentence("bytes"), "KB", "MB"):
        if size < 1000:
            return f"{number(size, 0)} {languages.translate(unit)}"
        size /= 1000
    return f"{number(size, 1)} GB"


def date_time(at: datetime) -> str:
    """Returns a time to the minute; a script turns it into the reader's time zone."""
    language = languages.current_language()
    pattern = "yyyy-MM-dd HH:mm" if language == languages.SOURCE_LANGUAGE else "short"
    return format_datetime(at, pattern, tzinfo=at.tzinfo, locale=language)


def day(at: datetime) -> str:
    """Returns the day of a time, in UTC."""
    language = languages.current_language()
    pattern = "yyyy-MM-dd" if language == languages.SOURCE_LANGUAGE else "short"
    return format_date(at.astimezone(UTC), pattern, locale=language)


def say(text: str, /, **parts: object) -> Markup:
    """Returns a text of ours in the language of the page; what people wrote is escaped and put in.

    A page says some fifty, mostly without parts: those are made once.
    """
    language = languages.current_language()
    return _fill(languages.gettext(text), parts) if parts else _said(language, text)


@lru_cache(maxsize=4096)
def _said(language: str, text: str) -> Markup:
    with languages.speaking(language):
        return _fill(languages.gettext(text), {})


def say_counted(one: str, many: str, n: int, /, **parts: object) -> Markup:
    """Returns a text about a number of things, in the form for that number; all whole numbers in it
    are written with their groups.
    """
    written_parts = {
        name: number(part, 0) if type(part) is int else part for name, part in parts.items()
    }
    return _fill(languages.ngettext(one, many, n), written_parts)


def _fill(text: str, parts: Mapping[str, object]) -> Markup:
    # Catalogues hold our own texts only.
    return Markup(text % {name: escape(part) for name, part in parts.items()})  # noqa: S704


# --- Pieces of pages that are rendered once per process ---------------------------------------


def piece(name: str, /, **values: Hashable) -> Markup:
    """Returns a part of a page that depends on its language and on these values alone.

    It is rendered once for each of them: most of the page around an item is the same for all items
    and all people, and is asked for with every answer.
    """
    return _rendered(name, languages.current_language(), site_path(), tuple(values.items()))


def piece_with_id(name: str, id_: int, /, **values: Hashable) -> Markup:
    """Returns such a part with an id in it, for which the template says `id`."""
    html = str(piece(name, id=_ID, **values))
    return Markup(html.replace(_ID, str(id_)))  # noqa: S704 - rendered, and a whole number


_ID = "\ue000"
"""Stands for the id until there is one: for private use, so no text of ours contains it."""


@lru_cache(maxsize=1024)
def _rendered(
    name: str,
    language: str,
    site: str,  # noqa: ARG001 - part of the cache key
    values: tuple[tuple[str, Hashable], ...],
) -> Markup:
    with languages.speaking(language):
        # Templates escape what they are given.
        return Markup(get_templates().env.get_template(name).render(dict(values)))  # noqa: S704


ENUMS = (
    *(Decision, Job, JudgementStatus, PracticeMode, Role),
    *(RoundItemState, RoundStatus, RunStatus, Split, UserKind),
)
"""Templates compare with members of these, never with the texts that they stand for."""


def make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # "newstyle": a text and its parts come as arguments, and every % of the text is doubled.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(
        _=say,
        gettext=say,
        ngettext=say_counted,
        piece=piece,
        piece_with_id=piece_with_id,
        address=address,
        own_path=own_path,
        site_path=site_path,
        static_url=static_url,
        image_url=image_url,
        current_language=languages.current_language,
        language_names=languages.LANGUAGE_NAMES,
        script_texts=languages.script_texts,
        **{enum.__name__: enum for enum in ENUMS},
    )
    environment.filters.update(
        percent=percent,
        number=number,
        ago=ago,
        duration=duration,
        work_time=work_time,
        file_size=file_size,
        capital=capital,
        date_time=date_time,
        day=day,
        significant=significant,
        signed=signed,
        written=written,
        translated=languages.translate,
        labelled=label,
    )
    return environment


@lru_cache
def get_templates() -> Jinja2Templates:
    return Jinja2Templates(env=make_environment())
