"""Helpers that all commands use: output, a database session, and look-ups by name."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from app.kit.errors import SetupError
from app.kit.logs import in_writing
from app.kit.settings import SERVICES_FILE, get_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.models import Project


class Printed(Console):
    """Shows texts as they are: brackets are no markup, and nothing in them acts on the terminal."""

    def __init__(self, *, width: int | None) -> None:
        super().__init__(width=width, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(in_writing(text), **options)


is_terminal = sys.stdout is not None and sys.stdout.isatty()
"""False also where the output is closed."""

console = Printed(width=None if is_terminal else 120)
"""For people. In a file or a pipe lines may be wider than a small terminal. Commands with --json
print only JSON to the standard output."""


def emphasised(text: str) -> Text:
    """Returns the text in bold, for the one word of a line that matters most."""
    return Text(in_writing(text), style="bold")


def print_json(data: Any) -> None:
    """Prints a value as JSON, with letters as they are where the output can hold them."""
    if sys.stdout is None:
        return
    is_unicode = sys.stdout.encoding.lower().startswith("utf")
    text = json.dumps(data, indent=2, default=str, ensure_ascii=not is_unicode)
    sys.stdout.write(in_writing(text) + "\n")


@contextmanager
def running_services() -> Iterator[None]:
    """The services of the settings, those of a running `illume up`, or our own for the block."""
    settings = get_settings()
    with ExitStack() as stack:
        if settings.is_embedded and not _are_running():
            from app.embedded import embedded_services
            from app.kit import db
            from app.kit.schema_upgrade import migrate

            stack.enter_context(
                embedded_services(
                    settings.illume_home,
                    with_postgres=settings.database_url is None,
                    with_redis=settings.redis_url is None,
                )
            )
            migrate()
            stack.callback(db.forget_engine)
        yield


def _are_running() -> bool:
    """Whether the embedded services of this home answer; a crash may have left their file."""
    settings = get_settings()
    if not (settings.illume_home / SERVICES_FILE).exists():
        return False
    import redis

    try:
        broker = redis.Redis.from_url(settings.resolve_redis_url(), socket_connect_timeout=1)
        broker.ping()
        broker.close()
    except (redis.RedisError, SetupError):
        return False
    return True


def get_project(session: "Session", slug: str) -> "Project":
    from app.queries.projects.projects import find_project

    project = find_project(session, slug)
    if project is None:
        raise SetupError(
            f"There is no project `{slug}`. `illume project list` shows the projects, "
            "`illume project create` makes one."
        )
    return project
