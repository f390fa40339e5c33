"""Workers as rows: who is there, what they hold, and what becomes of it when they are gone."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.lifecycle import RunStatus, ShardStatus
from app.models import Run, RunShard, Worker


def add_worker(session: Session, *, name: str, pid: int, device: str, queues: Sequence[str]) -> int:
    """Add a worker, in the place of an older one of its name; returns its id."""
    session.execute(delete(Worker).where(Worker.name == name))
    worker = Worker(name=name, pid=pid, device=device, queues=list(queues))
    session.add(worker)
    session.flush()  # the id is needed by the caller
    return worker.id


def touch_worker(
    session: Session, worker_id: int, run_id: int | None, figures: Mapping[str, Any]
) -> bool:
    """Notes that a worker is alive; returns False when its row is gone."""
    return bool(
        session.execute(
            update(Worker)
            .where(Worker.id == worker_id)
            .values(seen_at=func.clock_timestamp(), run_id=run_id, **figures)
            .returning(Worker.id)
        ).scalar_one_or_none()
    )


def list_workers_named(session: Session, beginning: str) -> Sequence[Worker]:
    """Returns the workers whose name begins so."""
    return session.scalars(
        select(Worker).where(Worker.name.startswith(beginning, autoescape=True)).order_by(Worker.id)
    ).all()


def remove_workers(session: Session, worker_ids: Sequence[int]) -> None:
    """Remove workers, and let what they held look silent for long: whoever asks next takes it."""
    long_ago = func.now() - timedelta(days=1)
    session.execute(
        update(RunShard)
        .where(RunShard.worker_id.in_(worker_ids), RunShard.status == ShardStatus.RUNNING)
        .values(heartbeat_at=long_ago)
    )
    session.execute(
        update(Run)
        .where(Run.worker_id.in_(worker_ids), Run.status == RunStatus.RUNNING)
        .values(heartbeat_at=long_ago)
    )
    session.execute(delete(Worker).where(Worker.id.in_(worker_ids)))


def remove_silent_workers(session: Session, silent_for: timedelta) -> None:
    """Remove workers that were not heard of for so long."""
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - silent_for))


def count_live_workers(session: Session, queue: str, *, seen_within: timedelta) -> int:
    """Returns how many workers of a queue were heard of lately."""
    return session.execute(
        select(func.count())
        .select_from(Worker)
        .where(Worker.seen_at > func.now() - seen_within, Worker.queues.contains([queue]))
    ).scalar_one()


def list_live_workers(session: Session, *, seen_within: timedelta) -> Sequence[Worker]:
    """Returns the workers that were heard of lately, by name."""
    return session.scalars(
        select(Worker).where(Worker.seen_at > func.now() - seen_within).order_by(Worker.name)
    ).all()
