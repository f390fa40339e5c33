"""Learning from rewards: which role of a round's strategy learns when, and from which items.

It follows the trainings of the round, as runs of their own, one after the other: each has one role,
and the others rest with what they have learned so far. The items are the rows of the run's
manifest, which the database keeps to train items as it does those of any training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.lifecycle import Job, RunStatus
from app.models import Round, Run
from app.queries.rounds import manifest as queries
from app.queries.rounds.rounds import get_round_model
from app.queries.runs import runs as run_queries
from app.reward_results import ReinforcementPlan
from app.round_settings import LoopSettings, ReinforcementSettings
from app.services.runs import runs
from app.strategies import Strategy, get_strategy


@dataclass(frozen=True)
class Stretch:
    """Epochs in a row in which one role learns."""

    role: str
    epochs: tuple[int, ...]


def plan_stretches(
    settings: ReinforcementSettings, roles: Sequence[str], round_number: int
) -> list[Stretch]:
    """Returns who learns when. In turns of epochs the first role begins, in turns of rounds it
    learns in the first."""
    epochs = range(1, settings.epochs + 1)
    if settings.turns == "epochs":
        return [Stretch(roles[(epoch - 1) % len(roles)], (epoch,)) for epoch in epochs]
    place = (round_number - 1) % len(roles) if settings.turns == "rounds" else 0
    return [Stretch(roles[place], tuple(epochs))] if settings.epochs else []


def request_next(session: Session, round_: Round, settings: LoopSettings) -> Run | None:
    """Request the next run of a round that learns from rewards; returns None, and requests nothing,
    where none is left, or where nothing was ever trained that could go on."""
    for strategy in map(get_strategy, settings.shares):
        if strategy.learns_from_rewards:
            run = _request_next_of(session, round_, settings, strategy)
            if run is not None:
                return run
    return None


def _request_next_of(
    session: Session, round_: Round, settings: LoopSettings, strategy: Strategy
) -> Run | None:
    done = [
        run
        for run in run_queries.list_round_runs(session, round_.id)
        if run.job is Job.REINFORCE
        and run.status is RunStatus.SUCCEEDED
        and run.strategy == strategy.name
    ]
    stretches = plan_stretches(settings.reinforcement, strategy.roles, round_.number)
    for stretch in stretches[len(done) :]:
        models = get_round_model(session, round_.id, strategy=strategy.name, role=stretch.role)
        adapter_id = models.new_adapter_id or models.parent_adapter_id
        if adapter_id is None:
            return None
        before = next((run for run in done if run.role == stretch.role), None)
        reference = ReinforcementPlan.read(before.parameters).reference_id if before else None
        return _request(session, round_, settings, strategy, stretch, reference or adapter_id)
    return None


def _request(  # noqa: PLR0917 - what the run is of, and where it begins
    session: Session,
    round_: Round,
    settings: LoopSettings,
    strategy: Strategy,
    stretch: Stretch,
    reference_id: int,
) -> Run | None:
    run = runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.REINFORCE,
        strategy=strategy.name,
        role=stretch.role,
    )
    n_items = _write_manifest(session, round_, settings, run)
    plan = ReinforcementPlan(epochs=stretch.epochs, reference_id=reference_id, n_items=n_items)
    run.parameters = plan.dump()
    return run


def _write_manifest(session: Session, round_: Round, settings: LoopSettings, run: Run) -> int:
    """Add the items of an epoch to the manifest of a run, without a rationale; the same ones in all
    runs of a round. Returns how many there are."""
    queries.begin_choice(session)
    n_all = 0
    for range_ in queries.list_train_ranges(session, round_.project_id):
        item_ids = queries.list_unexplained(session, round_.project_id, run.id, range_)
        places = [unit_hash("rewards", settings.seed, round_.number, id_) for id_ in item_ids]
        queries.add_to_choice(session, item_ids, places)
        n_all += len(item_ids)
    return queries.insert_chosen(session, run.id, settings.reinforcement.max_items or n_all)
