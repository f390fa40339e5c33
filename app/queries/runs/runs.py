"""Runs, shards and workers: look-ups and claims. Each claim is one conditional UPDATE."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from app.kit.errors import NotFound
from app.lifecycle import ASIDE, LIVE_RUN, SHARDED, Job, RunStatus, ShardStatus
from app.models import Round, Run, RunShard


def get_run(session: Session, run_id: int) -> Run:
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run


def find_run(session: Session, run_id: int) -> Run | None:
    """Returns a run; None where it is not there any more."""
    return session.get(Run, run_id)


def is_retried(session: Session, run_id: int) -> bool:
    """Whether another run, one that was not cancelled, goes on from this one."""
    retry = select(Run.id).where(Run.retry_of_id == run_id, Run.status != RunStatus.CANCELLED)
    return session.scalar(select(retry.exists())) or False


def lock_run(session: Session, run_id: int) -> Run:
    """Locks the run until the end of the transaction, and returns it read anew."""
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


def stands_for_its_round() -> ColumnElement[bool]:
    """Returns the condition that an evaluation is of the first strategy of its `Round`: its scores
    stand where one number is told of a round; any is in a round of one strategy."""
    n_strategies = func.coalesce(func.jsonb_array_length(Round.settings["strategies"]), 0)
    return or_(
        Run.strategy.is_(None),
        n_strategies == 0,
        Run.strategy == Round.settings["strategy"].astext,
    )


def find_evaluation(session: Session, round_id: int, strategy: str | None = None) -> Run | None:
    """Returns the newest evaluation of one of the strategies of a round, or of the first of them,
    if it succeeded."""
    of_strategy = stands_for_its_round() if strategy is None else Run.strategy == strategy
    run = session.scalars(
        select(Run)
        .join(Round, Round.id == Run.round_id)
        .where(Run.round_id == round_id, Run.job == Job.EVALUATE, of_strategy)
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()
    return run if run is not None and run.status is RunStatus.SUCCEEDED else None


def has_open_runs(session: Session, round_id: int, jobs: Collection[Job]) -> bool:
    """Whether a run of these jobs is queued or running, or has failed and waits for a retry."""
    retry = aliased(Run)
    is_retried = exists().where(retry.retry_of_id == Run.id, retry.status != RunStatus.CANCELLED)
    waits = (Run.status == RunStatus.FAILED) & ~is_retried
    is_open = exists().where(
        Run.round_id == round_id, Run.job.in_(jobs), Run.status.in_(LIVE_RUN) | waits
    )
    return session.scalar(select(is_open)) or False


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
    """Notes that a shard is being worked on; False when another worker has taken it."""
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
    session: Session,
    shard_id: int,
    attempt: int,
    *,
    n_written: int,
    seconds: float,
    tally: Mapping[str, int] | None = None,
    strategy_seconds: Mapping[str, float] | None = None,
) -> bool:
    """Marks a shard as done, with what was counted; False when another worker has taken it."""
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
                tally=dict(tally or {}),
                strategy_seconds=dict(strategy_seconds or {}),
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
    """Returns live runs that may have lost their message or their worker."""
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


def list_queued_aside(session: Session) -> Sequence[int]:
    """Returns the runs beside the rounds that nobody has taken yet, the oldest first."""
    return session.scalars(
        select(Run.id).where(Run.status == RunStatus.QUEUED, Run.job.in_(ASIDE)).order_by(Run.id)
    ).all()


def add_run(session: Session, run: Run) -> bool:
    """Store a new run; returns False, and stores nothing, where one of its round, job, strategy and
    role lives already."""
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError:
        return False
    return True


def insert_shards(
    session: Session,
    run_id: int,
    item_blocks: Sequence[Sequence[int]],
    image_blocks: Sequence[Sequence[str]] = (),
) -> None:
    """Add a waiting shard for each block of items, and then for each block of images."""
    blocks: list[tuple[Sequence[int], Sequence[str]]] = [(block, ()) for block in item_blocks]
    blocks += [((), block) for block in image_blocks]
    rows = [
        {"run_id": run_id, "number": number, "item_ids": list(items), "images": list(images)}
        for number, (items, images) in enumerate(blocks, start=1)
    ]
    if rows:
        session.execute(insert(RunShard), rows)


def touch_run(session: Session, run_id: int, *, attempt: int | None = None, **values: Any) -> bool:
    """Write values to a running run; returns False where it is none, or of another attempt."""
    is_ours = [] if attempt is None else [Run.attempt == attempt]
    return bool(
        session.execute(
            update(Run)
            .where(Run.id == run_id, Run.status == RunStatus.RUNNING, *is_ours)
            .values(**values)
            .returning(Run.id)
        ).scalar_one_or_none()
    )


def revoke_shards(session: Session, run_id: int) -> None:
    """Let the open shards of a run fail; whoever works on one can write nothing more."""
    session.execute(
        update(RunShard)
        .where(
            RunShard.run_id == run_id,
            RunShard.status.in_([ShardStatus.WAITING, ShardStatus.RUNNING]),
        )
        .values(status=ShardStatus.FAILED, attempt=RunShard.attempt + 1, worker_id=None)
    )


def list_undone_blocks(session: Session, run_id: int) -> Sequence[list[int]]:
    """Returns the items of the shards of a run that are not done, shard by shard."""
    return session.scalars(
        select(RunShard.item_ids)
        .where(
            RunShard.run_id == run_id,
            RunShard.status != ShardStatus.DONE,
            func.cardinality(RunShard.item_ids) > 0,
        )
        .order_by(RunShard.number)
    ).all()


def list_undone_images(session: Session, run_id: int) -> list[list[str]]:
    """Returns the images of the shards of a run that are not done, shard by shard."""
    shards = session.scalars(
        select(RunShard.images)
        .where(RunShard.run_id == run_id, RunShard.status != ShardStatus.DONE)
        .order_by(RunShard.number)
    )
    return [images for images in shards if images]
