"""The sign of life of a worker process: one thread that says who is here and what it holds.

When the database answers that a run or shard is held by somebody else, or was cancelled, `lost`
is set; the stage looks at it at every step and stops.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import InterfaceError, OperationalError

from app.kit.db import session_scope
from app.kit.errors import LostRun
from app.kit.settings import get_settings
from app.run_results import StoredJson
from app.services.runs import runs
from worker.host.pace import Pace

logger = logging.getLogger(__name__)


Memory = tuple[int | None, int | None]


class Heart:
    """Registers this process as a worker and keeps its rows fresh. `read_memory`: bytes in use, and
    of how many."""

    def __init__(
        self,
        queues: Sequence[str],
        device: str,
        read_memory: Callable[[], Memory] = lambda: (None, None),
    ) -> None:
        self.queues = tuple(queues)
        self.device = device
        self.pace = Pace()
        self._read_memory = read_memory
        self.name = f"{socket.gethostname()}:{'+'.join(self.queues)}:{os.getpid()}"
        self.worker_id: int | None = None
        self.lost = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._run: tuple[int, int] | None = None
        self._shard: tuple[int, int, int] | None = None
        self._progress: StoredJson | None = None

    def start(self) -> None:
        self.beat()
        threading.Thread(target=self._beat_for_ever, name="heart", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    @contextmanager
    def holding_run(self, run_id: int, attempt: int) -> Iterator[None]:
        """Hold an exclusive run for as long as the block lasts."""
        yield from self._hold(run=(run_id, attempt))

    @contextmanager
    def holding_shard(self, run_id: int, shard_id: int, attempt: int) -> Iterator[None]:
        yield from self._hold(shard=(run_id, shard_id, attempt))

    def report(self, progress: StoredJson) -> None:
        """Keeps the progress of the run that is held, to be written with the next beat."""
        with self._lock:
            self._progress = progress

    def beat(self) -> None:
        """Say once that this process lives. Never raises: the next beat tries again."""
        with self._lock:
            run, shard, progress = self._run, self._shard, self._progress
        try:
            with session_scope() as session:
                run_id = run[0] if run else shard[0] if shard else None
                if self.worker_id is None or not runs.hold_worker(
                    session, self.worker_id, run_id, self._figures()
                ):
                    self.worker_id = runs.register_worker(
                        session,
                        name=self.name,
                        pid=os.getpid(),
                        device=self.device,
                        queues=self.queues,
                    )
                if run:
                    runs.hold_run(session, *run, progress)
                if shard:
                    runs.hold_shard(session, *shard)
        except LostRun as loss:
            with self._lock:
                is_current = (run, shard) == (self._run, self._shard)
            if is_current:
                logger.info("%s", loss.message)  # also said when we have just finished it ourselves
                self.lost.set()
        except (OperationalError, InterfaceError):
            logger.warning("no heartbeat: the database is away")
        except Exception:
            logger.exception("no heartbeat")

    def _figures(self) -> runs.WorkerFigures:
        used, total = self._read_memory()
        return runs.WorkerFigures(used, total, *self.pace.read())

    def _hold(
        self,
        run: tuple[int, int] | None = None,
        shard: tuple[int, int, int] | None = None,
    ) -> Iterator[None]:
        with self._lock:
            self._run, self._shard, self._progress = run, shard, None
            self.lost.clear()
        try:
            yield
        finally:
            with self._lock:
                self._run = self._shard = self._progress = None

    def _beat_for_ever(self) -> None:
        while not self._stop.wait(get_settings().heartbeat_seconds):
            self.beat()
