"""Bringing the database to the newest schema, from wherever the program is installed.

Alembic is loaded by whoever migrates. Which migrations there are is asked by every web process and
by many commands: that is read in their files.
"""

import re
from functools import lru_cache

from app.kit.resources import MIGRATIONS

_REVISION = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)
_DOWN_REVISION = re.compile(r'^down_revision = "(\w+)"$', re.MULTILINE)


def migrate() -> None:
    """Run what is missing; one process at a time, the others wait (migrations/env.py)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


@lru_cache
def list_migrations() -> frozenset[str]:
    """Returns the revisions of all migrations."""
    return frozenset(_find_all(_REVISION))


@lru_cache
def newest_migration() -> str:
    """Returns the revision that no other migration builds on."""
    (newest,) = list_migrations().difference(_find_all(_DOWN_REVISION))
    return newest


def _find_all(pattern: re.Pattern[str]) -> list[str]:
    files = sorted((MIGRATIONS / "versions").glob("*.py"))
    return [found for file in files for found in pattern.findall(file.read_text(encoding="utf-8"))]
