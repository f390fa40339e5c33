"""What a round brought, in figures: stored with the round when it is decided."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundItemState, RoundStatus, RunStatus, Split
from app.models import (
    Admission,
    Prediction,
    Round,
    RoundCandidate,
    Run,
    VerdictRow,
)
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.candidates import usable_items_statement
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.services.rounds.decision import RoundFigures
from app.services.runs.runs import list_chain

__all__ = ["collect_figures", "list_history"]


def collect_figures(session: Session, round_: Round) -> dict[str, Any]:
    """Coverage, change on measured items, share of fitting draws. Keys of RoundFigures and more."""
    settings = LoopSettings.model_validate(round_.settings)
    trainable = set(round_queries.list_train_item_ids(session, round_.project_id))
    covered_before = _covered(session, round_, before=True) & trainable
    covered = _covered(session, round_, before=False) & trainable
    improved, regressed = _changed_items(session, round_, settings)
    baseline = round_queries.find_baseline_run(session, round_.project_id, settings)
    evaluation = find_evaluation(session, round_)
    figures = RoundFigures(
        n_items=len(trainable),
        n_open=_count_sampled(session, round_),
        n_covered=len(covered),
        newly_covered=len(covered - covered_before),
        improved=improved + len(covered - covered_before),
        regressed=regressed,
        validation_accuracy=_accuracy(session, evaluation),
        baseline_accuracy=_accuracy(session, baseline),
    )
    fits, judged = _fitting_draws(session, round_)
    n_admitted = session.execute(
        select(func.count()).where(Admission.round_id == round_.id)
    ).scalar_one()
    return {
        **asdict(figures),
        "n_admitted": n_admitted,
        "n_written_trained": _count_written_trained(session, round_),
        "n_draws_fitting": fits,
        "n_draws_judged": judged,
        **_critic_figures(session, round_),
    }


def list_history(session: Session, round_: Round) -> list[RoundFigures]:
    """Figures of the completed rounds of a project up to this one, oldest first."""
    rounds = session.scalars(
        select(Round)
        .where(
            Round.project_id == round_.project_id,
            Round.number < round_.number,
            Round.status == RoundStatus.COMPLETED,
        )
        .order_by(Round.number)
    ).all()
    names = RoundFigures.__dataclass_fields__
    return [
        RoundFigures(**{name: entry.figures[name] for name in names})
        for entry in [*rounds, round_]
        if all(name in entry.figures for name in names)
    ]


def find_evaluation(session: Session, round_: Round) -> Run | None:
    run = run_queries.find_latest_run(session, round_.id, Job.EVALUATE)
    return run if run is not None and run.status is RunStatus.SUCCEEDED else None


def _count_written_trained(session: Session, round_: Round) -> int:
    """Rows of this round's training whose text a person wrote."""
    run = run_queries.find_latest_run(session, round_.id, Job.TRAIN)
    return int(run.result.get("n_written_rows", 0)) if run is not None else 0


def _covered(session: Session, round_: Round, *, before: bool) -> set[int]:
    newest = Round.number < round_.number if before else Round.number <= round_.number
    return set(
        session.scalars(
            select(Admission.item_id)
            .join(Round, Round.id == Admission.round_id)
            .where(
                Round.project_id == round_.project_id,
                newest,
                Admission.item_id.in_(usable_items_statement(round_.project_id)),
            )
        )
    )


def _count_sampled(session: Session, round_: Round) -> int:
    return session.execute(
        select(func.count()).where(
            counted_items.round_id == round_.id, counted_items.state != RoundItemState.RESTING
        )
    ).scalar_one()


def _changed_items(session: Session, round_: Round, settings: LoopSettings) -> tuple[int, int]:
    """Validation items whose rationale began or ceased to fit since the previous evaluation."""
    now = find_evaluation(session, round_)
    previous = session.scalars(
        select(Run)
        .join(Round, Round.id == Run.round_id)
        .where(
            Run.project_id == round_.project_id,
            Run.job == Job.EVALUATE,
            Run.status == RunStatus.SUCCEEDED,
            Round.number < round_.number,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none() or round_queries.find_baseline_run(session, round_.project_id, settings)
    if now is None or previous is None:
        return 0, 0
    old, new = _fits(session, previous), _fits(session, now)
    both = old.keys() & new.keys()
    improved = sum(new[item_id] > old[item_id] for item_id in both)
    regressed = sum(new[item_id] < old[item_id] for item_id in both)
    return improved, regressed


def _fits(session: Session, run: Run) -> dict[int, bool]:
    run_ids = [entry.id for entry in list_chain(session, run)]
    rows = session.execute(
        select(Prediction.item_id, Prediction.fits).where(
            Prediction.run_id.in_(run_ids),
            Prediction.split == Split.VALIDATION,
            Prediction.fits.is_not(None),
        )
    )
    return {item_id: bool(fits) for item_id, fits in rows}


def _accuracy(session: Session, run: Run | None) -> float | None:
    if run is None:
        return None
    for score in round_queries.list_scores(session, run.id):
        if score.split is Split.VALIDATION and score.name == "answer_accuracy":
            return score.value
    return None


def _fitting_draws(session: Session, round_: Round) -> tuple[int, int]:
    """Draws whose candidate fits by a majority, and draws of judged candidates, as judged here."""
    votes = (
        select(
            VerdictRow.candidate_id,
            (2 * func.count().filter(VerdictRow.fits) > func.count()).label("fits"),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .where(VerdictRow.round_id == round_.id)
        .group_by(VerdictRow.candidate_id)
        .subquery()
    )
    row = session.execute(
        select(
            func.coalesce(func.sum(RoundCandidate.n_draws).filter(votes.c.fits), 0),
            func.coalesce(func.sum(RoundCandidate.n_draws), 0),
        )
        .join(votes, votes.c.candidate_id == RoundCandidate.candidate_id)
        .where(RoundCandidate.round_id == round_.id)
    ).one()
    return int(row[0]), int(row[1])


def _critic_figures(session: Session, round_: Round) -> dict[str, Any]:
    """What a critic found over all draws, shown or not (see critic_judging)."""
    run = run_queries.find_latest_run(session, round_.id, Job.JUDGE)
    if run is None or run.status is not RunStatus.SUCCEEDED:
        return {}
    return {f"critic_{name}": value for name, value in run.result.items()}
