"""Runs as rows: request, hold, finish, fail, cancel, and the sweep that finds lost work.

Numbered rules of the race between workers:
1. A worker claims with one conditional UPDATE, which raises `attempt`.
2. Everything it writes carries that attempt; a foreign key refuses an outdated one.
3. Cancelling or failing a run raises the attempts of its open shards, so that whoever still
   works on one finds out at the next heartbeat and cannot write.
"""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.events.base import BaseEvent
from app.events.runs import (
    RunCancelled,
    RunCancelRequested,
    RunEvent,
    RunFailed,
    RunQueued,
    RunStarted,
    RunSucceeded,
)
from app.kit import jobs
from app.kit.errors import InvalidTransition, LostRun
from app.kit.sentences import Sentence, shortened
from app.kit.settings import get_settings
from app.lifecycle import (
    ASIDE,
    LIVE_RUN,
    QUEUES,
    SHARDED,
    Job,
    RunStatus,
    can_advance,
)
from app.models import Run, User
from app.queries.clock import DATABASE_TIME
from app.queries.runs import runs as queries
from app.queries.runs import workers as worker_queries
from app.run_results import Preparation, StoredJson
from app.services.events import record
from app.services.refusals import NothingToRetry, RunLive, RunOver
from app.strategies import get_strategy

logger = logging.getLogger(__name__)

LIVE_WORKER_SECONDS = 30.0
ERROR_LENGTH = 4000

STATUS_EVENTS: Mapping[RunStatus, type[RunEvent]] = {
    RunStatus.QUEUED: RunQueued,
    RunStatus.RUNNING: RunStarted,
    RunStatus.SUCCEEDED: RunSucceeded,
    RunStatus.FAILED: RunFailed,
    RunStatus.CANCELLED: RunCancelled,
}


def stale_after() -> timedelta:
    return timedelta(seconds=get_settings().stale_seconds)


def request_run(
    session: Session,
    *,
    project_id: int,
    job: Job,
    round_id: int | None = None,
    strategy: str | None = None,
    role: str | None = None,
    parameters: dict[str, Any] | None = None,
    item_blocks: Sequence[Sequence[int]] | None = None,
    image_blocks: Sequence[Sequence[str]] = (),
    retry_of: Run | None = None,
    actor: User | None = None,
) -> Run:
    """Add a queued run, its shards where the job has them, and nudge the workers after commit."""
    run = Run(
        project_id=project_id,
        round_id=round_id,
        job=job,
        strategy=strategy,
        role=role,
        status=RunStatus.QUEUED,
        attempt=0,
        parameters=parameters or {},
        retry_of_id=retry_of.id if retry_of else None,
        requested_by_id=actor.id if actor else None,
    )
    if not queries.add_run(session, run):
        raise RunLive(
            Sentence("A %(job)s run of this round is already queued or running.", job=job)
        )
    if job in SHARDED:
        queries.insert_shards(session, run.id, item_blocks or [], image_blocks)
    _tell(session, run, RunQueued(run_id=run.id, job=job, role=_role_of(run)), actor)
    n_workers = count_live_workers(session, job)
    jobs.enqueue(session, job, run.id, max(1, n_workers) if job in SHARDED else 1)
    return run


def _tell(session: Session, run: Run, event: BaseEvent, actor: User | None = None) -> None:
    """Record an event of a run; not of one beside its round, of which there are many."""
    if run.job in ASIDE:
        return
    record(session, event, project_id=run.project_id, round_id=run.round_id, actor=actor)


def _role_of(run: Run) -> str | None:
    """Returns the role that a run is for; None where its strategy has only one."""
    if not run.role or not run.strategy:
        return None
    return run.role if len(get_strategy(run.strategy).roles) > 1 else None


def count_live_workers(session: Session, job: Job) -> int:
    """Returns how many workers that do such a job were heard of lately."""
    return worker_queries.count_live_workers(
        session, QUEUES[job], seen_within=timedelta(seconds=LIVE_WORKER_SECONDS)
    )


def hold_run(session: Session, run_id: int, attempt: int, progress: StoredJson | None) -> None:
    """Notes that an exclusive run is being worked on, with its progress. Raises LostRun when it is
    not ours.
    """
    values: dict[str, Any] = {"heartbeat_at": DATABASE_TIME}
    if progress is not None:
        values["progress"] = progress.dump()
    if not queries.touch_run(session, run_id, attempt=attempt, **values):
        raise LostRun(f"Run {run_id} was taken over, cancelled or finished elsewhere.")


def hold_shard(session: Session, run_id: int, shard_id: int, attempt: int) -> None:
    """Notes that a shard and its run are being worked on. Raises LostRun when the shard is not
    ours.
    """
    run_lives = queries.touch_run(session, run_id, heartbeat_at=DATABASE_TIME)
    if not run_lives or not queries.touch_shard(session, shard_id, attempt):
        raise LostRun(f"Shard {shard_id} of run {run_id} was taken over or cancelled.")


def note_doing(session: Session, run_id: int, doing: str | None) -> None:
    """Say what a running run does before its work moves on; None when that is over."""
    queries.touch_run(session, run_id, progress=Preparation(doing=doing).dump())


