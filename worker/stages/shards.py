"""Lets several workers share one run: each claims shards until none is left.

1. Claim a shard (conditional update; its attempt rises).
2. `compute` with no session open; the heart keeps the shard ours.
3. `write` rows and finish the shard in one transaction, fenced by the attempt; then `follow`.
4. Whoever finds all shards done calls `measure`, still without a lock, and then `finish`, which
   ends the run; the first to lock it wins.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from app.kit.errors import AppError, LostRun
from app.lifecycle import RunStatus, ShardStatus
from app.models import Run, RunShard
from app.queries.rounds import rounds as round_queries
from app.queries.runs import runs as run_queries
from app.run_results import StoredJson
from app.services.rounds.moving_on import finish_round_run
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.persist import persist

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
Measured = TypeVar("Measured")


class ShardStage(ABC, Generic[Made, Measured]):
    """One kind of work that is shared out in shards, in the order in which its methods are called.
    Made: what comes of a shard; Measured: what all shards come to."""

    unit = "samples"
    """What `compute` counts on the heart's pace."""

    @abstractmethod
    def compute(self, shard: RunShard) -> Made:
        """Returns what comes of the items or images of a shard. No transaction is open; the shard
        is held."""

    @abstractmethod
    def write(self, session: Session, shard: RunShard, made: Made, seconds: float) -> None:
        """Stores what was made in `seconds` and finishes the shard, in one transaction."""

    def follow(self, shard: RunShard) -> None:
        """Does what stored items of a shard make possible, with no shard held and no transaction
        open. What it leaves out because its worker ends, `measure` has to take up."""

    @abstractmethod
    def measure(self) -> Measured:
        """Returns what all shards come to, once they are done. No transaction is open."""

    @abstractmethod
    def finish(self, session: Session, run: Run, measured: Measured) -> StoredJson:
        """Stores what was measured and returns the result of the run, which is locked."""


MAX_ATTEMPTS = 5
"""A shard that took so many workers with it fails its run instead of taking the next."""


def work_shards(
    run_id: int,
    heart: Heart,
    stage: ShardStage[Made, Measured],
    *,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Does shards of a run until none is free; finishes the run when all are done. `between` is
    called after each shard, when none is held."""
    with heart.pace.counting(stage.unit):
        while shard := persist(lambda session: _claim(session, run_id, heart)):
            try:
                _do(run_id, heart, stage, shard)
                stage.follow(shard)
            except LostRun as loss:
                logger.warning("%s", loss.message)
            between()
    if persist(lambda session: _waits_for_its_end(session, run_id)):
        measured = stage.measure()
        persist(lambda session: _finish(session, run_id, stage, measured))


def _do(run_id: int, heart: Heart, stage: ShardStage[Made, Measured], shard: RunShard) -> None:
    with heart.holding_shard(run_id, shard.id, shard.attempt):
        started = time.monotonic()
        made = stage.compute(shard)
        seconds = time.monotonic() - started
        persist(lambda session: stage.write(session, shard, made, seconds))


def _claim(session: Session, run_id: int, heart: Heart) -> RunShard | None:
    if not run_queries.start_sharded_run(session, run_id):
        return None
    shard = run_queries.claim_shard(
        session, run_id, worker_id=heart.worker_id, stale_after=runs.stale_after()
    )
    if shard is not None and shard.attempt > MAX_ATTEMPTS:
        raise AppError(
            f"Shard {shard.number} was started {MAX_ATTEMPTS} times and its worker died each "
            "time. Look at the workers' logs (memory?), then retry."
        )
    return shard


def _waits_for_its_end(session: Session, run_id: int) -> bool:
    is_live = run_queries.get_run(session, run_id).status is RunStatus.RUNNING
    return is_live and not set(run_queries.count_shards(session, run_id)) - {ShardStatus.DONE}


def _finish(
    session: Session, run_id: int, stage: ShardStage[Made, Measured], measured: Measured
) -> None:
    # The round before the run, as everywhere: two workers in different orders would deadlock.
    run = run_queries.get_run(session, run_id)
    if run.round_id is not None:
        round_queries.lock_round(session, run.round_id)
    run = run_queries.lock_run(session, run_id)
    if run.status is not RunStatus.RUNNING:
        return
    result = stage.finish(session, run, measured)
    finish_round_run(session, run_id, attempt=run.attempt, result=result)
