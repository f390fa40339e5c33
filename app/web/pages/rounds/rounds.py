"""The page of a round: where it stands, what runs, what it brought."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import (
    CLOSED_ROUND,
    JUDGEABLE_ROUND,
    LIVE_RUN,
    Job,
    RoundStatus,
    can_advance,
)
from app.models import Project, Round, Run
from app.queries.projects import overview
from app.queries.quality.evidence import find_newest
from app.queries.rounds.progress import RoundProgress, get_progress
from app.queries.rounds.rounds import find_failed_run
from app.queries.runs.failures import list_round_failures
from app.round_settings import LoopSettings
from app.run_results import EvaluationResult, RoundFigures, TrainingProgress, TrainingResult
from app.services.rounds.bases import has_found_another
from app.strategies.monologue import OBSERVER, REASONER
from app.web.pages.rounds.comparison import is_being_compared
from app.web.pages.rounds.evidence import is_being_measured
from app.web.pages.rounds.findings import RoundFindings, round_findings
from app.web.pages.rounds.forecast import ForecastPart, forecast_part
from app.web.pages.rounds.next_step import RoundStep, next_step
from app.web.pages.rounds.rewards import reward_charts
from app.web.pages.runs.runs import RunCard, run_card
from app.web.render.charts import Chart, line_chart


@dataclass(frozen=True)
class Step:
    label: str
    state: str
    """is-done, is-current, is-failed or nothing: the classes of the stylesheet."""


@dataclass(frozen=True)
class Effort:
    """The time that people spent on the judging of a round."""

    minutes: float
    minutes_per_rationale: float | None
    """Of those that were admitted; None until there are any."""


@dataclass(frozen=True)
class RoundState:
    """The part of the page that renews itself."""

    round_id: int
    status: RoundStatus
    seen: str
    """Changes when the page has something to announce, or to show below this part."""
    announcement: str
    polls: bool
    next_step: RoundStep
    steps: tuple[Step, ...]
    runs: tuple[RunCard, ...]
    shows_work: bool
    """Whether a run is live or has failed, so that somebody should look."""
    progress: RoundProgress
    effort: Effort | None
    """None where a critic judges."""
    forecast: ForecastPart | None
    """None where nothing is left to judge, and where a critic judges."""
    token_limit: int
    figures: RoundFigures | None
    """None before the round is decided."""
    loss_charts: Sequence[Chart]
    workers: Sequence[overview.WorkerLine]
    n_leaked_images: int
    is_judged_by_people: bool
    can_start: bool
    can_judge: bool
    can_close: bool
    can_retry: bool
    base_is_changed: bool
    can_cancel: bool


@dataclass(frozen=True)
class RoundPage:
    project: Project
    round: Round
    state: RoundState
    findings: RoundFindings


STEPS = (
    (RoundStatus.GENERATING, Sentence("Sample")),
    (RoundStatus.JUDGING, Sentence("Judge")),
    (RoundStatus.CLOSING, Sentence("Admit")),
    (RoundStatus.TRAINING, Sentence("Train")),
    (RoundStatus.EVALUATING, Sentence("Evaluate")),
    (RoundStatus.COMPLETED, Sentence("Decided")),
)

ANNOUNCEMENTS = {
    RoundStatus.DRAFT: Sentence("is set up and not started yet"),
    RoundStatus.GENERATING: Sentence("is being sampled"),
    RoundStatus.JUDGING: Sentence("is being judged"),
    RoundStatus.CLOSING: Sentence("is being closed"),
    RoundStatus.TRAINING: Sentence("trains the model"),
    RoundStatus.EVALUATING: Sentence("is being evaluated"),
    RoundStatus.COMPLETED: Sentence("is completed"),
    RoundStatus.CANCELLED: Sentence("is cancelled"),
}


def _seen(session: Session, round_: Round, progress: RoundProgress) -> str:
    """Returns what the status of a round, and what is stored about it, can be told by."""
    stored_at = find_newest(session, round_.id)
    marks = [
        str(round_.status),
        "judged" if progress.n_annotators else "",
        "measuring" if is_being_measured(progress) else "",
        "comparing" if is_being_compared(progress) else "",
        f"{stored_at:%Y%m%d%H%M%S%f}" if stored_at else "",
    ]
    return "-".join(filter(None, marks))


def _announcement(round_: Round) -> Sentence:
    return Sentence(
        "Round %(number)s %(stands)s.", number=round_.number, stands=ANNOUNCEMENTS[round_.status]
    )


def round_page(session: Session, project: Project, round_: Round) -> RoundPage:
    state = round_state(session, project, round_)
    return RoundPage(
        project=project,
        round=round_,
        state=state,
        findings=round_findings(session, round_, state.progress),
    )


def round_state(session: Session, project: Project, round_: Round) -> RoundState:
    settings = LoopSettings.model_validate(round_.settings)
    progress = get_progress(session, round_)
    workers = overview.list_worker_lines(session)
    failures = list_round_failures(session, round_.id)
    has_failed = find_failed_run(session, round_.id) is not None
    is_open = round_.status not in CLOSED_ROUND
    is_by_people = settings.judging.judges.are_people
    has_live_runs = any(entry.run.status in LIVE_RUN for entry in progress.runs)
    figures = RoundFigures.find(round_.figures)
    return RoundState(
        round_id=round_.id,
        status=round_.status,
        seen=_seen(session, round_, progress),
        announcement=_announcement(round_),
        # A draft changes by hand only; a closed round whose baseline still runs does not end yet.
        polls=has_live_runs or (is_open and round_.status is not RoundStatus.DRAFT),
        next_step=next_step(
            session,
            project,
            round_,
            progress,
            has_failed=has_failed,
            is_by_people=is_by_people,
        ),
        steps=_steps(round_.status, settings, has_failed=has_failed and is_open),
        runs=tuple(
            run_card(
                entry.run,
                workers,
                n_shards=entry.n_shards,
                n_shards_done=entry.n_shards_done,
                n_written=entry.n_written,
                per_second=entry.per_second,
                seconds_left=entry.seconds_left,
                worker_names=entry.worker_names,
                failures=failures.get(entry.run.job),
                is_mixed=settings.is_mixed,
            )
            for entry in progress.runs
        ),
        shows_work=has_live_runs or has_failed,
        progress=progress,
        effort=_effort(session, round_, figures) if is_by_people else None,
        forecast=forecast_part(session, round_, progress) if is_by_people else None,
        token_limit=settings.sampling.max_new_tokens,
        figures=figures,
        loss_charts=(*_loss_charts(progress), *reward_charts(progress)),
        workers=workers,
        n_leaked_images=_count_leaked(progress),
        is_judged_by_people=is_by_people,
        can_start=round_.status is RoundStatus.DRAFT,
        can_judge=is_by_people and round_.status in JUDGEABLE_ROUND,
        can_close=is_by_people and round_.status is RoundStatus.JUDGING,
        can_retry=has_failed and is_open,
        base_is_changed=has_failed and is_open and has_found_another(session, round_),
        can_cancel=can_advance(round_.status, RoundStatus.CANCELLED),
    )


def _steps(status: RoundStatus, settings: LoopSettings, *, has_failed: bool) -> tuple[Step, ...]:
    skipped = (
        {RoundStatus.GENERATING, RoundStatus.JUDGING, RoundStatus.CLOSING}
        if settings.training.waits_for_nobody
        else set()
    )
    shown = [(own, label) for own, label in STEPS if own not in skipped]
    order = [own for own, _ in shown]
    current = order.index(status) if status in order else -1
    steps = []
    for index, (own, label) in enumerate(shown):
        if index < current or (index == current and own is RoundStatus.COMPLETED):
            state = "is-done"
        elif index == current:
            state = "is-failed" if has_failed else "is-current"
        else:
            state = ""
        steps.append(Step(label, state))
    return tuple(steps)


def _effort(session: Session, round_: Round, figures: RoundFigures | None) -> Effort:
    minutes = overview.find_effort(session, round_).counted_ms / 60_000
    n_admitted = figures.n_admitted if figures else 0
    return Effort(minutes, minutes / n_admitted if n_admitted else None)


def _find_run(progress: RoundProgress, job: Job) -> Run | None:
    return next((entry.run for entry in progress.runs if entry.run.job is job), None)


LOSS_LABELS = {
    "answer": Sentence("answers"),
    "rationale": Sentence("rationales"),
    "question": Sentence("questions"),
    "description": Sentence("descriptions"),
    "dropped": Sentence("what is to be said less (0.5 at first)"),
    "observation": Sentence("observations"),
    "pointing": Sentence("pointing at places"),
}


LOSS_TITLES = {
    REASONER: Sentence("Training loss of the reasoner"),
    OBSERVER: Sentence("Training loss of the observer"),
}
"""By the role that is trained, where a strategy has several."""


def _loss_charts(progress: RoundProgress) -> tuple[Chart, ...]:
    """Returns a chart for each training of the round that has a loss to show."""
    trainings = [entry.run for entry in progress.runs if entry.run.job is Job.TRAIN]
    is_mixed = len({run.strategy for run in trainings}) > 1
    charts = (_loss_chart(run, is_mixed=is_mixed) for run in trainings)
    return tuple(chart for chart in charts if chart is not None)


def _loss_chart(run: Run, *, is_mixed: bool) -> Chart | None:
    result = TrainingResult.read(run.result)
    points: dict[str, list[tuple[float, float]]] = {}
    for point in result.curve or TrainingProgress.read(run.progress).curve:
        for name, loss in point.losses.items():
            points.setdefault(name, []).append((point.step, loss))
    validation = [
        (entry.epoch * result.steps_per_epoch, entry.loss)
        for entry in result.validations
        if points and entry.loss is not None
    ]
    title = LOSS_TITLES.get(run.role or "", Sentence("Training loss"))
    if is_mixed and run.strategy:
        title = Sentence("%(what)s: %(strategy)s", what=title, strategy=run.strategy)
    return line_chart(
        title,
        [
            *((LOSS_LABELS.get(name, name), line) for name, line in points.items()),
            (Sentence("validation, weighted sum"), validation),
        ],
        x_label=Sentence("nats per token, by step"),
    )


def _count_leaked(progress: RoundProgress) -> int:
    run = _find_run(progress, Job.EVALUATE)
    return EvaluationResult.read(run.result).n_leaked_images if run else 0
