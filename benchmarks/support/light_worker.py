"""The light worker and the clock of a benchmark, and looks into its database."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text


class Workers:
    """The light worker and the clock, started as the supervisor does, and started again."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home, self._stack = home, stack
        self.peak_mb = 0.0

    def start_worker(self) -> None:
        from app.supervisor.commands import worker_command

        self._stack.enter_context(_running(worker_command(["cpu"]), self._home / "worker.log"))

    def start_clock(self) -> None:
        from app.supervisor.commands import beat_command

        self._stack.enter_context(_running(beat_command(self._home), self._home / "beat.log"))

    def log(self) -> str:
        """Returns the end of what the worker printed."""
        return (self._home / "worker.log").read_text(errors="replace")[-3000:]

    def kill(self, pid: int) -> None:
        """Kill the process that does the work; its parent starts another."""
        self.peak_mb = max(self.peak_mb, peak_mb(pid))
        os.kill(pid, signal.SIGKILL)


def start_light_worker(home: Path, stack: ExitStack) -> Workers:
    workers = Workers(home, stack)
    workers.start_worker()
    workers.start_clock()
    _wait_for_worker()
    return workers


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    from app.kit.processes.children import start_process, stop_process

    with log.open("ab") as output:
        process = start_process(tuple(command), output=output)
    try:
        yield process
    finally:
        stop_process(process, (signal.SIGTERM, 10.0), (signal.SIGQUIT, 5.0))


def ask(statement: str, **values: object) -> list[tuple[Any, ...]]:
    from app.kit.db import get_engine

    with get_engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def worker_pids() -> list[int]:
    return [int(str(pid)) for (pid,) in ask("SELECT pid FROM worker WHERE queues @> '[\"cpu\"]'")]


def _wait_for_worker() -> None:
    deadline = time.monotonic() + 60
    while not worker_pids():
        assert time.monotonic() < deadline, "the worker did not come"
        time.sleep(0.2)


def peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
