"""Whether this installation can do its work right now: database, broker, schema."""

from collections.abc import Callable
from functools import lru_cache

from alembic.config import Config
from alembic.script import ScriptDirectory
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db import get_engine
from app.errors import SetupError
from app.resources import MIGRATIONS
from app.settings import get_settings


def check_readiness() -> dict[str, str]:
    """Each part with `ok` or a sentence that says what is wrong."""
    parts: dict[str, Callable[[], str]] = {
        "database": _check_database,
        "redis": _check_redis,
        "migrations": _check_migrations,
    }
    return {name: check() for name, check in parts.items()}


def _check_database() -> str:
    try:
        with get_engine().connect() as connection:
            connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, SetupError):
        return "The database cannot be reached."
    return "ok"


def _check_redis() -> str:
    try:
        with Redis.from_url(
            get_settings().resolve_redis_url(), socket_connect_timeout=2, socket_timeout=2
        ) as redis:
            redis.ping()
    except (RedisError, SetupError):
        return "Redis cannot be reached."
    return "ok"


def _check_migrations() -> str:
    try:
        with get_engine().connect() as connection:
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (SQLAlchemyError, SetupError):
        return "The schema is not there. Run `illume migrate`."
    if current != newest_migration():
        return f"The schema is at {current}, not at {newest_migration()}. Run `illume migrate`."
    return "ok"


@lru_cache
def newest_migration() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()
