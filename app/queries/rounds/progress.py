"""The progress of a round that its pages show: items, judgements, draws, runs and scores."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from app.lifecycle import (
    ASIDE,
    LIVE_RUN,
    Job,
    RoundItemState,
    RunStatus,
    ShardStatus,
    UserKind,
)
from app.models import (
    Round,
    RoundAnnotator,
    Run,
    RunShard,
    Score,
    Worker,
)
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.candidates import count_draws
from app.queries.rounds.figures import MarkCount, count_branches, count_episodes, count_marks
from app.queries.rounds.rounds import find_baseline_run, list_scores
from app.reward_results import ReinforcementProgress
from app.round_settings import LoopSettings
from app.run_results import (
    BranchTally,
    DrawCounts,
    EpisodeTally,
    MapTally,
    SamplingResult,
    TrainingProgress,
)
from app.strategies import MONOLOGUE
from app.strategies.perception import PERCEPTION


@dataclass(frozen=True)
class RunProgress:
    run: Run
    n_shards: int
    n_shards_done: int
    n_written: int
    per_second: float | None
    seconds_left: float | None
    worker_names: tuple[str, ...]


@dataclass(frozen=True)
class RoundProgress:
    """All that a round's page shows of its state, read in a handful of queries."""

    n_items: int
    n_waiting: int
    n_open: int
    n_done: int
    n_resting: int
    n_set_aside: int
    n_slots: int
    n_submitted: int
    n_left: int
    """Judgements that open items, and those without candidates, still wait for."""
    n_annotators: int
    drawn: DrawCounts
    episodes: EpisodeTally | None
    """Of a round of the strategy `monologue`, once it has some."""
    branches: BranchTally | None
    """Of such a round, once somebody asked for one."""
    marks: Mapping[str, MarkCount]
    """Of a round with looks: what people said of them, by what they were asked about."""
    maps: MapTally | None
    """How many occlusion maps its sampling measured; None where it measured none."""
    runs: tuple[RunProgress, ...]
    scores: tuple[Score, ...]
    baseline_scores: tuple[Score, ...]


def get_progress(session: Session, round_: Round) -> RoundProgress:
    states = {
        row.state: row
        for row in session.execute(
            select(
                counted_items.state,
                func.count().label("n"),
                func.sum(counted_items.slots).label("n_slots"),
                func.sum(counted_items.n_submitted).label("n_submitted"),
            )
            .where(counted_items.round_id == round_.id)
            .group_by(counted_items.state)
        )
    }
    asked = [row for state, row in states.items() if state is not RoundItemState.RESTING]
    n_in = Counter({state: row.n for state, row in states.items()})
    runs = _list_run_progress(session, round_.id)
    settings = LoopSettings.model_validate(round_.settings)
    is_monologue, is_perception = (
        strategy.name in settings.shares for strategy in (MONOLOGUE, PERCEPTION)
    )
    sampled = _find_sampled(runs)
    baseline = find_baseline_run(session, round_.project_id, settings)
    # Of several strategies those of the first; all stand side by side on the page of the round.
    evaluations = [
        entry.run.id
        for entry in runs
        if entry.run.job is Job.EVALUATE
        and (not settings.is_mixed or entry.run.strategy == settings.strategy)
    ]
    return RoundProgress(
        n_items=n_in.total(),
        n_waiting=n_in[RoundItemState.WAITING],
        n_open=n_in[RoundItemState.OPEN],
        n_done=n_in[RoundItemState.DONE],
        n_resting=n_in[RoundItemState.RESTING],
        n_set_aside=n_in[RoundItemState.SET_ASIDE],
        n_slots=int(sum(row.n_slots for row in asked)),
        n_submitted=int(sum(row.n_submitted for row in asked)),
        n_left=int(
            sum(
                states[state].n_slots - states[state].n_submitted
                for state in (RoundItemState.WAITING, RoundItemState.OPEN)
                if state in states
            )
        ),
        n_annotators=_count_annotators(session, round_.id),
        drawn=(sampled.counts if sampled else None) or count_draws(session, round_.id),
        episodes=count_episodes(session, round_.id) if is_monologue else None,
        branches=count_branches(session, round_.id) if is_monologue else None,
        marks=count_marks(session, round_.id) if is_monologue or is_perception else {},
        maps=sampled.maps if sampled else None,
        runs=runs,
        scores=tuple(list_scores(session, evaluations[-1])) if evaluations else (),
        baseline_scores=tuple(list_scores(session, baseline.id)) if baseline else (),
    )


