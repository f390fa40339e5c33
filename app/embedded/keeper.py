"""A thread that starts the servers, starts them again when they die, and stops them at the end.

One thread does all of it because the kernel ties a child to the thread that started it (see
app/kit/processes/children.py): the servers live exactly as long as their keeper.
"""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from app.kit.errors import SetupError
from app.kit.processes.children import describe_exit, stop_process

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.03
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 2.0
# A server that has run this long was well: its next death starts counting from nothing.
SETTLED_SECONDS = 10.0
START_SECONDS = 120.0
FAILED_STARTS = 5

Notify = Callable[[str, str], None]


class Server(Protocol):
    name: str
    log_file: Path
    stop_steps: tuple[tuple[signal.Signals, float], ...]

    def start(self, lock: int) -> subprocess.Popen[bytes]: ...
    def is_ready(self) -> bool: ...


class _Kept:
    """One server and what has happened to it. Only the keeper's thread changes it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.process: subprocess.Popen[bytes] | None = None
        self.next_start = 0.0
        self.started_at = 0.0
        self.pause = FIRST_PAUSE
        self.n_deaths = 0
        self.last_death = ""

    def start(self, lock: int) -> None:
        self.started_at = time.monotonic()
        try:
            self.process = self.server.start(lock)
        except OSError as error:
            self._plan_restart(f"could not be started ({error})")

    def notice_death(self) -> str | None:
        """Returns how the server ended, or None while it runs."""
        if self.process is None or self.process.poll() is None:
            return None
        death = describe_exit(self.process.returncode)
        self.process = None
        self._plan_restart(death)
        return death

    def _plan_restart(self, death: str) -> None:
        now = time.monotonic()
        if now - self.started_at > SETTLED_SECONDS:
            self.pause = FIRST_PAUSE
        self.next_start = now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        self.last_death = death
        self.n_deaths += 1


class Keeper:
    """Keeps servers running from `start` to `stop`."""

    def __init__(self, servers: Sequence[Server], lock: int, notify: Notify) -> None:
        self._kept = [_Kept(server) for server in servers]
        self._lock = lock
        self._notify = notify
        self._stopping = threading.Event()
        # A daemon: a program that ends without `stop` must not wait for it, and takes the servers
        # along by ending the thread.
        self._thread = threading.Thread(target=self._keep, name="embedded-services", daemon=True)

    def start(self) -> None:
        """Start all servers and return once each answers; say why when one does not."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        for kept in self._kept:
            while not kept.server.is_ready():
                if kept.n_deaths >= FAILED_STARTS or time.monotonic() > deadline:
                    raise SetupError(_explain_failure(kept))
                time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def pids(self) -> dict[str, int]:
        """Returns the process numbers of the servers that run at this moment."""
        processes = {kept.server.name: kept.process for kept in self._kept}
        return {name: process.pid for name, process in processes.items() if process is not None}

    def _keep(self) -> None:
        while not self._stopping.is_set():
            for kept in self._kept:
                death = kept.notice_death()
                if death is not None:
                    self._notify(kept.server.name, f"{death}; starting it again")
                if kept.process is None and time.monotonic() >= kept.next_start:
                    kept.start(self._lock)
            self._stopping.wait(POLL_SECONDS)
        for kept in reversed(self._kept):
            if kept.process is not None and not stop_process(kept.process, *kept.server.stop_steps):
                self._notify(kept.server.name, "did not end in time and was killed")


def _explain_failure(kept: _Kept) -> str:
    server = kept.server
    lines = _last_lines(server.log_file)
    reason = f"it {kept.last_death}" if kept.last_death else "it does not answer"
    said = f": {lines[-1]}" if lines else ""
    return (
        f"The embedded {server.name} did not start ({reason}{said}). "
        f"All it said is in {server.log_file}."
    )


def _last_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines()[-20:] if line.strip()]
