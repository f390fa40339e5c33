"""Explains errors of the database and of Redis to somebody at the command line."""

import psycopg
from sqlalchemy.exc import DBAPIError

from app.kit.outages import is_one_of

_NO_SUCH_TABLE_OR_COLUMN = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)


def explain(error: Exception) -> str | None:
    """Returns a sentence that says what to do, or nothing for an error that is our own mistake."""
    if isinstance(error, UnicodeEncodeError):
        # Half a character on the command line: a terminal and its locale disagree.
        return "a word of the command is not valid UTF-8. Write it anew."
    cause = (error.orig if isinstance(error, DBAPIError) else None) or error
    if isinstance(cause, _NO_SUCH_TABLE_OR_COLUMN):
        return "The database is not at this version's schema. Run: illume migrate"
    if isinstance(cause, psycopg.errors.NumericValueOutOfRange):
        return "A number is too large for anything that is stored here. Correct it."
    if isinstance(cause, psycopg.OperationalError):
        return (
            f"The database does not answer as it should ({_first_line(cause)}). Start it, or "
            "correct DATABASE_URL; `illume check` says more."
        )
    if is_one_of(cause, {"redis.exceptions.RedisError"}):
        return (
            f"Redis does not answer ({_first_line(cause)}). Start it, or correct REDIS_URL; "
            "`illume check` says more."
        )
    return None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
