"""Whether this installation can do its work right now: database, broker, schema, store.

Able to read is not enough: a disk that is full, or a database that may only be read, would let
people work and lose what they did. So the database and the store are asked to write.
"""

from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.kit.db import session_scope
from app.kit.errors import SetupError
from app.kit.outages import cause_of_refused_write, find_outage
from app.kit.schema_upgrade import newest_migration
from app.kit.settings import get_settings
from app.kit.storage import try_writing as try_store
from app.queries.operation.readiness import find_migration, try_writing

AWAY = "The database cannot be reached."
REDIS_SECONDS = 1


def check_readiness() -> dict[str, str]:
    """Returns each part of the installation with `ok`, or with a sentence that says
    what is wrong.
    """
    parts: dict[str, Callable[[], str]] = {
        "store": _check_store,
        "redis": _check_redis,
        "database": _check_database,
    }
    found = {name: check() for name, check in parts.items()}
    is_there = found["database"] != AWAY
    found["migrations"] = _check_migrations() if is_there else "Not known without the database."
    return found


def _check_database() -> str:
    try:
        with session_scope() as session:
            may_write = try_writing(session)
    except (SQLAlchemyError, SetupError) as error:
        outage = find_outage(error)
        if outage is not None and outage.cause == "disk":
            return "The database cannot store anything: its disk is full."
        return AWAY
    return "ok" if may_write else "The database cannot store anything: it may only be read."


def _check_store() -> str:
    try:
        try_store()
    except OSError as error:
        cause = cause_of_refused_write(error)
        reason = "its disk is full" if cause == "disk" else error.strerror
        return f"The store cannot be written: {reason}."
    return "ok"


def _check_redis() -> str:
    try:
        with Redis.from_url(
            get_settings().resolve_redis_url(),
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
        ) as redis:
            redis.ping()
    except (RedisError, SetupError):
        return "Redis cannot be reached."
    return "ok"


def _check_migrations() -> str:
    try:
        with session_scope() as session:
            current = find_migration(session)
    except (SQLAlchemyError, SetupError):
        return "The schema is not there. Run `illume migrate`."
    if current != newest_migration():
        return f"The schema is at {current}, not at {newest_migration()}. Run `illume migrate`."
    return "ok"
