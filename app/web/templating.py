"""The Jinja environment: strict about missing names, escaping everything."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.templating import Jinja2Templates

from app.resources import TEMPLATES
from app.web import languages
from app.web.bundles import changed_at, read_static
from app.web.labels import label


def static_url(name: str) -> str:
    """Address of a static file that changes with its content, so that it can be cached for ever."""
    return f"/static/{name}?v={_version(name, changed_at(name))}"


@lru_cache(maxsize=256)
def _version(name: str, written_at: int) -> str:  # noqa: ARG001 - part of the cache key
    return hashlib.sha256(read_static(name)).hexdigest()[:12]


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value * 100:.{digits}f} %"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def count_of(value: int, one: str, many: str | None = None) -> str:
    """`1 item`, `2 items`, `1,200 items`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def ago(at: datetime | None) -> str:
    """How long ago, in the one unit that says most."""
    return "never" if at is None else f"{duration(datetime.now(UTC) - at)} ago"


def duration(span: timedelta | float | None) -> str:
    if span is None:
        return "–"
    seconds = max(0.0, span.total_seconds() if isinstance(span, timedelta) else span)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def file_size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def say(text: str, /, **parts: object) -> Markup:
    """A text of ours in the language of the page; what people wrote is escaped and put in.

    A page says some fifty, mostly without parts: those are made once.
    """
    language = languages.current_language()
    return _fill(languages.gettext(text), parts) if parts else _said(language, text)


@lru_cache(maxsize=4096)
def _said(language: str, text: str) -> Markup:
    with languages.speaking(language):
        return _fill(languages.gettext(text), {})


def say_counted(one: str, many: str, n: int, /, **parts: object) -> Markup:
    return _fill(languages.ngettext(one, many, n), parts)


def _fill(text: str, parts: Mapping[str, object]) -> Markup:
    # Catalogues hold our own texts only.
    return Markup(text % {name: escape(part) for name, part in parts.items()})  # noqa: S704


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
        static_url=static_url,
        current_language=languages.current_language,
        script_texts=languages.script_texts,
    )
    environment.filters.update(
        percent=percent,
        number=number,
        count_of=count_of,
        ago=ago,
        duration=duration,
        file_size=file_size,
        translated=languages.translate,
        labelled=label,
    )
    return environment


@lru_cache
def get_templates() -> Jinja2Templates:
    return Jinja2Templates(env=make_environment())
