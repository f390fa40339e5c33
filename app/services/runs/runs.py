"""Runs as rows: request, hold, finish, fail, cancel, and the sweep that finds lost work.

Numbered rules of the race between workers:
1. A worker claims with one conditional UPDATE, which raises `attempt`.
2. Everything it writes carries that attempt; a foreign key refuses an outdated one.
3. Cancelling or failing a run raises the attempts of its open shards, so that whoever still
   works on one finds out at the next heartbeat and cannot write.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit import jobs
from app.kit.errors import Conflict, InvalidTransition, LostRun
from app.kit.sentences import Sentence, shortened
from app.kit.settings import get_settings
from app.lifecycle import (
    LIVE_RUN,
    QUEUES,
    SHARDED,
    Job,
    RunStatus,
    ShardStatus,
    can_advance,
)
from app.models import Run, RunShard, User, Worker
from app.queries.runs import runs as queries
from app.services.events import record

logger = logging.getLogger(__name__)

LIVE_WORKER_SECONDS = 30.0
ERROR_LENGTH = 4000


def stale_after() -> timedelta:
    return timedelta(seconds=get_settings().stale_seconds)


def request_run(
    session: Session,
    *,
    project_id: int,
    job: Job,
    round_id: int | None = None,
    parameters: dict[str, Any] | None = None,
    item_blocks: Sequence[Sequence[int]] | None = None,
    retry_of: Run | None = None,
    actor: User | None = None,
) -> Run:
    """Add a queued run, its shards where the job has them, and nudge the workers after commit."""
    run = Run(
        project_id=project_id,
        round_id=round_id,
        job=job,
        status=RunStatus.QUEUED,
        attempt=0,
        parameters=parameters or {},
        retry_of_id=retry_of.id if retry_of else None,
        requested_by_id=actor.id if actor else None,
    )
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError as error:
        raise Conflict(
            Sentence("A %(job)s run of this round is already queued or running.", job=job)
        ) from error
    if job in SHARDED:
        add_shards(session, run, item_blocks or [])
    record(
        session,
        "run:status:queued",
        project_id=project_id,
        round_id=round_id,
        actor_id=actor.id if actor else None,
        run_id=run.id,
        job=job.value,
    )
    n_workers = count_live_workers(session, job)
    jobs.enqueue(session, job, run.id, max(1, n_workers) if job in SHARDED else 1)
    return run


def add_shards(session: Session, run: Run, item_blocks: Sequence[Sequence[int]]) -> None:
    rows = [
        {"run_id": run.id, "number": number, "item_ids": list(block)}
        for number, block in enumerate(item_blocks, start=1)
    ]
    if rows:
        session.execute(insert(RunShard), rows)


def count_live_workers(session: Session, job: Job) -> int:
    return queries.count_live_workers(
        session, QUEUES[job], seen_within=timedelta(seconds=LIVE_WORKER_SECONDS)
    )


def hold_run(session: Session, run_id: int, attempt: int, progress: dict[str, Any] | None) -> None:
    """Heartbeat of an exclusive run, with its progress. Raises LostRun when it is not ours."""
    values: dict[str, Any] = {"heartbeat_at": func.clock_timestamp()}
    if progress is not None:
        values["progress"] = progress
    held = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.attempt == attempt, Run.status == RunStatus.RUNNING)
        .values(**values)
        .returning(Run.id)
    ).scalar_one_or_none()
    if held is None:
        raise LostRun(f"Run {run_id} was taken over, cancelled or finished elsewhere.")


def hold_shard(session: Session, run_id: int, shard_id: int, attempt: int) -> None:
    """Heartbeat of a shard and of its run. Raises LostRun when the shard is not ours."""
    run_lives = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.status == RunStatus.RUNNING)
        .values(heartbeat_at=func.clock_timestamp())
        .returning(Run.id)
    ).scalar_one_or_none()
    if run_lives is None or not queries.touch_shard(session, shard_id, attempt):
        raise LostRun(f"Shard {shard_id} of run {run_id} was taken over or cancelled.")


def note_doing(session: Session, run_id: int, doing: str | None) -> None:
    """Say what a running run does before its work moves on; None when that is over."""
    session.execute(
        update(Run)
        .where(Run.id == run_id, Run.status == RunStatus.RUNNING)
        .values(progress={"doing": doing} if doing else {})
    )


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
        run.finished_at = func.clock_timestamp()
        run.worker_id = None
    record(
        session,
        f"run:status:{status}",
        project_id=run.project_id,
        round_id=run.round_id,
        run_id=run.id,
        job=run.job.value,
    )


def finish_run(session: Session, run: Run, *, attempt: int, result: dict[str, Any]) -> None:
    """Mark a held run as succeeded. Raises LostRun for an outdated attempt."""
    if run.status is not RunStatus.RUNNING or run.attempt != attempt:
        raise LostRun(f"Run {run.id} was taken over, cancelled or finished elsewhere.")
    set_run_status(session, run, RunStatus.SUCCEEDED, result=result)


def fail_run(session: Session, run_id: int, *, attempt: int, error: str) -> None:
    """Record why a run failed; an outdated worker's failure changes nothing."""
    run = queries.lock_run(session, run_id)
    if run.status not in LIVE_RUN or run.attempt != attempt:
        return
    set_run_status(session, run, RunStatus.FAILED, error=shortened(error, ERROR_LENGTH))
    revoke_shards(session, run)


