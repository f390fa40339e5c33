"""Streams that never make us wait for whoever should read them.

A pipe holds 64 kB. When the program at its other end does not read, whoever writes is stopped in
the middle of a line, and with it the requests of a web process or the supervision of all others. A
log is not worth that: what nobody reads is left out, and counted.
"""

import io
import os
import select
import socket
import stat
import threading
from contextlib import suppress
from typing import TextIO

PATIENCE_SECONDS = 0.2
"""How long a reader may take once; while it reads nothing it is not waited for again."""
_ATOMIC = select.PIPE_BUF


class Unblocked(io.TextIOBase):
    """Writes text to an open pipe, terminal or socket, and leaves out what finds no room."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._encoding = encoding
        self._is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        self._descriptor = descriptor if self._is_socket else _reopen(descriptor)
        self._socket = socket.socket(fileno=os.dup(descriptor)) if self._is_socket else None
        self._lock = threading.Lock()
        self._rest = b""  # of a line that was begun: the next one must not end it
        self._is_stuck = False
        self._n_left_out = 0
        # A child that is forked while somebody writes would wait for ever.
        os.register_at_fork(after_in_child=self._renew_lock)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return not self._is_socket and os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Take the text as a whole or leave it out. Raises OSError when the other end is closed."""
        with self._lock:
            content = text.encode(self._encoding, errors="backslashreplace")
            if self._n_left_out:
                left_out = f"({self._n_left_out} pieces of output were left out: nobody read)\n"
                if not self._put(left_out.encode()):
                    self._n_left_out += 1
                    return len(text)
                self._n_left_out = 0
            if not self._put(content):
                self._n_left_out += 1
        return len(text)

    def _put(self, content: bytes) -> bool:
        """Whether the content was taken; the end of it may wait here for room."""
        if self._rest and not self._flush_rest():
            return False
        n_written = self._push(content)
        self._rest = content[n_written:] if n_written else b""
        return n_written > 0 or not content

    def _flush_rest(self) -> bool:
        self._rest = self._rest[self._push(self._rest) :]
        return not self._rest

    def _push(self, content: bytes) -> int:
        """Write as much as finds room; how much."""
        n_written = 0
        while n_written < len(content) and self._has_room():
            try:
                n_written += self._write_some(content[n_written : n_written + _ATOMIC])
            except BlockingIOError:
                self._is_stuck = True
                break
        return n_written

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        found = bool(poll.poll(0 if self._is_stuck else PATIENCE_SECONDS * 1000))
        self._is_stuck = not found
        return found

    def _write_some(self, content: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(content, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, content)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


def _reopen(descriptor: int) -> int:
    """Returns the pipe or terminal opened a second time, so that a write returns at once.

    The mark lies on the open file, which others share: they must not find it on theirs. Where it
    cannot be opened anew, asking for room before each small write does nearly the same.
    """
    with suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return descriptor


def unblocked(stream: TextIO) -> TextIO:
    """Returns a stream to the same place that never waits; files, which never do, as they are."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):
        return stream
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)):
        return stream
    return Unblocked(descriptor, stream.encoding or "utf-8")  # type: ignore[return-value]