def _count_annotators(session: Session, round_id: int) -> int:
    """How many people's judgements count in a round. Each is looked up: there are few people, and
    many judgements."""
    has_judged = exists().where(
        counted_judgements.round_id == round_id,
        counted_judgements.user_id == RoundAnnotator.user_id,
        counted_judgements.user_kind == UserKind.PERSON,
    )
    people = select(func.count()).where(RoundAnnotator.round_id == round_id, has_judged)
    return session.scalar(people) or 0


def _find_sampled(runs: Iterable[RunProgress]) -> SamplingResult | None:
    """The result of a sampling that has ended."""
    ended = [
        SamplingResult.read(entry.run.result)
        for entry in runs
        if entry.run.job is Job.GENERATE and entry.run.status is RunStatus.SUCCEEDED
    ]
    return ended[-1] if ended else None


def _list_run_progress(session: Session, round_id: int) -> tuple[RunProgress, ...]:
    """The newest run of each job, strategy and role, in the order they were requested; without
    those beside the round."""
    newest = (
        select(func.max(Run.id))
        .where(Run.round_id == round_id, Run.job.not_in(ASIDE))
        .group_by(Run.job, Run.strategy, Run.role)
        .scalar_subquery()
    )
    runs = session.scalars(select(Run).where(Run.id.in_(newest)).order_by(Run.id)).all()
    shards = {
        row.run_id: row
        for row in session.execute(
            select(
                RunShard.run_id,
                func.count().label("n"),
                func.count().filter(RunShard.status == ShardStatus.DONE).label("n_done"),
                func.coalesce(func.sum(RunShard.n_written), 0).label("n_written"),
            )
            .where(RunShard.run_id.in_([run.id for run in runs]))
            .group_by(RunShard.run_id)
        )
    }
    names: dict[int, list[str]] = {}
    for run_id, name in session.execute(
        select(RunShard.run_id, Worker.name)
        .join(Worker, Worker.id == RunShard.worker_id)
        .where(
            RunShard.run_id.in_([run.id for run in runs]), RunShard.status == ShardStatus.RUNNING
        )
        .union(
            select(Run.id, Worker.name)
            .join(Worker, or_(Worker.id == Run.worker_id, Worker.run_id == Run.id))
            .where(Run.id.in_([run.id for run in runs]), Run.status == RunStatus.RUNNING)
        )
    ):
        names.setdefault(run_id, []).append(name)
    now = session.execute(select(func.now())).scalar_one()
    return tuple(
        _run_progress(run, shards.get(run.id), tuple(sorted(names.get(run.id, []))), now)
        for run in runs
    )


def _run_progress(run: Run, shards: Any, names: tuple[str, ...], now: datetime) -> RunProgress:
    n, n_done, n_written = (shards.n, shards.n_done, int(shards.n_written)) if shards else (0, 0, 0)
    end = run.finished_at or now
    seconds = (end - run.started_at).total_seconds() if run.started_at else 0.0
    per_second = n_written / seconds if seconds > 0 and n_written else None
    seconds_left = None
    if run.status in LIVE_RUN:
        if n_done:
            seconds_left = (n - n_done) * seconds / n_done
        elif run.job is Job.TRAIN:  # it has no shards, and tells its own
            seconds_left = TrainingProgress.read(run.progress).seconds_left
        elif run.job is Job.REINFORCE:
            seconds_left = ReinforcementProgress.read(run.progress).seconds_left
    return RunProgress(
        run=run,
        n_shards=n,
        n_shards_done=n_done,
        n_written=n_written,
        per_second=per_second,
        seconds_left=seconds_left,
        worker_names=names,
    )
