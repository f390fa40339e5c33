"""Bringing the database to the newest schema, from wherever the program is installed."""

from alembic import command
from alembic.config import Config

from app.kit.resources import MIGRATIONS


def migrate() -> None:
    """Run what is missing; one process at a time, the others wait (migrations/env.py)."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
