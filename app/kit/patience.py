"""Limits how long a request waits for the database. Workers and commands wait without limit.

A server that was stopped, or lies behind a dead network, answers nothing and closes nothing:
neither a limit of the server nor one of the operating system ends such a wait (a socket file has
none). So the wait itself ends, in psycopg's own loop, and the connection is closed.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg

Value = TypeVar("Value")

CONNECT_SECONDS = 3
"""A connection that takes longer is given up."""
DOUBT_SECONDS = 3.0
"""A statement that takes longer is slow, or the server is away: then it is asked which."""
LONGEST_SECONDS = 60.0
"""No statement of a request takes longer, whatever the server says."""
PAUSE_SECONDS = 0.5
"""Between two looks at a server that is away."""

_is_hurried: ContextVar[bool] = ContextVar("is_hurried", default=False)


@contextmanager
def hurried() -> Iterator[None]:
    """Lets nobody wait within the block for a database that is away: a person waits for
    the answer.
    """
    token = _is_hurried.set(True)
    try:
        yield
    finally:
        _is_hurried.reset(token)


class Away(psycopg.OperationalError):
    """The database did not answer in time, or is known to be away; nothing was asked of it."""


class Gate:
    """Remembers whether one database answers, for all threads of a process.

    Once it does not, one request looks again now and then, and all others are told at once: nobody
    queues behind a server that is not there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._is_away = False
        self._next_look = 0.0
        self._asked_at = float("-inf")

    def connect(self, make: Callable[..., Value], **parameters: Any) -> Value:
        """Return what `make` connects to; raises Away, or the error of the connection."""
        if not _is_hurried.get():
            return make(**parameters)
        self._pass()
        try:
            connection = make(**{**parameters, "connect_timeout": CONNECT_SECONDS})
        except psycopg.OperationalError:
            self._note(is_away=True)
            raise
        self._note(is_away=False)
        return connection

    def is_answering(self, ask: Callable[[], object]) -> bool:
        """Whether a new connection comes about; those who doubt at the same time ask once."""
        doubted_at = time.monotonic()
        with self._asking:
            if self._asked_at < doubted_at:
                try:
                    ask()
                except psycopg.OperationalError:
                    self._note(is_away=True)
                else:
                    self._note(is_away=False)
                self._asked_at = time.monotonic()
            return not self._is_away

    def _pass(self) -> None:
        with self._lock:
            if not self._is_away:
                return
            now = time.monotonic()
            if now < self._next_look:
                raise Away("the database did not answer a moment ago")
            # We look; until we know, the others need not.
            self._next_look = now + CONNECT_SECONDS + PAUSE_SECONDS

    def _note(self, *, is_away: bool) -> None:
        with self._lock:
            self._is_away = is_away
            self._next_look = time.monotonic() + PAUSE_SECONDS


class Connection(psycopg.Connection[Any]):
    """Gives up a statement of a request when the server turns out to be away.

    A connection that was given up is closed: its answer may still come, and must not be taken for
    that of another statement.
    """

    gate: Gate
    parameters: Mapping[str, Any]

    @classmethod
    def through(cls, gate: Gate, parameters: Mapping[str, Any]) -> "Connection":
        connection = gate.connect(cls.connect, **parameters)
        connection.gate = gate
        connection.parameters = parameters
        return connection

    def wait(
        self,
        gen: Generator[Any, Any, Value],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> Value:
        watched = self._watch(gen) if _is_hurried.get() else gen
        try:
            if timeout is None:
                return super().wait(watched, interval)
            return super().wait(watched, interval, timeout)
        except Away:
            self.pgconn.finish()
            raise

    def _watch(self, gen: Generator[Any, Any, Value]) -> Generator[Any, Any, Value]:
        """Pass everything on; look at the clock when nothing came for an interval."""
        begun = doubted_at = time.monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                if not ready:
                    now = time.monotonic()
                    if now - doubted_at > DOUBT_SECONDS:
                        if now - begun > LONGEST_SECONDS or not self._is_answering():
                            raise Away("the database does not answer")
                        doubted_at = time.monotonic()
                state = gen.send(ready)
        except StopIteration as end:
            value: Value = end.value
            return value

    def _is_answering(self) -> bool:
        def ask() -> None:
            known = {**self.parameters, "connect_timeout": CONNECT_SECONDS}
            psycopg.Connection.connect(**known).close()

        return self.gate.is_answering(ask)
