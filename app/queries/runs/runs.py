"""Runs, shards and workers: look-ups and claims. Each claim is one conditional UPDATE."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.lifecycle import LIVE_RUN, SHARDED, Job, RunStatus, ShardStatus
from app.models import Run, RunShard, Worker


def get_run(session: Session, run_id: int) -> Run:
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def is_retried(session: Session, run_id: int) -> bool:
    """Whether another run, one that was not cancelled, goes on from this one."""
    retry = select(Run.id).where(Run.retry_of_id == run_id, Run.status != RunStatus.CANCELLED)
    return session.scalar(select(retry.exists())) or False


def lock_run(session: Session, run_id: int) -> Run:
    """The run, held until the end of the transaction and read anew."""
    run = session.scalars(
        select(Run)
        .where(Run.id == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def find_latest_run(session: Session, round_id: int, job: Job) -> Run | None:
    return session.scalars(
        select(Run).where(Run.round_id == round_id, Run.job == job).order_by(Run.id.desc()).limit(1)
    ).one_or_none()


def list_round_runs(session: Session, round_id: int) -> Sequence[Run]:
    return session.scalars(select(Run).where(Run.round_id == round_id).order_by(Run.id)).all()


def claim_run(
    session: Session, run_id: int, *, worker_id: int | None, stale_after: timedelta
) -> int | None:
    """Take a queued run, or a running one whose worker fell silent; the new attempt, or None."""
    is_free = or_(
        Run.status == RunStatus.QUEUED,
        (Run.status == RunStatus.RUNNING) & (Run.heartbeat_at < func.now() - stale_after),
    )
    return session.execute(
        update(Run)
        .where(Run.id == run_id, is_free)
        .values(
            status=RunStatus.RUNNING,
            attempt=Run.attempt + 1,
            worker_id=worker_id,
            heartbeat_at=func.clock_timestamp(),
            started_at=func.coalesce(Run.started_at, func.clock_timestamp()),
        )
        .returning(Run.attempt)
    ).scalar_one_or_none()


def start_sharded_run(session: Session, run_id: int) -> bool:
    """Mark a sharded run as running; several workers may. False when it is over."""
    return bool(
        session.execute(
            update(Run)
            .where(Run.id == run_id, Run.status.in_(LIVE_RUN))
            .values(
                status=RunStatus.RUNNING,
                attempt=func.greatest(Run.attempt, 1),
                heartbeat_at=func.clock_timestamp(),
                started_at=func.coalesce(Run.started_at, func.clock_timestamp()),
            )
            .returning(Run.id)
        ).scalar_one_or_none()
    )


def claim_shard(
    session: Session, run_id: int, *, worker_id: int | None, stale_after: timedelta
) -> RunShard | None:
    """Take the next shard that nobody holds, or whose holder fell silent."""
    number = session.scalars(
        select(RunShard.id)
        .where(
            RunShard.run_id == run_id,
            or_(
                RunShard.status == ShardStatus.WAITING,
                (RunShard.status == ShardStatus.RUNNING)
                & (RunShard.heartbeat_at < func.now() - stale_after),
            ),
        )
        .order_by(RunShard.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if number is None:
        return None
    return session.scalars(
        update(RunShard)
        .where(RunShard.id == number)
        .values(
            status=ShardStatus.RUNNING,
            attempt=RunShard.attempt + 1,
            worker_id=worker_id,
            heartbeat_at=func.clock_timestamp(),
        )
        .returning(RunShard)
        .execution_options(populate_existing=True)
    ).one()


def touch_shard(session: Session, shard_id: int, attempt: int) -> bool:
    """Heartbeat of a shard; False when another worker has taken it."""
    return bool(
        session.execute(
            update(RunShard)
            .where(
                RunShard.id == shard_id,
                RunShard.attempt == attempt,
                RunShard.status == ShardStatus.RUNNING,
            )
            .values(heartbeat_at=func.clock_timestamp())
            .returning(RunShard.id)
        ).scalar_one_or_none()
    )


def finish_shard(
    session: Session, shard_id: int, attempt: int, *, n_written: int, seconds: float
) -> bool:
    return bool(
        session.execute(
            update(RunShard)
            .where(
                RunShard.id == shard_id,
                RunShard.attempt == attempt,
                RunShard.status == ShardStatus.RUNNING,
            )
            .values(
                status=ShardStatus.DONE,
                heartbeat_at=func.clock_timestamp(),
                n_written=n_written,
                seconds=seconds,
                error=None,
            )
            .returning(RunShard.id)
        ).scalar_one_or_none()
    )


def count_shards(session: Session, run_id: int) -> dict[ShardStatus, int]:
    rows = session.execute(
        select(RunShard.status, func.count())
        .where(RunShard.run_id == run_id)
        .group_by(RunShard.status)
    )
    return {status: n for status, n in rows}  # noqa: C416 - typed unpacking


def list_unnudged_runs(session: Session, *, stale_after: timedelta) -> Sequence[Run]:
    """Live runs that may have lost their message or their worker."""
    silent = Run.heartbeat_at < func.now() - stale_after
    has_free_shard = (
        select(RunShard.id)
        .where(
            RunShard.run_id == Run.id,
            or_(
                RunShard.status == ShardStatus.WAITING,
                (RunShard.status == ShardStatus.RUNNING)
                & (RunShard.heartbeat_at < func.now() - stale_after),
            ),
        )
        .exists()
    )
    return session.scalars(
        select(Run)
        .where(
            Run.status.in_(LIVE_RUN),
            or_(
                Run.status == RunStatus.QUEUED,
                silent,
                (Run.job.in_(SHARDED)) & has_free_shard,
            ),
        )
        .order_by(Run.id)
    ).all()


def count_live_workers(session: Session, queue: str, *, seen_within: timedelta) -> int:
    return session.execute(
        select(func.count())
        .select_from(Worker)
        .where(Worker.seen_at > func.now() - seen_within, Worker.queues.contains([queue]))
    ).scalar_one()


def list_live_workers(session: Session, *, seen_within: timedelta) -> Sequence[Worker]:
    return session.scalars(
        select(Worker).where(Worker.seen_at > func.now() - seen_within).order_by(Worker.name)
    ).all()
