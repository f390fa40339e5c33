"""A round of several strategies on a tiny random model: sampled together, trained and measured
apart, no Celery."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, ShardStatus
from app.models import (
    Candidate,
    Project,
    Round,
    RoundCandidate,
    RoundModel,
    Run,
    RunShard,
    Sample,
    TrainingRow,
)
from app.queries.projects.overview import list_scores_by_round
from app.queries.runs.runs import find_evaluation
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until,
    work_until_done,
)

pytestmark = pytest.mark.slow

MIX = {"strategies": ["direct:1", "self_questioning:1"]}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def samples_of(session: Session, round_id: int) -> list[Sample]:
    statement = select(Sample).join(Run, Run.id == Sample.run_id).where(Run.round_id == round_id)
    return list(session.scalars(statement.order_by(Sample.id)))


def drawn(session: Session, round_id: int, strategy: str) -> dict[tuple[object, ...], str]:
    """The texts of a strategy's draws, by what tells them from each other in any project."""
    found: dict[tuple[object, ...], str] = {}
    for sample in samples_of(session, round_id):
        if sample.strategy == strategy:
            candidate = session.get(Candidate, sample.candidate_id) if sample.candidate_id else None
            key = (sample.seed, sample.temperature, sample.number, sample.log_probability)
            found[key] = candidate.text if candidate else ""
    return found


def test_all_strategies_draw_their_share_and_learn_apart_from_what_all_of_them_found(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(tiny_model, **MIX)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
        alone = make_picture_project(session, tiny_settings(tiny_model), tmp_path)
    round_id = start_first_round(database, project)
    alone_id = start_first_round(database, alone)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        runs = session.scalars(select(Run).where(Run.round_id == round_id).order_by(Run.id)).all()
        assert [(run.job, run.strategy, run.role) for run in runs if run.strategy] == [
            (Job.TRAIN, "direct", "model"),
            (Job.TRAIN, "self_questioning", "model"),
            (Job.EVALUATE, "direct", None),
            (Job.EVALUATE, "self_questioning", None),
        ]
        assert [run.job for run in runs if run.job is Job.GENERATE] == [Job.GENERATE]

        # Half of the 24 draws each, the same ones as a strategy alone makes with these numbers.
        counts = Counter(sample.strategy for sample in samples_of(session, round_id))
        assert counts == {"direct": 12, "self_questioning": 12}
        own, whole = (drawn(session, id_, "direct") for id_ in (round_id, alone_id))
        assert len(whole) == 24
        assert own.items() <= whole.items()

        # One text, one candidate, whoever drew it; draws of all are counted together.
        of_round = session.scalars(
            select(RoundCandidate).where(RoundCandidate.round_id == round_id)
        ).all()
        assert sum(one.n_draws for one in of_round) == sum(
            sample.candidate_id is not None for sample in samples_of(session, round_id)
        )
        for shard in session.scalars(
            select(RunShard).join(Run).where(Run.round_id == round_id, Run.job == Job.GENERATE)
        ):
            assert set(shard.strategy_seconds) == {"direct", "self_questioning"}

        rows = [
            {
                row.candidate_id
                for row in session.scalars(select(TrainingRow).where(TrainingRow.run_id == run.id))
                if row.candidate_id
            }
            for run in runs
            if run.job is Job.TRAIN
        ]
        assert rows[0] == rows[1]
        assert rows[0], "what was admitted of both"
        figures = RoundFigures.read(round_.figures)
        assert [one.strategy for one in figures.strategies] == ["direct", "self_questioning"]
        assert all(one.validation_accuracy is not None for one in figures.strategies)

        # Where one number is told of the round, it is that of the first strategy.
        first = find_evaluation(session, round_id)
        assert first is not None
        assert first.strategy == "direct"
        told = [entry.score.run_id for entry in list_scores_by_round(session, project.id)]
        assert first.id in told
        others = {run.id for run in runs if run.job is Job.EVALUATE} - {first.id}
        assert not others & set(told)
    assert_each_goes_on_from_its_own(database, project, round_id, settings)


def assert_each_goes_on_from_its_own(
    database: sessionmaker[Session], project: Project, first_id: int, settings: LoopSettings
) -> None:
    with database.begin() as session:
        again = session.get_one(Project, project.id)
        second = rounds.create_round(session, again, settings=settings, actor=None)
        start_round(session, second, actor=None)
        second_id = second.id
    work_until(database, Job.JUDGE)
    with database() as session:
        made = {
            model.strategy: model.new_adapter_id
            for model in session.scalars(select(RoundModel).where(RoundModel.round_id == first_id))
        }
        assert len(set(made.values()) - {None}) == 2
        for sample in samples_of(session, second_id):
            assert sample.adapter_id == made[sample.strategy]


def test_a_strategy_that_learns_from_its_own_finds_is_taught_nothing_else(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    training = {"epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4, "learns_from": "own"}
    settings = tiny_settings(tiny_model, training=training, **MIX)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        trainings = session.scalars(
            select(Run).where(Run.round_id == round_id, Run.job == Job.TRAIN)
        ).all()
        assert trainings
        for run in trainings:
            taught = session.scalars(
                select(TrainingRow.candidate_id).where(
                    TrainingRow.run_id == run.id, TrainingRow.candidate_id.is_not(None)
                )
            ).all()
            own = {
                sample.candidate_id
                for sample in samples_of(session, round_id)
                if sample.strategy == run.strategy
            }
            assert set(taught) <= own


def test_one_that_sits_out_is_not_sampled_but_learns_and_is_measured(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(tiny_model, **MIX)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
        round_ = rounds.create_round(session, project, settings=settings, actor=None)
        session.get_one(RoundModel, (round_.id, "self_questioning", "model")).sits_out = True
        start_round(session, round_, actor=None)
        round_id = round_.id
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert {sample.strategy for sample in samples_of(session, round_id)} == {"direct"}
        shards = session.scalars(
            select(RunShard).join(Run).where(Run.round_id == round_id, Run.job == Job.GENERATE)
        ).all()
        assert {shard.status for shard in shards} == {ShardStatus.DONE}
        measured = session.scalars(
            select(Run.strategy).where(Run.round_id == round_id, Run.job == Job.EVALUATE)
        ).all()
        assert sorted(filter(None, measured)) == ["direct", "self_questioning"]
        figures = RoundFigures.read(session.get_one(Round, round_id).figures)
        assert [one.sat_out for one in figures.strategies] == [False, True]
