"""What the pages show of runs: how far, who does it, what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from app.kit.settings import get_settings
from app.kit.texts import Amount, CountedSentence, Deferred, Sentence
from app.lifecycle import LIVE_RUN, QUEUES, SHARDED, FailureKind, Job, RunStatus
from app.models import Run
from app.queries.projects.overview import WorkerLine
from app.queries.runs.failures import FailureLine, JobFailures
from app.web.language.labels import word
from app.web.render.templating import duration, significant

JOB_LABELS: dict[Job, Sentence] = {
    Job.BASELINE: Sentence("Measure the base model"),
    Job.GENERATE: Sentence("Sample rationales"),
    Job.JUDGE: Sentence("Judge by the critic"),
    Job.TRAIN: Sentence("Train the adapter"),
    Job.EVALUATE: Sentence("Evaluate the adapter"),
    Job.IMPORT: Sentence("Import"),
    Job.RELEASE: Sentence("Build the release"),
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
        failures=failures or _left_out(run),
        wait=wait,
        command=command,
    )


def _extent(run: Run, n_shards: int, n_shards_done: int) -> tuple[int, int, str]:
    if run.job in SHARDED:
        return n_shards_done, n_shards, Sentence("shards")
    if run.job is Job.TRAIN:
        if run.status is RunStatus.SUCCEEDED:
            n_steps = int(run.result.get("n_steps", 0))
            return n_steps, n_steps, Sentence("steps")
        n_done, n_total = run.progress.get("step", 0), run.progress.get("n_steps", 0)
        return int(n_done), int(n_total), Sentence("steps")
    return int(run.progress.get("done", 0)), int(run.progress.get("total", 0)), ""


def _work_notes(
    run: Run, n_written: int, per_second: float | None, seconds_left: float | None
) -> list[str]:
    notes: list[str] = []
    if run.status is RunStatus.RUNNING and run.progress.get("doing"):
        notes.append(Sentence("the model is being tried before anything is sampled"))
    if run.job is Job.GENERATE and n_written:
        notes.append(Sentence("%(n)s draws", n=Amount(n_written)))
    elif run.job in SHARDED and n_written:
        notes.append(Sentence("%(n)s items", n=Amount(n_written)))
    elif run.job in (Job.IMPORT, Job.RELEASE) and run.status in LIVE_RUN:
        step = run.progress.get("step")
        notes += [word(step)] if step else []
    elif run.job is Job.TRAIN:
        notes += _training_notes(run.result)
    if run.status is RunStatus.RUNNING:
        if per_second:
            rate = Deferred(partial(significant, per_second))
            notes.append(Sentence("%(n)s per second", n=rate))
        if seconds_left is not None:
            notes.append(Sentence("about %(time)s left", time=_time(seconds_left)))
    elif run.started_at and run.finished_at:
        took = _time(run.finished_at - run.started_at)
        notes.append(Sentence("took %(time)s", time=took))
    return notes


def _left_out(run: Run) -> JobFailures | None:
    """The items that a training had to do without, as its result names them."""
    if not run.result.get("n_left_out"):
        return None
    lines = tuple(
        FailureLine(
            entry["item_id"],
            entry["external_id"],
            FailureKind(entry.get("kind", "image")),  # older trainings knew no other
            entry["reason"],
        )
        for entry in run.result["left_out"]
    )
    return JobFailures(run.result["n_left_out"], lines)


def _time(span: timedelta | float) -> Deferred:
    return Deferred(partial(duration, span))


def _training_notes(result: Mapping[str, Any]) -> list[str]:
    if "n_rows" not in result:
        return []
    notes: list[str] = [
        Sentence(
            "%(n)s rationale rows of %(all)s",
            n=Amount(result["n_rationale_rows"]),
            all=Amount(result["n_rows"]),
        ),
        Sentence(
            "epoch %(chosen)s of %(all)s chosen on validation",
            chosen=result["chosen_epoch"],
            all=result["epochs_run"],
        ),
    ]
    if result.get("n_written_rows"):
        n_written = Amount(result["n_written_rows"])
        notes.insert(1, Sentence("%(n)s of them corrected by annotators", n=n_written))
    if result.get("n_unreadable"):
        notes.append(
            CountedSentence(
                "%(n)s row left out: its image or its text cannot be used",
                "%(n)s rows left out: their images or their texts cannot be used",
                n=result["n_unreadable"],
            )
        )
    if result.get("resumed_from_step"):
        notes.append(Sentence("resumed from step %(n)s", n=result["resumed_from_step"]))
    return notes


def _who(run: Run, worker_names: Sequence[str]) -> list[str]:
    if run.status is not RunStatus.RUNNING:
        return []
    notes: list[str] = []
    if worker_names:
        notes.append(Sentence("by %(workers)s", workers=", ".join(worker_names)))
    if run.attempt > 1:
        notes.append(Sentence("attempt %(n)s", n=run.attempt))
    silent = (datetime.now(UTC) - run.heartbeat_at).total_seconds() if run.heartbeat_at else 0.0
    settings = get_settings()
    if silent > max(4 * settings.heartbeat_seconds, settings.stale_seconds / 2):
        notes.append(
            Sentence(
                "no sign of life for %(silent)s; another worker takes over after %(stale)s",
                silent=_time(silent),
                stale=_time(settings.stale_seconds),
            )
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
            Sentence("Queued, but no live worker does this kind of work. Start one:"),
            f"illume worker --queues {queue}",
        )
    if all(line.run is not None for line in able):
        return Sentence("Queued until a worker is free."), ""
    return Sentence("Queued; a worker takes it in a moment."), ""
