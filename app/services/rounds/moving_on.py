"""A round moves on: when the runs that its status waits for are over, the next status begins.

Which runs those are, and which status follows, is data (`PHASES` in lifecycle.py). The success of a
run moves the round on in the same transaction that marks it as succeeded.
"""

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from app.events.rounds import RoundDecided
from app.lifecycle import PHASES, Decision, Job, RoundStatus
from app.models import Project, Round
from app.queries.quality.trails import renew_trails
from app.queries.rounds import rounds as queries
from app.queries.rounds.round_items import open_mixed_in
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.run_results import RoundFigures, StoredJson
from app.services.events import record
from app.services.judging.ending import end_if_all_judged
from app.services.quality.comparison_places import put_in_open_round
from app.services.round_status import advance
from app.services.rounds.decision import (
    can_go_on,
    decide,
    decide_after_prior,
    decide_untrained,
)
from app.services.rounds.figures import collect_figures, list_history
from app.services.rounds.reinforcement import request_next
from app.services.rounds.rounds import create_round, settings_of
from app.services.rounds.starting import held_out_blocks, start_round
from app.services.runs import runs


def finish_round_run(session: Session, run_id: int, *, attempt: int, result: StoredJson) -> None:
    """Mark a run as succeeded and take the step that follows, in one transaction.

    1. Lock the round first, then the run: everybody in the same order.
    2. Refuse an outdated attempt (LostRun).
    3. Move the round on, unless its status waits for other runs, or for none of this job.
    """
    run = run_queries.get_run(session, run_id)
    assert run.round_id is not None  # noqa: S101 - callers finish runs of rounds
    round_ = queries.lock_round(session, run.round_id)
    run = run_queries.lock_run(session, run_id)
    runs.finish_run(session, run, attempt=attempt, result=result)
    session.flush()  # the steps below look at the runs that are still live
    phase = PHASES.get(round_.status)
    if run.job is Job.COMPARE:
        put_in_open_round(session, round_.project_id)
        return
    if phase is None or run.job not in phase.jobs:
        return  # a baseline: no status waits for it
    if run_queries.has_open_runs(session, round_.id, phase.jobs):
        return
    settings = settings_of(round_)
    if Job.REINFORCE in phase.jobs and request_next(session, round_, settings) is not None:
        return
    _BEGIN[phase.following](session, round_, settings)


def _begin_judging(session: Session, round_: Round, settings: LoopSettings) -> None:
    advance(session, round_, RoundStatus.JUDGING, actor=None)
    # Two shards that ended at the same moment did not know of each other.
    open_mixed_in(session, round_.id, 1.0)
    if settings.judging.judges.are_people:
        _begin_closing(session, round_, settings)
    else:
        runs.request_run(session, project_id=round_.project_id, round_id=round_.id, job=Job.JUDGE)


def _begin_closing(session: Session, round_: Round, _settings: LoopSettings) -> None:
    end_if_all_judged(session, round_.id)


def _begin_training(session: Session, round_: Round, settings: LoopSettings) -> None:
    """The run that closed the round has requested the training, unless there is nothing for one."""
    if run_queries.has_open_runs(session, round_.id, PHASES[RoundStatus.TRAINING].jobs):
        advance(session, round_, RoundStatus.TRAINING, actor=None)
        return
    figures = collect_figures(session, round_)
    round_.figures = figures.dump()
    decision, reason = decide_untrained(round_.number, figures, settings.stop)
    _complete(session, round_, decision, reason)
    _go_on(session, round_, decision, settings, figures)


def _begin_evaluation(session: Session, round_: Round, settings: LoopSettings) -> None:
    advance(session, round_, RoundStatus.EVALUATING, actor=None)
    blocks = held_out_blocks(
        session, round_, settings, with_test=settings.evaluation.test_each_round
    )
    if not blocks:
        _decide(session, round_, settings)
        return
    for strategy in _list_trained(session, round_, settings):
        runs.request_run(
            session,
            project_id=round_.project_id,
            round_id=round_.id,
            job=Job.EVALUATE,
            strategy=strategy,
            item_blocks=blocks,
        )


def _list_trained(session: Session, round_: Round, settings: LoopSettings) -> list[str]:
    """The strategies of the round that were trained in it; the models of others are as they were
    when they were measured last."""
    if not settings.is_mixed:
        return [settings.strategy]
    of_runs = {
        run.strategy
        for run in run_queries.list_round_runs(session, round_.id)
        if run.job is Job.TRAIN
    }
    return [strategy for strategy in settings.shares if strategy in of_runs]


def _decide(session: Session, round_: Round, settings: LoopSettings) -> None:
    figures = collect_figures(session, round_)
    round_.figures = figures.dump()
    if settings.training.source == "prior":
        decision, reason = decide_after_prior(round_.number, settings.stop)
    else:
        decision, reason = decide(round_.number, list_history(session, round_), settings.stop)
    _complete(session, round_, decision, reason)
    _go_on(session, round_, decision, settings, figures)


def _go_on(
    session: Session,
    round_: Round,
    decision: Decision,
    settings: LoopSettings,
    figures: RoundFigures,
) -> None:
    """Begin the next round where it is to begin by itself and has something to begin with."""
    if decision is not Decision.CONTINUE or not settings.auto_continue or not can_go_on(figures):
        return
    session.flush()  # the next round may only open when this one is closed in the table
    project = session.get_one(Project, round_.project_id)
    following = create_round(session, project, settings=settings_after(settings), actor=None)
    start_round(session, following, actor=None)


def settings_after(settings: LoopSettings) -> LoopSettings:
    """Returns the settings of the round that follows by itself: the prior is learned once, and what
    follows samples from what came of it."""
    if settings.training.source != "prior":
        return settings
    training = settings.training.model_copy(update={"source": "admitted"})
    return settings.model_copy(update={"training": training})


def _complete(session: Session, round_: Round, decision: Decision, reason: str) -> None:
    advance(session, round_, RoundStatus.COMPLETED, actor=None)
    round_.decision = decision
    round_.decision_reason = reason
    renew_trails(session, round_.project_id)
    record(
        session,
        RoundDecided(decision=decision, reason=reason),
        project_id=round_.project_id,
        round_id=round_.id,
    )


_BEGIN: Mapping[RoundStatus, Callable[[Session, Round, LoopSettings], None]] = {
    RoundStatus.JUDGING: _begin_judging,
    RoundStatus.CLOSING: _begin_closing,
    RoundStatus.TRAINING: _begin_training,
    RoundStatus.EVALUATING: _begin_evaluation,
    RoundStatus.COMPLETED: _decide,
}
"""How each status begins, once the one before it is over."""