def cancel_run(session: Session, run: Run, *, actor: User | None) -> None:
    """Stop a live run: its worker notices at the next step and can write nothing more."""
    run = queries.lock_run(session, run.id)
    if run.status not in LIVE_RUN:
        raise Conflict(Sentence("This run is already %(status)s.", status=run.status))
    set_run_status(session, run, RunStatus.CANCELLED, requested_by_id=run.requested_by_id)
    run.attempt += 1
    revoke_shards(session, run)
    record(
        session,
        "run:cancel:requested",
        project_id=run.project_id,
        round_id=run.round_id,
        actor_id=actor.id if actor else None,
        run_id=run.id,
    )


def revoke_shards(session: Session, run: Run) -> None:
    session.execute(
        update(RunShard)
        .where(
            RunShard.run_id == run.id,
            RunShard.status.in_([ShardStatus.WAITING, ShardStatus.RUNNING]),
        )
        .values(status=ShardStatus.FAILED, attempt=RunShard.attempt + 1, worker_id=None)
    )


def retry_run(session: Session, run: Run, *, actor: User | None) -> Run:
    """A new run that names the old one and goes on from its finished shards or saved state.

    Raises Conflict unless the run failed, and when it was retried before.
    """
    run = queries.lock_run(session, run.id)
    if queries.is_retried(session, run.id):
        raise Conflict(Sentence("This run was retried already: look at the newer one."))
    if run.status is not RunStatus.FAILED:
        raise Conflict(
            Sentence("Only a failed run can be retried; this one is %(status)s.", status=run.status)
        )
    undone = session.scalars(
        select(RunShard.item_ids)
        .where(RunShard.run_id == run.id, RunShard.status != ShardStatus.DONE)
        .order_by(RunShard.number)
    ).all()
    return request_run(
        session,
        project_id=run.project_id,
        job=run.job,
        round_id=run.round_id,
        parameters=run.parameters,
        item_blocks=undone,
        retry_of=run,
        actor=actor,
    )


def list_chain(session: Session, run: Run) -> list[Run]:
    """The run and those it retries, newest first: together they hold all finished shards."""
    chain = [run]
    while chain[-1].retry_of_id is not None:
        chain.append(queries.get_run(session, chain[-1].retry_of_id))
    return chain


# --- Workers --------------------------------------------------------------------------------


def register_worker(
    session: Session, *, name: str, pid: int, device: str, queues: Sequence[str]
) -> int:
    session.execute(delete(Worker).where(Worker.name == name))
    worker = Worker(name=name, pid=pid, device=device, queues=list(queues))
    session.add(worker)
    session.flush()  # the id is needed by the caller
    return worker.id


@dataclass(frozen=True)
class WorkerFigures:
    """What a worker says of itself. Memory in bytes; per_second in `unit`, None while idle."""

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
    """Heartbeat of a worker process; False when its row is gone and it must register anew."""
    return bool(
        session.execute(
            update(Worker)
            .where(Worker.id == worker_id)
            .values(
                seen_at=func.clock_timestamp(), run_id=run_id, **asdict(figures or WorkerFigures())
            )
            .returning(Worker.id)
        ).scalar_one_or_none()
    )


def release_dead_workers(session: Session, is_alive: Callable[[int], bool]) -> int:
    """Give back at once what processes of this machine held that are gone.

    Only a short cut: without it the same work is found by its silence after `stale_seconds`.
    """
    host = f"{socket.gethostname()}:"
    workers = session.scalars(
        select(Worker).where(Worker.name.startswith(host, autoescape=True)).order_by(Worker.id)
    ).all()
    dead = [worker.id for worker in workers if not is_alive(worker.pid)]
    if not dead:
        return 0
    long_ago = func.now() - timedelta(days=1)
    session.execute(
        update(RunShard)
        .where(RunShard.worker_id.in_(dead), RunShard.status == ShardStatus.RUNNING)
        .values(heartbeat_at=long_ago)
    )
    session.execute(
        update(Run)
        .where(Run.worker_id.in_(dead), Run.status == RunStatus.RUNNING)
        .values(heartbeat_at=long_ago)
    )
    session.execute(delete(Worker).where(Worker.id.in_(dead)))
    return len(dead)


def forget_old_workers(session: Session) -> None:
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - timedelta(hours=1)))


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