def set_run_status(session: Session, run: Run, status: RunStatus, **values: Any) -> None:
    """The one door for a run's end. The caller holds the row (`lock_run`)."""
    if not can_advance(run.status, status):
        raise InvalidTransition(
            Sentence(
                "Run %(id)s is %(old)s; it cannot become %(new)s.",
                id=run.id,
                old=run.status,
                new=status,
            )
        )
    run.status = status
    for name, value in values.items():
        setattr(run, name, value)
    if status not in LIVE_RUN:
        run.finished_at = DATABASE_TIME
        run.worker_id = None
    _tell(session, run, STATUS_EVENTS[status](run_id=run.id, job=run.job, role=_role_of(run)))


def finish_run(session: Session, run: Run, *, attempt: int, result: StoredJson) -> None:
    """Mark a held run as succeeded. Raises LostRun for an outdated attempt."""
    if run.status is not RunStatus.RUNNING or run.attempt != attempt:
        raise LostRun(f"Run {run.id} was taken over, cancelled or finished elsewhere.")
    set_run_status(session, run, RunStatus.SUCCEEDED, result=result.dump())


def fail_run(session: Session, run_id: int, *, attempt: int, error: str) -> None:
    """Record why a run failed; an outdated worker's failure changes nothing. What fails before any
    shard was taken fails the first attempt: it would fail again, however often it is begun."""
    run = queries.lock_run(session, run_id)
    if run.status not in LIVE_RUN or max(run.attempt, 1) != max(attempt, 1):
        return
    set_run_status(session, run, RunStatus.FAILED, error=shortened(error, ERROR_LENGTH))
    queries.revoke_shards(session, run.id)


def cancel_run(session: Session, run: Run, *, actor: User | None) -> None:
    """Stop a live run: its worker notices at the next step and can write nothing more."""
    run = queries.lock_run(session, run.id)
    if run.status not in LIVE_RUN:
        raise RunOver(Sentence("This run is already %(status)s.", status=run.status))
    set_run_status(session, run, RunStatus.CANCELLED, requested_by_id=run.requested_by_id)
    run.attempt += 1
    queries.revoke_shards(session, run.id)
    _tell(session, run, RunCancelRequested(run_id=run.id), actor)


def retry_run(session: Session, run: Run, *, actor: User | None) -> Run:
    """Makes and returns a new run that names the old one and goes on from its finished shards or
    saved state.

    Raises Conflict unless the run failed, and when it was retried before.
    """
    run = queries.lock_run(session, run.id)
    if queries.is_retried(session, run.id):
        raise NothingToRetry(Sentence("This run was retried already: look at the newer one."))
    if run.status is not RunStatus.FAILED:
        raise NothingToRetry(
            Sentence("Only a failed run can be retried; this one is %(status)s.", status=run.status)
        )
    return request_run(
        session,
        project_id=run.project_id,
        job=run.job,
        round_id=run.round_id,
        strategy=run.strategy,
        role=run.role,
        parameters=run.parameters,
        item_blocks=queries.list_undone_blocks(session, run.id),
        image_blocks=queries.list_undone_images(session, run.id),
        retry_of=run,
        actor=actor,
    )


def list_chain(session: Session, run: Run) -> list[Run]:
    """Returns the run and those it retries, newest first: together they hold all
    finished shards.
    """
    chain = [run]
    while chain[-1].retry_of_id is not None:
        chain.append(queries.get_run(session, chain[-1].retry_of_id))
    return chain


# --- Workers --------------------------------------------------------------------------------


def register_worker(
    session: Session, *, name: str, pid: int, device: str, queues: Sequence[str]
) -> int:
    """Add a worker process that has just started; returns its id."""
    return worker_queries.add_worker(session, name=name, pid=pid, device=device, queues=queues)


@dataclass(frozen=True)
class WorkerFigures:
    """Figures that a worker reports. Memory in bytes; per_second in `unit`, None while idle."""

    memory_used: int | None = None
    memory_total: int | None = None
    per_second: float | None = None
    unit: str = ""


def hold_worker(
    session: Session,
    worker_id: int,
    run_id: int | None,
    figures: WorkerFigures | None = None,
) -> bool:
    """Notes that a worker process is alive; False when its row is gone and it must
    register anew.
    """
    figures = figures or WorkerFigures()
    return worker_queries.touch_worker(session, worker_id, run_id, asdict(figures))


def release_dead_workers(session: Session, is_alive: Callable[[int], bool]) -> int:
    """Give back at once what processes of this machine held that are gone.

    Only a short cut: without it the same work is found by its silence after `stale_seconds`.
    """
    host = f"{socket.gethostname()}:"
    workers = worker_queries.list_workers_named(session, host)
    dead = [worker.id for worker in workers if not is_alive(worker.pid)]
    if dead:
        worker_queries.remove_workers(session, dead)
    return len(dead)


def forget_old_workers(session: Session) -> None:
    worker_queries.remove_silent_workers(session, timedelta(hours=1))


def nudge_lost_runs(session: Session, n_waiting: Callable[[str], int]) -> int:
    """Send nudges for runs that may have lost theirs, unless one is still waiting to be read."""
    waiting = {queue: n_waiting(queue) for queue in ("cpu", "gpu")}
    n_sent = 0
    for run in queries.list_unnudged_runs(session, stale_after=stale_after()):
        n_workers = count_live_workers(session, run.job)
        if n_workers == 0 or waiting[QUEUES[run.job]] > 0:
            continue
        jobs.enqueue(session, run.job, run.id, n_workers if run.job in SHARDED else 1)
        n_sent += 1
    return n_sent
