"""Figures for the pages of a project: what its rounds brought, what they cost, what is queued."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundItemState, RunStatus, Split, UserKind
from app.models import (
    Admission,
    Item,
    Membership,
    Round,
    Run,
    Score,
    Worker,
)
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.candidates import usable_items_statement
from app.queries.rounds.rounds import list_live_workers
from app.queries.runs.runs import stands_for_its_round
from app.run_results import JudgingEffort, RoundFigures


@dataclass(frozen=True)
class ProjectCounts:
    """Figures of a project; they count usable train items where nothing else is said."""

    n_train: int
    n_covered: int
    n_admitted: int
    n_set_aside: int
    effort: JudgingEffort


def count_project(session: Session, project_id: int) -> ProjectCounts:
    usable = usable_items_statement(project_id).where(Item.split == Split.TRAIN)
    n_train = session.execute(select(func.count()).select_from(usable.subquery())).scalar_one()
    n_covered, n_admitted = count_admitted(session, project_id)
    n_set_aside = session.execute(
        select(func.count(counted_items.item_id.distinct())).where(
            counted_items.project_id == project_id,
            counted_items.state == RoundItemState.SET_ASIDE,
            counted_items.item_id.in_(usable),
        )
    ).scalar_one()
    effort = _sum_kept_effort(session, project_id) + _sum_effort(
        session, Round.project_id == project_id, ~Round.figures.has_key(_EFFORT)
    )
    return ProjectCounts(n_train, n_covered, n_admitted, n_set_aside, effort)


def count_admitted(session: Session, project_id: int) -> tuple[int, int]:
    """Returns how many usable train items have an admitted rationale, and how many rationales are
    admitted of them."""
    usable = usable_items_statement(project_id).where(Item.split == Split.TRAIN)
    n_items, n_rationales = session.execute(
        select(
            func.count(Admission.item_id.distinct()), func.count(Admission.candidate_id.distinct())
        ).where(Admission.item_id.in_(usable))
    ).one()
    return n_items, n_rationales


_EFFORT = "effort"
"""Its key among the figures of a decided round (`RoundFigures`)."""


def _sum_kept_effort(session: Session, project_id: int) -> JudgingEffort:
    """What decided rounds keep: there it need not be summed up anew."""
    kept = session.scalars(
        select(Round.figures[_EFFORT]).where(
            Round.project_id == project_id, Round.figures.has_key(_EFFORT)
        )
    )
    return sum((JudgingEffort.read(entry) for entry in kept), JudgingEffort())


def find_effort(session: Session, round_: Round) -> JudgingEffort:
    """Returns how much people judged in a round: as it is stored once the round is decided."""
    figures = RoundFigures.find(round_.figures)
    stored = figures.effort if figures else None
    return sum_effort(session, round_.id) if stored is None else stored


def sum_effort(session: Session, round_id: int) -> JudgingEffort:
    """Returns how much people judged in a round, and the counted time that it took."""
    return _sum_effort(session, Round.id == round_id)


def _sum_effort(session: Session, *where: ColumnElement[bool]) -> JudgingEffort:
    judgements, counted_ms = session.execute(
        select(func.count(), func.coalesce(func.sum(counted_judgements.counted_ms), 0))
        .join(Round, Round.id == counted_judgements.round_id)
        .where(counted_judgements.user_kind == UserKind.PERSON, *where)
    ).one()
    return JudgingEffort(judgements=judgements, counted_ms=int(counted_ms))


@dataclass(frozen=True)
class RoundScore:
    """`round_number` is 0 for the base model before any round."""

    round_number: int
    score: Score


def list_scores_by_round(session: Session, project_id: int) -> list[RoundScore]:
    """Returns the scores of each round's newest evaluation, and of baselines, the
    newest one last.
    """
    newest = (
        select(func.max(Run.id))
        .outerjoin(Round, Round.id == Run.round_id)
        .where(
            Run.project_id == project_id,
            Run.status == RunStatus.SUCCEEDED,
            Run.job.in_([Job.EVALUATE, Job.BASELINE]),
            stands_for_its_round(),
        )
        .group_by(Run.job, Run.round_id)
    )
    rows = session.execute(
        select(Run.job, Round.number, Score)
        .join(Run, Run.id == Score.run_id)
        .outerjoin(Round, Round.id == Run.round_id)
        .where(Run.id.in_(newest))
        .order_by(Run.id, Score.split, Score.id)
    )
    return [
        RoundScore(0 if job is Job.BASELINE else number or 0, score) for job, number, score in rows
    ]


def count_annotators(session: Session, project_id: int) -> int:
    """Returns the number of a project's members: admins may judge too."""
    return session.execute(
        select(func.count()).where(Membership.project_id == project_id)
    ).scalar_one()


def list_project_runs(
    session: Session, project_id: int, job: Job, *, limit: int = 20
) -> Sequence[Run]:
    """Returns the newest runs of a job, newest first."""
    return session.scalars(
        select(Run)
        .where(Run.project_id == project_id, Run.job == job)
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


@dataclass(frozen=True)
class WorkerLine:
    worker: Worker
    run: Run | None
    round_number: int | None


def list_worker_lines(session: Session) -> list[WorkerLine]:
    """Returns the live workers with what each of them does."""
    workers = list_live_workers(session)
    rows = session.execute(
        select(Run, Round.number)
        .outerjoin(Round, Round.id == Run.round_id)
        .where(
            Run.id.in_([worker.run_id for worker in workers if worker.run_id]),
            Run.status == RunStatus.RUNNING,
        )
    )
    busy = {run.id: (run, number) for run, number in rows}
    return [WorkerLine(worker, *busy.get(worker.run_id or 0, (None, None))) for worker in workers]
