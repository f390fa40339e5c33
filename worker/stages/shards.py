"""How several workers share one run: each claims shards until none is left.

1. Claim a shard (conditional update; its attempt rises).
2. Compute with no session open; the heart keeps the shard ours.
3. Write rows and finish the shard in one transaction, fenced by the attempt.
4. Whoever finds all shards done measures what they come to, still without a lock, and finishes the
   run; the first to lock it wins.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.kit.errors import AppError, LostRun
from app.lifecycle import RunStatus, ShardStatus
from app.models import Run, RunShard
from app.queries.rounds import rounds as round_queries
from app.queries.runs import runs as run_queries
from app.services.rounds import rounds
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.persist import persist

logger = logging.getLogger(__name__)

Write = Callable[[Session, RunShard, float], None]
Compute = Callable[[Sequence[int]], Write]
Finish = Callable[[Session, Run], dict[str, Any]]
Measure = Callable[[], Finish]

MAX_ATTEMPTS = 5
"""A shard that took so many workers with it fails its run instead of taking the next."""


def work_shards(
    run_id: int, heart: Heart, compute: Compute, measure: Measure, *, unit: str
) -> None:
    """Do shards of a run until none is free; finish the run when all are done. unit: what `compute`
    counts on the heart's pace."""
    with heart.pace.counting(unit):
        _work(run_id, heart, compute)
    if persist(lambda session: _waits_for_its_end(session, run_id)):
        finish = measure()
        persist(lambda session: _finish(session, run_id, finish))


def _work(run_id: int, heart: Heart, compute: Compute) -> None:
    while shard := persist(lambda session: _claim(session, run_id, heart)):
        try:
            with heart.holding_shard(run_id, shard.id, shard.attempt):
                started = time.monotonic()
                write = compute(shard.item_ids)
                seconds = time.monotonic() - started
                persist(lambda session: write(session, shard, seconds))  # noqa: B023 - runs now
        except LostRun as loss:
            logger.warning("%s", loss.message)


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


def _finish(session: Session, run_id: int, finish: Finish) -> None:
    # The round before the run, as everywhere: two workers in different orders would deadlock.
    run = run_queries.get_run(session, run_id)
    if run.round_id is not None:
        round_queries.lock_round(session, run.round_id)
    run = run_queries.lock_run(session, run_id)
    if run.status is not RunStatus.RUNNING:
        return
    result = finish(session, run)
    rounds.finish_round_run(session, run_id, attempt=run.attempt, result=result)
