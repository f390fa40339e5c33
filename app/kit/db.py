"""Engine, sessions and the only commit of the application.

Messages for workers leave after the commit: `on_commit` collects callbacks on the session, and they
run once the outermost transaction is in the database and the connection is given back, so that a
broker that is slow or away holds nothing. Releasing a savepoint does not count, a rollback forgets
them, and a callback that fails is logged and swallowed: the row is already the truth and the sweep
sends the message again.
"""

import logging
import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from app.kit.patience import Connection, Gate
from app.kit.settings import get_settings

logger = logging.getLogger(__name__)

_CALLBACKS = "after_commit_callbacks"
_MARKS = "callbacks_before_savepoint"
_KEPT = "callbacks_of_commits"

Callback = Callable[[], Any]


@lru_cache
def get_engine() -> Engine:
    """Returns the engine, with one pool per process: it hands out the connection used last, whose
    server knows the statements.
    """
    engine = create_engine(
        get_settings().resolve_database_url(),
        pool_use_lifo=True,
        pool_size=10,
        max_overflow=20,
        pool_timeout=5,
        # An error names the statement; what people wrote stays out of the log.
        hide_parameters=True,
        connect_args={
            "application_name": "illume",
            "options": (
                "-c timezone=UTC -c lock_timeout=8000"
                " -c idle_in_transaction_session_timeout=120000"
                # What is read lies in memory or on an SSD. The default, for turning disks, makes
                # the server sort a queue of a thousand items for every one that it hands out.
                " -c random_page_cost=1.1"
            ),
        },
    )
    event.listen(engine, "checkout", _refuse_closed)
    gate = Gate()

    def connect(_dialect: object, _record: object, _: object, parameters: dict[str, Any]) -> object:
        connection = Connection.through(gate, parameters)
        connection.cursor_factory = _Cursor
        return connection

    event.listen(engine, "do_connect", connect)
    return engine


class _Cursor(psycopg.Cursor[Any]):
    """Says of the columns of an answer their names and types alone, all that SQLAlchemy asks of it.

    The gates of judging read some eighty columns; a whole description of each costs the process
    more than their values do.
    """

    @property
    def description(self) -> Any:
        found = self.pgresult
        if found is None or not (found.nfields or found.status == ExecStatus.TUPLES_OK):
            return None
        return [
            ((found.fname(index) or b"").decode(), found.ftype(index))
            for index in range(found.nfields)
        ]


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Hide a database that was restarted underneath: the pool connects again.

    On a connection at rest there is nothing to read, unless the server has closed it. Asking the
    operating system costs a hundredth of asking the server (`pool_pre_ping`).
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server has closed this connection")


@lru_cache
def get_session_factory() -> sessionmaker[Session]:
    return sessionmaker(get_engine(), expire_on_commit=False)


@contextmanager
def session_scope() -> Iterator[Session]:
    """Opens a session for one unit of work: commits when the block ends, rolls back
    when it raises.
    """
    with get_session_factory()() as session:
        kept = _keep_callbacks(session)
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
    run_callbacks(kept)


def finish(session: Session, is_done: bool) -> list[Callback]:
    """End a unit of work that was begun elsewhere: commit it, or roll it back if it is not done.

    Returns what is to be done after the commit, for `run_callbacks`.
    """
    kept = _keep_callbacks(session)
    with session:
        if is_done:
            session.commit()
    return kept


def pause(session: Session) -> None:
    """Keep what was done so far and give the connection back; the next statement takes one."""
    session.commit()


def on_commit(session: Session, callback: Callback) -> None:
    """Run `callback` once the current outermost transaction has been committed."""
    session.info.setdefault(_CALLBACKS, []).append(callback)


def run_callbacks(callbacks: Iterable[Callback]) -> None:
    """Run each; one that fails is logged, and holds back none of the others."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            # The commit has happened: a failing broker must not turn it into an error.
            logger.exception("after-commit callback failed; the sweep will make up for it")


def _keep_callbacks(session: Session) -> list[Callback]:
    """Let commits of this session only collect their callbacks, in the list that is returned."""
    kept: list[Callback] = session.info.setdefault(_KEPT, [])
    return kept


@event.listens_for(Session, "after_transaction_create")
def _mark_savepoint(session: Session, transaction: SessionTransaction) -> None:
    """Remember how many callbacks there were when a savepoint began."""
    if transaction.nested:
        n_callbacks = len(session.info.get(_CALLBACKS, []))
        session.info.setdefault(_MARKS, {})[id(transaction)] = n_callbacks


@event.listens_for(Session, "after_commit")
def _take_callbacks(session: Session) -> None:
    """Keep what is to be done now for who ends the unit of work; without anybody, do it here."""
    if session.in_nested_transaction():
        return
    session.info.pop(_MARKS, None)
    callbacks = session.info.pop(_CALLBACKS, [])
    if _KEPT in session.info:
        session.info[_KEPT].extend(callbacks)
    else:
        run_callbacks(callbacks)


@event.listens_for(Session, "after_soft_rollback")
def _forget_callbacks(session: Session, previous_transaction: SessionTransaction) -> None:
    """Forget what was asked for since the savepoint began, inner savepoints included, or all."""
    if previous_transaction.nested:
        n_kept = session.info.get(_MARKS, {}).pop(id(previous_transaction), None)
        if n_kept is not None:
            del session.info.get(_CALLBACKS, [])[n_kept:]
    elif previous_transaction.parent is None:
        session.info.pop(_CALLBACKS, None)
        session.info.pop(_MARKS, None)
    # Else a flush failed: the savepoint or transaction around it is rolled back next, and tells.


def dispose_engine() -> None:
    """Close all connections; a forked worker child starts with a pool of its own."""
    if get_engine.cache_info().currsize:
        get_engine().dispose(close=False)


def forget_engine() -> None:
    """Close all connections and make a new engine when next asked: the settings have changed."""
    if get_engine.cache_info().currsize:
        get_engine().dispose()
    get_engine.cache_clear()
    get_session_factory.cache_clear()
