"""A round that learns from rewards: who learns when, from which items, and what is stored of it."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, Split
from app.models import Adapter, Item, Round, RoundModel, Run, TrainingRow
from app.reward_results import ReinforcementPlan, ReinforcementResult
from app.round_settings import LoopSettings, ReinforcementSettings
from app.run_results import RoundFigures
from app.services.rounds.reinforcement import Stretch, plan_stretches
from app.strategies.monologue import MONOLOGUE
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import start_first_round, work_until_done
from tests.worker.stages.test_monologue_round import make_project

REWARDS = {"items_per_step": 2, "draws_per_item": 2, "max_items": 4, "epochs": 3}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def runs_of(session: Session, job: Job) -> list[Run]:
    return list(session.scalars(select(Run).where(Run.job == job).order_by(Run.id)))


@pytest.mark.slow
def test_a_round_learns_from_rewards_after_its_trainings(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    project = make_project(database, tiny_model, tmp_path, "prior", reinforcement=REWARDS)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        round_ = session.get_one(Round, round_id)
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert round_.status is RoundStatus.COMPLETED
        made = runs_of(session, Job.REINFORCE)
        assert [run.role for run in made] == ["reasoner", "observer", "reasoner"]
        plans = [ReinforcementPlan.read(run.parameters) for run in made]
        assert [plan.epochs for plan in plans] == [(1,), (2,), (3,)]
        assert {plan.n_items for plan in plans} == {4}

        trained = {run.role: run for run in runs_of(session, Job.TRAIN)}
        adapters = {one.run_id: one for one in session.scalars(select(Adapter))}
        first = {role: adapters[run.id] for role, run in trained.items()}
        # The divergence is that from the training of the round, in both epochs of the reasoner.
        assert [plan.reference_id for plan in plans] == [
            first["reasoner"].id,
            first["observer"].id,
            first["reasoner"].id,
        ]
        ends = {one.role: one.new_adapter_id for one in session.scalars(select(RoundModel))}
        chain = [adapters[run.id] for run in made]
        assert ends == {"reasoner": chain[2].id, "observer": chain[1].id}
        assert [one.parent_id for one in chain] == [
            first["reasoner"].id,
            first["observer"].id,
            chain[0].id,
        ]
        assert chain[0].digest != first["reasoner"].digest

        results = [ReinforcementResult.read(run.result) for run in made]
        assert [result.n_steps for result in results] == [2, 2, 2]
        assert [result.n_draws for result in results] == [8, 8, 8]
        assert results[0].n_tokens > 8
        assert len(results[0].curve) == 2
        rewarded = RoundFigures.read(round_.figures).rewarded
        assert rewarded is not None
        assert rewarded.n_draws == 24
        assert rewarded.n_tokens == sum(result.n_tokens for result in results)
        assert rewarded.seconds > 0

        rows = session.scalars(
            select(TrainingRow).where(TrainingRow.run_id.in_([run.id for run in made]))
        ).all()
        splits = {session.get_one(Item, row.item_id).split for row in rows}
        assert splits == {Split.TRAIN}
        assert len({row.item_id for row in rows}) == 4, "the same items in every epoch"


def test_no_prompt_is_of_a_held_out_item(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    project = make_project(database, tiny_model, tmp_path, "prior", reinforcement=REWARDS)
    with database.begin() as session:
        run = Run(project_id=project.id, job=Job.REINFORCE)
        session.add(run)
        session.flush()
        held_out = session.scalars(
            select(Item.id).where(Item.project_id == project.id, Item.split == Split.TEST)
        ).first()
        for split in (Split.TRAIN, Split.TEST):
            values = {"run_id": run.id, "item_id": held_out, "split": split}
            with pytest.raises(IntegrityError), session.begin_nested():
                session.execute(insert(TrainingRow), [values])


@pytest.mark.parametrize(
    ("turns", "number", "expected"),
    [
        ("epochs", 1, [Stretch("reasoner", (1,)), Stretch("observer", (2,))]),
        ("rounds", 1, [Stretch("reasoner", (1, 2))]),
        ("rounds", 2, [Stretch("observer", (1, 2))]),
        ("reasoner", 2, [Stretch("reasoner", (1, 2))]),
    ],
)
def test_who_learns_from_rewards_is_a_setting(
    turns: str, number: int, expected: list[Stretch]
) -> None:
    settings = ReinforcementSettings.model_validate({"epochs": 2, "turns": turns})
    assert plan_stretches(settings, MONOLOGUE.roles, number) == expected
    none = ReinforcementSettings.model_validate({"turns": turns})
    assert plan_stretches(none, MONOLOGUE.roles, number) == []


def test_only_a_monologue_learns_from_rewards() -> None:
    with pytest.raises(ValueError, match="Only the strategy monologue learns from rewards"):
        LoopSettings.model_validate({"reinforcement": {"epochs": 1}})
