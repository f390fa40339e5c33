"""Shows the progress of `illume loop`: bars on a terminal, lines in a file or a pipe."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy.orm import Session

from app.cli.console import console, is_terminal
from app.kit.db import session_scope
from app.kit.errors import AppError
from app.lifecycle import CLOSED_ROUND, RUN_TRANSITIONS, Job, RunStatus
from app.models import Round, Run
from app.queries.rounds import rounds as queries
from app.queries.rounds.progress import RunProgress, get_progress
from app.queries.runs.runs import find_latest_run
from app.reward_results import ReinforcementProgress
from app.round_settings import LoopSettings
from app.run_results import TrainingProgress, WorkProgress
from app.strategies import get_strategy

POLL_SECONDS = 0.5
# A phase that takes long says in between how far it is.
LINE_SECONDS = 30.0


@dataclass(frozen=True)
class Phase:
    """The progress of one run of a round, in shards, items or steps."""

    name: str
    status: RunStatus
    done: int
    total: int
    per_second: float | None

    @property
    def is_over(self) -> bool:
        return not RUN_TRANSITIONS[self.status]


class View(Protocol):
    def show(self, phase: Phase) -> None: ...


def watch(project_id: int) -> None:
    """Shows how far the loop is until it has ended; raises AppError when a run of it has failed."""
    bars = _bars() if is_terminal and not console.is_dumb_terminal else None
    view: View = Bars(bars) if bars else Lines()
    around: AbstractContextManager[object] = bars or nullcontext()
    with around:
        while not _has_ended(project_id, view):
            time.sleep(POLL_SECONDS)


def _has_ended(project_id: int, view: View) -> bool:
    """One look at the newest rounds: shows their phases and says whether nothing is to come."""
    with session_scope() as session:
        round_ = queries.find_last_round(session, project_id)
        assert round_ is not None  # noqa: S101 - the loop has started one
        for entry in queries.list_rounds(session, project_id)[-2:]:
            for phase in _phases(session, entry):
                view.show(phase)
        failed = queries.find_failed_run(session, round_.id)
        if failed is not None:
            raise AppError(
                f"Round {round_.number}: {failed.job} failed. {failed.error}\n"
                "Mend the cause, then: illume round retry, or illume round cancel."
            )
        # Where another round follows, it begins with the end of the one before.
        return round_.status in CLOSED_ROUND and not _is_baseline_live(session, project_id)


def _phases(session: Session, round_: Round) -> list[Phase]:
    return [
        Phase(
            name=_name(round_, entry.run),
            status=entry.run.status,
            done=done,
            total=total or 1,
            per_second=entry.per_second if entry.n_shards else None,
        )
        for entry in get_progress(session, round_).runs
        for done, total in [_extent(entry)]
    ]


def _name(round_: Round, run: Run) -> str:
    """Returns the name of a phase; of several runs each has that of its strategy
    and role."""
    has_roles = run.strategy is not None and len(get_strategy(run.strategy).roles) > 1
    role = f" {run.role}" if has_roles and run.role else ""
    is_mixed = LoopSettings.model_validate(round_.settings).is_mixed
    strategy = f" {run.strategy}" if is_mixed and run.strategy else ""
    return f"round {round_.number} {run.job.value}{strategy}{role}"


def _extent(entry: RunProgress) -> tuple[int, int]:
    """Returns how far a run is, and of how much: in shards, items or steps."""
    if entry.n_shards:
        return entry.n_shards_done, entry.n_shards
    if entry.run.job is Job.CLOSE:
        closing = WorkProgress.read(entry.run.progress)
        return closing.done, closing.total
    if entry.run.job is Job.REINFORCE:
        rewarded = ReinforcementProgress.read(entry.run.progress)
        return rewarded.step, rewarded.n_steps
    if entry.run.job is Job.TRAIN:
        training = TrainingProgress.read(entry.run.progress)
        return training.step, training.n_steps
    return 0, 0


def _is_baseline_live(session: Session, project_id: int) -> bool:
    first = next(iter(queries.list_rounds(session, project_id)))
    run = find_latest_run(session, first.id, Job.BASELINE)
    return run is not None and run.finished_at is None


# --- Two ways to see it -----------------------------------------------------------------------


class Lines:
    """Prints a line whenever a phase changes its status, and one now and then while it runs."""

    def __init__(self) -> None:
        self._status: dict[str, RunStatus] = {}
        self._begun: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def show(self, phase: Phase) -> None:
        now = time.monotonic()
        begun = self._begun.setdefault(phase.name, now)
        if phase.status is not self._status.get(phase.name):
            if phase.status is RunStatus.RUNNING:
                self._begun[phase.name] = now  # waiting for a worker is not counted
            took = f" after {now - begun:.0f} s" if phase.is_over else ""
            self._say(f"{phase.name}: {phase.status.value}{took}")
        elif phase.status is RunStatus.RUNNING and now - self._told[phase.name] >= LINE_SECONDS:
            self._say(f"{phase.name}: {phase.done} of {phase.total}{_speed(phase, ', ')}")
        else:
            return
        self._status[phase.name], self._told[phase.name] = phase.status, now

    def _say(self, text: str) -> None:
        # The console sends every line off at once, so that a file or pipe has it while we work.
        console.print(text, highlight=False, markup=False, soft_wrap=True)


class Bars:
    """Draws a bar per phase."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._shown: dict[str, TaskID] = {}

    def show(self, phase: Phase) -> None:
        if phase.name not in self._shown:
            self._shown[phase.name] = self._bars.add_task(phase.name, total=phase.total, note="")
        self._bars.update(
            self._shown[phase.name],
            total=phase.total,
            completed=phase.total if phase.is_over else phase.done,
            note=_speed(phase),
        )


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _speed(phase: Phase, before: str = "") -> str:
    return f"{before}{phase.per_second:.0f}/s" if phase.per_second else ""
