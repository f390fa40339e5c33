"""Real Celery worker processes on the test's own PostgreSQL and Redis."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.kit.processes.children import start_process, stop_process
from app.lifecycle import CLOSED_ROUND
from app.models import Round, Run, Worker

T = TypeVar("T")

STOP_STEPS = ((signal.SIGTERM, 10.0), (signal.SIGQUIT, 5.0))


class Processes:
    """Started processes by name; what they print goes to a file each, shown when a test fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """`python -m app.cli ARGUMENTS`, as the supervisor starts it."""
        log = self._folder / f"{len(self._running)}-{'-'.join(arguments)}.log"
        with log.open("wb") as output:
            process = start_process(
                (sys.executable, "-m", "app.cli", *arguments),
                env={**os.environ, "TORCH_THREADS": "1", **environment},
                output=output,
            )
        self._running.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self._folder.glob("*.log"))
        )

    def stop(self) -> None:
        """End all at once: each takes seconds to finish what it does."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda process: stop_process(process, *STOP_STEPS), self._running))


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    try:
        yield started
    finally:
        started.stop()


def wait_for(
    what: Callable[[], T | None], *, seconds: float, describe: Callable[[], str], every: float = 0.1
) -> T:
    """Poll until `what` gives something true; fail with a description otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"nothing after {seconds} s: {describe()}")


def wait_until_closed(
    database: sessionmaker[Session], round_id: int, running: Processes, *, seconds: float
) -> Round:
    def closed() -> Round | None:
        with database() as session:
            round_ = session.get_one(Round, round_id)
            return round_ if round_.status in CLOSED_ROUND else None

    def describe() -> str:
        with database() as session:
            runs = session.scalars(select(Run).order_by(Run.id)).all()
            rows = [f"{run.job} {run.status} {run.attempt} {run.error}" for run in runs]
            round_ = session.get_one(Round, round_id)
        return f"round is {round_.status}; runs: {rows}\n{running.logs()}"

    return wait_for(closed, seconds=seconds, describe=describe)


def pids_of_workers(database: sessionmaker[Session], queue: str) -> list[int]:
    with database() as session:
        workers = session.scalars(select(Worker).order_by(Worker.id)).all()
    return [worker.pid for worker in workers if queue in worker.queues]


@contextmanager
def holding(database: sessionmaker[Session], statement: str) -> Iterator[None]:
    """Hold the locks of a statement for the length of the block."""
    with database() as session:
        session.execute(text(statement))
        yield
        session.rollback()


def somebody_waits_for(database: sessionmaker[Session], query: str) -> Callable[[], bool]:
    def waits() -> bool:
        with database() as session:
            return bool(
                session.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE wait_event_type = 'Lock' AND query ILIKE :query"
                    ),
                    {"query": query},
                )
            )

    return waits


def kill_model_worker(database: sessionmaker[Session]) -> None:
    for pid in pids_of_workers(database, "gpu"):
        os.kill(pid, signal.SIGKILL)
