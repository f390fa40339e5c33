"""Rounds: look-ups, what is left to do, and the progress that the pages show."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.lifecycle import (
    ASIDE,
    CLOSED_ROUND,
    LIVE_RUN,
    LOOKING_ON,
    Job,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
    UserKind,
)
from app.models import (
    Adapter,
    CheckItem,
    Item,
    Judgement,
    Round,
    RoundAnnotator,
    RoundItem,
    RoundModel,
    Run,
    RunShard,
    Score,
    Worker,
)
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.bases import find_base
from app.queries.rounds.candidates import count_draws, usable_items_statement
from app.queries.rounds.figures import MarkCount, count_branches, count_episodes, count_marks
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
    """What its sampling measured of looks that people are shown; None where that was nothing."""
    runs: tuple[RunProgress, ...]
    scores: tuple[Score, ...]
    baseline_scores: tuple[Score, ...]


def lock_round(session: Session, round_id: int) -> Round:
    """Returns the round, held until the end of the transaction and read anew.

    Held against everybody who changes it or judges in it, but not against rows that only name it:
    the job that closes a round inserts thousands of those.
    """
    round_ = session.scalars(
        select(Round)
        .where(Round.id == round_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if round_ is None:
        raise NotFound(f"There is no round {round_id}.")
    return round_


def add_round(session: Session, round_: Round) -> bool:
    """Store a new round; returns False, and stores nothing, where its project has an open one."""
    try:
        with session.begin_nested():
            session.add(round_)
    except IntegrityError:
        return False
    return True


def find_last_round(session: Session, project_id: int) -> Round | None:
    return session.scalars(
        select(Round).where(Round.project_id == project_id).order_by(Round.number.desc()).limit(1)
    ).one_or_none()


def find_round_before(session: Session, round_: Round) -> Round | None:
    """Returns the newest completed round of the project before this one."""
    return session.scalars(
        select(Round)
        .where(
            Round.project_id == round_.project_id,
            Round.number < round_.number,
            Round.status == RoundStatus.COMPLETED,
        )
        .order_by(Round.number.desc())
        .limit(1)
    ).one_or_none()


def find_open_round(session: Session, project_id: int) -> Round | None:
    return session.scalars(
        select(Round).where(Round.project_id == project_id, Round.status.not_in(CLOSED_ROUND))
    ).one_or_none()


def list_rounds(session: Session, project_id: int) -> Sequence[Round]:
    return session.scalars(
        select(Round).where(Round.project_id == project_id).order_by(Round.number)
    ).all()


def list_rounds_in_judging(session: Session) -> list[int]:
    """Returns the rounds whose judging a sweep should try to end: a crash may have missed that."""
    return list(session.scalars(select(Round.id).where(Round.status == RoundStatus.JUDGING)))


def release_judgements(session: Session, round_id: int) -> None:
    """Free what people hold of a round. Its content stays, and its authors are told."""
    session.execute(
        update(Judgement)
        .where(
            Judgement.round_id == round_id,
            Judgement.status.in_([JudgementStatus.LEASED, JudgementStatus.DRAFT]),
        )
        .values(status=JudgementStatus.RELEASED, slot=None, lease_until=None)
    )


def get_round_model(session: Session, round_id: int, *, strategy: str, role: str) -> RoundModel:
    """Returns the models of one role: the adapter that a round samples from, and the new one."""
    return session.get_one(RoundModel, (round_id, strategy, role))


def list_round_models(session: Session, round_id: int) -> Sequence[RoundModel]:
    """Returns the models of a round, of every strategy and role."""
    return session.scalars(
        select(RoundModel)
        .where(RoundModel.round_id == round_id)
        .order_by(RoundModel.strategy, RoundModel.role)
    ).all()


def list_sampled_strategies(session: Session, round_id: int) -> frozenset[str]:
    """Returns the names of the strategies of a round that do not sit out."""
    return frozenset(
        session.scalars(
            select(RoundModel.strategy)
            .where(RoundModel.round_id == round_id, ~RoundModel.sits_out)
            .distinct()
        )
    )


def find_newest_adapter(
    session: Session,
    project_id: int,
    base_model: str,
    base_digest: str | None = None,
    *,
    strategy: str,
    role: str,
) -> Adapter | None:
    """Returns the adapter that the newest completed round made for a role, on this base model, and
    on this content of it where a digest is given."""
    of_content = [] if base_digest is None else [Adapter.base_revision == base_digest]
    return session.scalars(
        select(Adapter)
        .join(RoundModel, RoundModel.new_adapter_id == Adapter.id)
        .join(Round, Round.id == RoundModel.round_id)
        .where(
            RoundModel.strategy == strategy,
            RoundModel.role == role,
            Round.project_id == project_id,
            Round.status == RoundStatus.COMPLETED,
            Adapter.base_model == base_model,
            *of_content,
        )
        .order_by(Round.number.desc())
        .limit(1)
    ).one_or_none()


def list_usable_item_ids(
    session: Session, project_id: int, split: Split, *, limit: int | None = None
) -> list[int]:
    """Returns the ids of the usable items of a split in order, at most `limit` of them."""
    statement = usable_items_statement(project_id).where(Item.split == split)
    return list(session.scalars(statement.order_by(Item.id).limit(limit)))


def list_train_item_ids(session: Session, project_id: int) -> list[int]:
    """Returns the ids of usable train items, without those set aside because answer or image are in
    doubt, and without those that serve as check items.
    """
    serves = exists().where(CheckItem.item_id == Item.id, CheckItem.retired_at.is_(None))
    set_aside = (
        select(RoundItem.id)
        .where(RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE)
        .exists()
    )
    return list(
        session.scalars(
            usable_items_statement(project_id)
            .where(Item.split == Split.TRAIN, ~set_aside, ~serves)
            .order_by(Item.id)
        )
    )


def has_unjudged_items(session: Session, round_id: int) -> bool:
    """Whether something of the round is waiting for candidates or for a judgement, be it there to
    train on or mixed in to measure."""
    unjudged = exists().where(
        RoundItem.round_id == round_id,
        RoundItem.state.in_([RoundItemState.WAITING, RoundItemState.OPEN]),
    )
    return session.scalar(select(unjudged)) or False


def find_failed_run(session: Session, round_id: int) -> Run | None:
    """Returns the newest failed run of a round that nobody has retried."""
    failed = list_failed_runs(session, round_id)
    return failed[-1] if failed else None


def list_failed_runs(session: Session, round_id: int) -> Sequence[Run]:
    """Returns failed runs of a round that nobody has retried, in the order in which they were asked
    for. Those that nothing of the round waits for (`ASIDE`, `LOOKING_ON`) are left out.
    """
    retry = select(Run.retry_of_id).where(
        Run.round_id == round_id, Run.retry_of_id.is_not(None), Run.status != RunStatus.CANCELLED
    )
    return session.scalars(
        select(Run)
        .where(
            Run.round_id == round_id,
            Run.status == RunStatus.FAILED,
            Run.job.not_in(ASIDE | LOOKING_ON),
            Run.id.not_in(retry),
        )
        .order_by(Run.id)
    ).all()


def has_baseline(session: Session, project_id: int, settings: LoopSettings) -> bool:
    return find_baseline_run(session, project_id, settings, live=True) is not None


def find_baseline_run(
    session: Session, project_id: int, settings: LoopSettings, *, live: bool = False
) -> Run | None:
    """Returns the baseline of a base model in a project: the succeeded one, or with `live` a live
    one. One of before the base was changed does not count.
    """
    base = find_base(session, project_id, settings)
    of_content = [Run.created_at >= base.changed_at] if base and base.changed_at else []
    statuses = {RunStatus.SUCCEEDED, *(LIVE_RUN if live else ())}
    return session.scalars(
        select(Run)
        .where(
            Run.project_id == project_id,
            Run.job == Job.BASELINE,
            Run.status.in_(statuses),
            Run.parameters["base_model"].astext == settings.base_model,
            func.coalesce(Run.parameters["revision"].astext, "") == (settings.revision or ""),
            *of_content,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()


def list_scores(session: Session, run_id: int) -> Sequence[Score]:
    return session.scalars(
        select(Score).where(Score.run_id == run_id).order_by(Score.split, Score.id)
    ).all()


def list_live_workers(session: Session) -> Sequence[Worker]:
    """Returns the workers heard of within half a minute."""
    return session.scalars(
        select(Worker)
        .where(Worker.seen_at > func.now() - timedelta(seconds=30))
        .order_by(Worker.name)
    ).all()


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
