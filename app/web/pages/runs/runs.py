"""The cards of runs: how far they are, who does them, what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.lifecycle import LIVE_RUN, QUEUES, SHARDED, Job, RunStatus
from app.models import Run
from app.queries.projects.overview import WorkerLine
from app.queries.runs.failures import FailureLine, JobFailures
from app.reward_results import ReinforcementProgress, ReinforcementResult
from app.run_results import Preparation, TrainingProgress, TrainingResult, WorkProgress
from app.strategies.monologue import OBSERVER, REASONER
from app.web.language.labels import word

JOB_LABELS: dict[Job, Sentence] = {
    Job.BASELINE: Sentence("Measure the base model"),
    Job.GENERATE: Sentence("Sample rationales"),
    Job.JUDGE: Sentence("Judge by the critic"),
    Job.BRANCH: Sentence("Continue from a look"),
    Job.CLOSE: Sentence("Close the round"),
    Job.TRAIN: Sentence("Train the adapter"),
    Job.REINFORCE: Sentence("Learn from rewards"),
    Job.EVALUATE: Sentence("Evaluate the adapter"),
    Job.IMPORT: Sentence("Import"),
    Job.RELEASE: Sentence("Build the release"),
    Job.ASSESS: Sentence("Gather the evidence"),
    Job.COMPARE: Sentence("Sample to compare"),
    Job.TRY: Sentence("Try two models"),
}

SAMPLING = frozenset({Job.GENERATE, Job.COMPARE})
"""Jobs whose shards are counted in draws, those of others in items."""
JOBS_IN_STEPS = (Job.CLOSE, Job.IMPORT, Job.RELEASE, Job.ASSESS)
"""Jobs whose progress names the step that they are at."""

TRAINING_LABELS = {
    REASONER: Sentence("Train the reasoner"),
    OBSERVER: Sentence("Train the observer"),
}
"""By the role that is trained, where a strategy has several."""

REWARD_LABELS = {
    REASONER: Sentence("Reward the reasoner"),
    OBSERVER: Sentence("Reward the observer"),
}
"""By the role that learns from rewards."""


@dataclass(frozen=True)
class Work:
    """The progress of a run: how much it has written, how fast, for how long, and by whom.

    `step`: what a run of several steps is at. `result`: of a training that has ended.
    `rewarded`: of a run that has learned from rewards.
    """

    is_trying: bool
    n_draws: int
    n_items: int
    step: str
    result: TrainingResult | None
    rewarded: ReinforcementResult | None
    per_second: float | None
    seconds_left: float | None
    took: timedelta | None
    workers: Sequence[str]
    attempt: int
    silent_seconds: float | None
    stale_seconds: float

    @property
    def resumed_from_step(self) -> int | None:
        """Returns the step from which a training went on; None where it did not stop."""
        trained = self.result or self.rewarded
        return trained.resumed_from_step if trained else None


@dataclass(frozen=True)
class RunCard:
    id: int
    job: Job
    label: str
    status: RunStatus
    is_live: bool
    n_done: int
    n_total: int
    unit: str
    work: Work
    error: str
    error_details: str
    failures: JobFailures | None
    wait: str
    """Why a queued run does not start, with `command` as the mend where there is one."""
    command: str


def run_card(
    run: Run,
    workers: Sequence[WorkerLine],
    *,
    n_shards: int = 0,
    n_shards_done: int = 0,
    n_written: int = 0,
    per_second: float | None = None,
    seconds_left: float | None = None,
    worker_names: Sequence[str] = (),
    failures: JobFailures | None = None,
    is_mixed: bool = False,
) -> RunCard:
    n_done, n_total, unit = _extent(run, n_shards, n_shards_done)
    error, details = split_error(run.error)
    wait, command = _wait(run, workers)
    is_running = run.status is RunStatus.RUNNING
    return RunCard(
        id=run.id,
        job=run.job,
        label=run_label(run, is_mixed=is_mixed),
        status=run.status,
        is_live=run.status in LIVE_RUN,
        n_done=n_done,
        n_total=n_total,
        unit=unit,
        work=Work(
            is_trying=is_running and Preparation.read(run.progress).doing is not None,
            n_draws=n_written if run.job in SAMPLING else 0,
            n_items=n_written if run.job in SHARDED - SAMPLING else 0,
            step=_step(run),
            result=TrainingResult.find(run.result) if run.job is Job.TRAIN else None,
            rewarded=_rewarded(run),
            per_second=per_second if is_running else None,
            seconds_left=seconds_left if is_running else None,
            took=_took(run),
            workers=worker_names if is_running else (),
            attempt=run.attempt if is_running else 0,
            silent_seconds=_silence(run),
            stale_seconds=get_settings().stale_seconds,
        ),
        error=error,
        error_details=details,
        failures=failures or _left_out(run),
        wait=wait,
        command=command,
    )


def run_label(run: Run, *, is_mixed: bool = False) -> Sentence:
    """Returns what a run does, and for which role where its strategy has several; in a mixed round
    for which strategy, too."""
    if is_mixed and run.strategy:
        return Sentence("%(what)s: %(strategy)s", what=run_label(run), strategy=run.strategy)
    labels = {Job.TRAIN: TRAINING_LABELS, Job.REINFORCE: REWARD_LABELS}.get(run.job, {})
    return labels.get(run.role or "") or JOB_LABELS[run.job]


def split_error(error: str | None) -> tuple[str, str]:
    """Returns what went wrong, and where: a sentence has no second part, a crash has its lines."""
    if error is None or isinstance(error, Sentence):
        return error or "", ""
    first, _, details = error.partition("\n")
    return first, details.strip()


def _extent(run: Run, n_shards: int, n_shards_done: int) -> tuple[int, int, str]:
    if run.job in SHARDED:
        return n_shards_done, n_shards, Sentence("shards")
    if run.job is Job.TRAIN:
        if run.status is RunStatus.SUCCEEDED:
            n_steps = TrainingResult.read(run.result).n_steps
            return n_steps, n_steps, Sentence("steps")
        training = TrainingProgress.read(run.progress)
        return training.step, training.n_steps, Sentence("steps")
    if run.job is Job.REINFORCE:
        rewarded = _rewarded(run)
        going = ReinforcementProgress.read(run.progress)
        n_done, n_all = (rewarded.n_steps,) * 2 if rewarded else (going.step, going.n_steps)
        return n_done, n_all, Sentence("steps")
    progress = WorkProgress.read(run.progress)
    # What is quick ends before it has told of its last step.
    n_done = progress.total if run.status is RunStatus.SUCCEEDED else progress.done
    return n_done, progress.total, Sentence("items") if run.job is Job.CLOSE else ""


def _rewarded(run: Run) -> ReinforcementResult | None:
    return ReinforcementResult.find(run.result) if run.job is Job.REINFORCE else None


def _step(run: Run) -> str:
    """Returns what a run of several steps is doing now."""
    if run.job is Job.TRAIN and run.status in LIVE_RUN:
        is_first = TrainingProgress.read(run.progress).is_first_stage
        return Sentence("at the first stage") if is_first else ""
    if run.job not in JOBS_IN_STEPS or run.status not in LIVE_RUN:
        return ""
    step = WorkProgress.read(run.progress).step
    return word(step) if step else ""


def _took(run: Run) -> timedelta | None:
    if run.status is RunStatus.RUNNING or run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


def _silence(run: Run) -> float | None:
    """Seconds since a running run was heard of, where they are so many that one asks."""
    if run.status is not RunStatus.RUNNING or run.heartbeat_at is None:
        return None
    silent = (datetime.now(UTC) - run.heartbeat_at).total_seconds()
    settings = get_settings()
    is_long = silent > max(4 * settings.heartbeat_seconds, settings.stale_seconds / 2)
    return silent if is_long else None


def _left_out(run: Run) -> JobFailures | None:
    """The items that a training had to do without, as its result names them."""
    result = TrainingResult.find(run.result) if run.job is Job.TRAIN else None
    if result is None or not result.n_left_out:
        return None
    lines = tuple(
        FailureLine(entry.item_id, entry.external_id, entry.kind, entry.reason)
        for entry in result.left_out
    )
    return JobFailures(result.n_left_out, lines)


def _wait(run: Run, workers: Sequence[WorkerLine]) -> tuple[str, str]:
    """Why a queued run is not taken, and the command that mends it."""
    if run.status is not RunStatus.QUEUED:
        return "", ""
    queue = QUEUES[run.job]
    able = [line for line in workers if queue in line.worker.queues]
    if not able:
        return (
            Sentence("Queued, but no live worker does this kind of work. Start one:"),
            f"illume worker --queues {queue}",
        )
    if all(line.run is not None for line in able):
        return Sentence("Queued until a worker is free."), ""
    return Sentence("Queued; a worker takes it in a moment."), ""
