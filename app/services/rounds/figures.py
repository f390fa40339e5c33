"""Collects the figures of a round, which are stored with it when it is decided."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.lifecycle import Job, RunStatus, Split
from app.models import Round, Run
from app.queries.judging.draws import count_maps
from app.queries.projects.overview import sum_effort
from app.queries.rounds import figures as queries
from app.queries.rounds import rounds as round_queries
from app.queries.runs import runs as run_queries
from app.reward_results import ReinforcementResult
from app.round_settings import LoopSettings
from app.run_results import (
    CriticFigures,
    MixedStrategy,
    RewardedFigures,
    RoundFigures,
    TrainingResult,
)
from app.services.dataset.alone import count_askable
from app.services.judging.questions.tally import count_questions
from app.services.rounds.decision import floor_of
from app.services.runs.runs import list_chain

__all__ = ["collect_figures", "list_history"]


def collect_figures(session: Session, round_: Round) -> RoundFigures:
    """Returns coverage, change on measured items and the share of draws that fit."""
    settings = LoopSettings.model_validate(round_.settings)
    n_items, n_covered, n_before = queries.count_covered(
        session, round_.project_id, round_number=round_.number
    )
    baseline = round_queries.find_baseline_run(session, round_.project_id, settings)
    improved, regressed, n_measured = _changed_items(session, round_, settings, baseline)
    baseline_accuracy = _accuracy(session, baseline)
    strategies = _strategy_figures(session, round_, settings, baseline_accuracy)
    fits, judged = queries.count_fitting_draws(session, round_.id)
    return RoundFigures(
        n_items=n_items,
        n_open=queries.count_sampled(session, round_.id),
        n_covered=n_covered,
        newly_covered=n_covered - n_before,
        improved=improved + n_covered - n_before,
        regressed=regressed,
        n_measured=n_measured,
        validation_accuracy=_validation_accuracy(session, round_, settings, strategies),
        baseline_accuracy=baseline_accuracy,
        n_admitted=queries.count_admitted(session, round_.id),
        n_written_trained=_count_written_trained(session, round_),
        n_draws_fitting=fits,
        n_draws_judged=judged,
        episodes=queries.count_episodes(session, round_.id),
        rewarded=_rewarded_figures(session, round_),
        branches=queries.count_branches(session, round_.id),
        maps=count_maps(session, round_.id),
        questions=count_questions(session, round_),
        n_alone=_count_alone(session, round_, settings),
        effort=sum_effort(session, round_.id),
        strategies=strategies,
        critic=_critic_figures(session, round_),
    )


def _count_alone(session: Session, round_: Round, settings: LoopSettings) -> int:
    models = round_queries.list_round_models(session, round_.id)
    learned = {one.strategy for one in models if one.parent_adapter_id or one.new_adapter_id}
    return count_askable(session, round_.project_id, settings, learned=learned)


def list_history(session: Session, round_: Round) -> list[RoundFigures]:
    """Returns the figures of the completed rounds of a project up to this one, oldest first.

    Rounds on the prior alone are left out: they sample nothing, and could only look idle.
    """
    rounds = [
        entry
        for entry in [*queries.list_completed_before(session, round_), round_]
        if LoopSettings.model_validate(entry.settings).training.source != "prior"
    ]
    history = [RoundFigures.read(entry.figures) for entry in rounds]
    return [figures for figures in history if figures.is_complete]


def _count_written_trained(session: Session, round_: Round) -> int:
    """Rows of this round's training whose text a person wrote."""
    run = run_queries.find_latest_run(session, round_.id, Job.TRAIN)
    return TrainingResult.read(run.result).n_written_rows if run is not None else 0


def _rewarded_figures(session: Session, round_: Round) -> RewardedFigures | None:
    """Returns what was drawn to learn from rewards."""
    results = [
        ReinforcementResult.read(run.result)
        for run in run_queries.list_round_runs(session, round_.id)
        if run.job is Job.REINFORCE and run.status is RunStatus.SUCCEEDED
    ]
    if not results:
        return None
    return RewardedFigures(
        n_draws=sum(result.n_draws for result in results),
        n_tokens=sum(result.n_tokens for result in results),
        seconds=round(sum(result.seconds for result in results), 2),
    )


def _validation_accuracy(
    session: Session,
    round_: Round,
    settings: LoopSettings,
    strategies: Sequence[MixedStrategy],
) -> float | None:
    """Of several strategies the mean: the floor is asked of each, and no decision goes by this."""
    if not settings.is_mixed:
        return _accuracy(session, run_queries.find_evaluation(session, round_.id))
    known = [one.validation_accuracy for one in strategies if one.validation_accuracy is not None]
    return sum(known) / len(known) if known else None


def _strategy_figures(
    session: Session, round_: Round, settings: LoopSettings, baseline_accuracy: float | None
) -> tuple[MixedStrategy, ...]:
    """Returns what each strategy of a mixed round comes to, as it was measured last."""
    if not settings.is_mixed:
        return ()
    sampled = round_queries.list_sampled_strategies(session, round_.id)
    return tuple(
        MixedStrategy(
            strategy=name,
            validation_accuracy=_accuracy(
                session, queries.find_evaluation_of(session, round_, name, up_to=round_.number)
            ),
            floor=floor_of(settings.stop, baseline_accuracy),
            sat_out=name not in sampled,
        )
        for name in settings.shares
    )


def _changed_items(
    session: Session, round_: Round, settings: LoopSettings, baseline: Run | None
) -> tuple[int, int, int]:
    """Validation items whose rationale began or ceased to fit since the previous evaluation, and
    how many have a verdict in both. Of several strategies an item fits where the rationale of one
    of them does."""
    if settings.is_mixed:
        old, new = (
            _fits_of_any(session, round_, settings, baseline, up_to=round_.number - back)
            for back in (1, 0)
        )
    else:
        now = run_queries.find_evaluation(session, round_.id)
        previous = queries.find_previous_evaluation(session, round_) or baseline
        if now is None or previous is None:
            return 0, 0, 0
        old, new = _fits(session, previous), _fits(session, now)
    both = old.keys() & new.keys()
    improved = sum(new[item_id] > old[item_id] for item_id in both)
    regressed = sum(new[item_id] < old[item_id] for item_id in both)
    return improved, regressed, len(both)


def _fits_of_any(
    session: Session, round_: Round, settings: LoopSettings, baseline: Run | None, *, up_to: int
) -> dict[int, bool]:
    """Whether a strategy's rationale fits, by item, each strategy as it was measured last up to a
    round, or as the base model before that."""
    found: dict[int, bool] = {}
    for name in settings.shares:
        run = queries.find_evaluation_of(session, round_, name, up_to=up_to) or baseline
        for item_id, fits in (_fits(session, run) if run is not None else {}).items():
            found[item_id] = found.get(item_id, False) or fits
    return found


def _fits(session: Session, run: Run) -> dict[int, bool]:
    return queries.list_validation_fits(session, [entry.id for entry in list_chain(session, run)])


def _accuracy(session: Session, run: Run | None) -> float | None:
    if run is None:
        return None
    for score in round_queries.list_scores(session, run.id):
        if score.split is Split.VALIDATION and score.name == "answer_accuracy":
            return score.value
    return None


def _critic_figures(session: Session, round_: Round) -> CriticFigures | None:
    """Returns the figures of a critic over all draws, shown or not (see critic_judging)."""
    run = run_queries.find_latest_run(session, round_.id, Job.JUDGE)
    if run is None or run.status is not RunStatus.SUCCEEDED:
        return None
    return CriticFigures.read(run.result)
