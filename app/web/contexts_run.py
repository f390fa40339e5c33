"""What the pages show of runs: how far, who does it, what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.lifecycle import LIVE_RUN, QUEUES, SHARDED, Job, RunStatus
from app.models import Run
from app.queries.failures import JobFailures
from app.queries.overview import WorkerLine
from app.settings import get_settings
from app.web.templating import duration

JOB_LABELS: dict[Job, str] = {
    Job.BASELINE: "Measure the base model",
    Job.GENERATE: "Sample rationales",
    Job.JUDGE: "Judge by the critic",
    Job.TRAIN: "Train the adapter",
    Job.EVALUATE: "Evaluate the adapter",
    Job.IMPORT: "Import",
    Job.RELEASE: "Build the release",
}


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
    notes: tuple[str, ...]
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
) -> RunCard:
    n_done, n_total, unit = _extent(run, n_shards, n_shards_done)
    error, _, details = (run.error or "").partition("\n")
    wait, command = _wait(run, workers)
    notes = [*_work_notes(run, n_written, per_second, seconds_left), *_who(run, worker_names)]
    return RunCard(
        id=run.id,
        job=run.job,
        label=JOB_LABELS[run.job],
        status=run.status,
        is_live=run.status in LIVE_RUN,
        n_done=n_done,
        n_total=n_total,
        unit=unit,
        notes=tuple(notes),
        error=error,
        error_details=details.strip(),
        failures=failures,
        wait=wait,
        command=command,
    )


def _extent(run: Run, n_shards: int, n_shards_done: int) -> tuple[int, int, str]:
    if run.job in SHARDED:
        return n_shards_done, n_shards, "shards"
    if run.job is Job.TRAIN:
        if run.status is RunStatus.SUCCEEDED:
            n_steps = int(run.result.get("n_steps", 0))
            return n_steps, n_steps, "steps"
        return int(run.progress.get("step", 0)), int(run.progress.get("n_steps", 0)), "steps"
    return int(run.progress.get("done", 0)), int(run.progress.get("total", 0)), ""


def _work_notes(
    run: Run, n_written: int, per_second: float | None, seconds_left: float | None
) -> list[str]:
    notes: list[str] = []
    if run.job is Job.GENERATE and n_written:
        notes.append(f"{n_written:,} draws")
    elif run.job in SHARDED and n_written:
        notes.append(f"{n_written:,} items")
    elif run.job in (Job.IMPORT, Job.RELEASE) and run.status in LIVE_RUN:
        step = run.progress.get("step")
        notes += [str(step)] if step else []
    elif run.job is Job.TRAIN:
        notes += _training_notes(run.result)
    if run.status is RunStatus.RUNNING:
        if per_second:
            notes.append(f"{per_second:.3g} per second")
        if seconds_left is not None:
            notes.append(f"about {duration(seconds_left)} left")
    elif run.started_at and run.finished_at:
        notes.append(f"took {duration(run.finished_at - run.started_at)}")
    return notes


def _training_notes(result: Mapping[str, Any]) -> list[str]:
    if "n_rows" not in result:
        return []
    notes = [
        f"{result['n_rationale_rows']:,} rationale rows of {result['n_rows']:,}",
        f"epoch {result['chosen_epoch']} of {result['epochs_run']} chosen on validation",
    ]
    if result.get("n_written_rows"):
        notes.insert(1, f"{result['n_written_rows']:,} of them corrected by annotators")
    if result.get("n_unreadable"):
        notes.append(f"{result['n_unreadable']:,} rows left out: their images cannot be read")
    if result.get("resumed_from_step"):
        notes.append(f"resumed from step {result['resumed_from_step']}")
    return notes


def _who(run: Run, worker_names: Sequence[str]) -> list[str]:
    if run.status is not RunStatus.RUNNING:
        return []
    notes = [f"by {', '.join(worker_names)}"] if worker_names else []
    if run.attempt > 1:
        notes.append(f"attempt {run.attempt}")
    silent = (datetime.now(UTC) - run.heartbeat_at).total_seconds() if run.heartbeat_at else 0.0
    settings = get_settings()
    if silent > max(4 * settings.heartbeat_seconds, settings.stale_seconds / 2):
        notes.append(
            f"no sign of life for {duration(silent)}; another worker takes over after "
            f"{duration(settings.stale_seconds)}"
        )
    return notes


def _wait(run: Run, workers: Sequence[WorkerLine]) -> tuple[str, str]:
    """Why a queued run is not taken, and the command that mends it."""
    if run.status is not RunStatus.QUEUED:
        return "", ""
    queue = QUEUES[run.job]
    able = [line for line in workers if queue in line.worker.queues]
    if not able:
        return (
            "Queued, but no live worker does this kind of work. Start one:",
            f"illume worker --queues {queue}",
        )
    if all(line.run is not None for line in able):
        return "Queued until a worker is free.", ""
    return "Queued; a worker takes it in a moment.", ""
