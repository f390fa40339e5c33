"""Tells errors of a service that is away for a while from faults of ours, and explains them.

Sending the same again helps against these, and against no other error: all others are ours.
"""

import errno
from collections.abc import Collection, Iterator
from typing import Literal

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from app.kit.errors import AppError
from app.kit.sentences import Sentence

Cause = Literal["database", "disk", "read-only", "busy", "crowd", "redis"]

SENTENCES: dict[Cause, Sentence] = {
    "database": Sentence("The database cannot be reached at the moment."),
    "disk": Sentence("The server cannot store anything at the moment: its disk is full."),
    "read-only": Sentence("The server cannot store anything at the moment: it may only be read."),
    "busy": Sentence("Somebody else is changing the same at this moment."),
    "crowd": Sentence("More people are at work than the server keeps up with at the moment."),
    "redis": Sentence("A part of the server (Redis) cannot be reached at the moment."),
}

RETRY_SECONDS = 5
"""When to come again; nobody needs to know it more exactly."""

# By their names: whoever raises one has loaded what it is of, and nobody else needs to.
_OF_REDIS = frozenset(
    {
        "kombu.exceptions.OperationalError",
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
    }
)

# SQLSTATE codes, and classes of them (their first two characters).
_CODES: dict[str, Cause] = {
    "25006": "read-only",  # read_only_sql_transaction
    "25P03": "database",  # idle_in_transaction_session_timeout
    "25P04": "database",  # transaction_timeout
    "53100": "disk",  # disk_full
    "55P03": "busy",  # lock_not_available
    "57014": "busy",  # query_canceled, by a limit of the server
}
_CLASSES: dict[str, Cause] = {
    "08": "database",  # connection exception
    "40": "busy",  # transaction rollback: deadlock, serialization
    "53": "crowd",  # insufficient resources: connections, memory
    "57": "database",  # operator intervention: stopping, starting
    "58": "database",  # system error, of the server's own files
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Outage(AppError):
    """Something that is needed is away for a while; the same request is worth sending again."""

    status_code = 503
    code = "service.away"

    def __init__(self, cause: Cause) -> None:
        super().__init__(SENTENCES[cause])
        self.cause = cause


def find_outage(error: BaseException) -> Outage | None:
    """Returns the outage behind an error, or None where the error is a fault of the program.

    SQLAlchemy may complain of a lost connection a second time, while the first error is dealt with.
    """
    for one in _with_causes(error):
        if isinstance(one, Outage):
            return one
        if cause := _cause_of(one):
            return Outage(cause)
        if not isinstance(one, SQLAlchemyError | AppError):
            return None
    return None


def is_one_of(error: BaseException, names: Collection[str]) -> bool:
    """Whether an error is of one of the classes with these full names."""
    kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return any(kind in names for kind in kinds)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _cause_of(error: BaseException) -> Cause | None:
    if isinstance(error, NoFreeConnection):
        return "crowd"
    if isinstance(error, DBAPIError):
        return _cause_in_database(error.orig, is_cut=error.connection_invalidated)
    if isinstance(error, psycopg.Error):
        return _cause_in_database(error, is_cut=False)
    if is_one_of(error, _OF_REDIS):
        return "redis"
    if isinstance(error, OSError):
        return cause_of_refused_write(error)
    return None


def _cause_in_database(error: BaseException | None, *, is_cut: bool) -> Cause | None:
    code = getattr(error, "sqlstate", None)
    if code is None:
        return "database" if is_cut or isinstance(error, psycopg.OperationalError) else None
    return _CODES.get(code) or _CLASSES.get(code[:2]) or ("database" if is_cut else None)


def cause_of_refused_write(error: OSError) -> Cause | None:
    """Returns `disk` or `read-only`, where that is why a file could not be written."""
    if error.errno in _FULL:
        return "disk"
    return "read-only" if error.errno == errno.EROFS else None
