"""Two adapters compared from the button to the result: on real workers, which are killed meanwhile.

People judge here through the services that their page calls.
"""

import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.evidence import ComparisonFigures
from app.lifecycle import (
    EvidenceKind,
    Job,
    Purpose,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
)
from app.models import (
    Adapter,
    ComparisonCandidate,
    ComparisonItem,
    Item,
    Project,
    Round,
    RoundItem,
    Run,
    RunShard,
    TrainingRow,
    User,
)
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.rounds import list_round_models
from app.round_settings import LoopSettings
from app.services.quality.comparisons import request_comparison
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.support.factories import make_membership, make_user
from tests.support.models.families import build_llava
from tests.support.quality.anchors import judge_all
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from tests.support.worker_processes import (
    Processes,
    holding,
    kill_model_worker,
    processes,
    somebody_waits_for,
    wait_for,
    wait_until_closed,
)

N_TEST = 3
DRAWS_PER_ITEM = 4


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def people_settings(model: Path) -> LoopSettings:
    return tiny_settings(
        model,
        judging={"judges": "people", "max_shown": 4, "overlap": 2},
        stop={"accuracy_floor": 0.0, "round_limit": 5},
    )


def make_project_of_people(
    database: sessionmaker[Session], model: Path, folder: Path
) -> tuple[Project, list[int]]:
    with database.begin() as session:
        project = make_picture_project(session, people_settings(model), folder)
        people = [make_user(session) for _ in range(2)]
        for user in people:
            make_membership(session, project, user)
        return project, [user.id for user in people]


def judge(database: sessionmaker[Session], round_id: int, people: list[int]) -> None:
    """Let people judge all of a round; what nobody is left for ends its judging."""
    with database.begin() as session:
        users = [session.get_one(User, user_id) for user_id in people]
        judge_all(session, session.get_one(Round, round_id), users)


def start_second(database: sessionmaker[Session], project_id: int) -> int:
    with database.begin() as session:
        project = session.get_one(Project, project_id)
        settings = LoopSettings.model_validate(project.settings)
        round_ = rounds.create_round(session, project, settings=settings, actor=None)
        start_round(session, round_, actor=None)
        return round_.id


def ask(database: sessionmaker[Session], round_id: int) -> int:
    with database.begin() as session:
        round_ = session.get_one(Round, round_id)
        return request_comparison(session, round_, n_items=N_TEST, actor=None).id


def assert_sampled_once(database: sessionmaker[Session], comparison_id: int) -> None:
    """Every test item has the draws of both adapters, each draw once."""
    with database() as session:
        sums = session.execute(
            select(func.sum(ComparisonCandidate.n_old), func.sum(ComparisonCandidate.n_new))
            .where(ComparisonCandidate.comparison_id == comparison_id)
            .group_by(ComparisonCandidate.item_id)
        ).all()
        assert len(sums) == N_TEST
        for n_old, n_new in sums:
            assert 0 < n_old <= DRAWS_PER_ITEM
            assert 0 < n_new <= DRAWS_PER_ITEM


def assert_result(database: sessionmaker[Session], round_id: int) -> None:
    with database() as session:
        stored = list_evidence(session, [round_id])[round_id, EvidenceKind.COMPARISON]
        found = ComparisonFigures.read(stored.figures)
        assert (found.n_items, found.n_judged, found.n_judgements) == (N_TEST, N_TEST, 2 * N_TEST)
        assert found.n_wins + found.n_losses + found.n_ties == N_TEST
        # Nothing that is held out was judged for training, or trained on.
        trained = select(Item.split).join(TrainingRow, TrainingRow.item_id == Item.id)
        assert set(session.scalars(trained)) == {Split.TRAIN}
        purposes = session.execute(
            select(RoundItem.purpose)
            .join(Item, Item.id == RoundItem.item_id)
            .where(Item.split == Split.TEST)
        ).scalars()
        assert set(purposes) == {Purpose.COMPARISON}


def test_from_the_request_to_the_result_without_celery(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    project, people = make_project_of_people(database, tiny_model, tmp_path)
    first_id = start_first_round(database, project)
    work_until_done(database)
    judge(database, first_id, people)
    work_until_done(database)
    with database() as session:
        (model,) = list_round_models(session, first_id)
        assert model.parent_adapter_id is None, "the base model is the one before"
        assert model.new_adapter_id is not None
    comparison_id = ask(database, first_id)
    work_until_done(database)
    assert_sampled_once(database, comparison_id)
    second_id = start_second(database, project.id)
    work_until_done(database)
    judge(database, second_id, people)
    work_until_done(database)
    assert_result(database, first_id)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Adapter)) == 2
        carriers = session.scalars(
            select(ComparisonItem.round_id).where(ComparisonItem.comparison_id == comparison_id)
        )
        assert set(carriers) == {second_id}


def test_a_critic_compares_at_once(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(tiny_model), tmp_path)
    first_id = start_first_round(database, project)
    work_until_done(database)
    comparison_id = ask(database, first_id)
    work_until_done(database)
    assert_sampled_once(database, comparison_id)
    with database() as session:
        stored = list_evidence(session, [first_id])[first_id, EvidenceKind.COMPARISON]
        found = ComparisonFigures.read(stored.figures)
        assert (found.judged_by, found.n_judged, found.n_people) == ("rouge:0.01", N_TEST, 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_worker_processes_of_which_one_dies_while_it_samples(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    project, people = make_project_of_people(database, tiny_model, tmp_path)
    first_id = start_first_round(database, project)
    with processes(tmp_path) as running:
        running.start("worker", "--queues", "gpu")
        running.start("worker", "--queues", "cpu")
        running.start("beat")
        wait_for_judging(database, first_id, running)
        judge(database, first_id, people)
        first = wait_until_closed(database, first_id, running, seconds=180)
        assert first.status is RoundStatus.COMPLETED
        # It has stored the texts of a shard, and not committed them.
        with holding(database, "LOCK TABLE comparison_candidate IN SHARE MODE"):
            comparison_id = ask(database, first_id)
            waits = somebody_waits_for(database, "INSERT INTO comparison_candidate%")
            wait_for(waits, seconds=90, describe=running.logs)
            kill_model_worker(database)
            time.sleep(0.5)
        wait_for(
            lambda: run_status(database, first_id) is RunStatus.SUCCEEDED,
            seconds=180,
            describe=running.logs,
        )
        assert_sampled_once(database, comparison_id)
        second_id = start_second(database, project.id)
        wait_for_judging(database, second_id, running)
        judge(database, second_id, people)
        second = wait_until_closed(database, second_id, running, seconds=180)
        assert second.status is RoundStatus.COMPLETED
    assert_result(database, first_id)
    with database() as session:
        run_id = session.scalars(select(Run.id).where(Run.job == Job.COMPARE)).one()
        shards = session.scalars(select(RunShard).where(RunShard.run_id == run_id)).all()
        assert {shard.status for shard in shards} == {ShardStatus.DONE}
        assert max(shard.attempt for shard in shards) == 2, "one was done again, and kept once"


def wait_for_judging(database: sessionmaker[Session], round_id: int, running: Processes) -> None:
    def is_judged() -> bool:
        with database() as session:
            return session.get_one(Round, round_id).status is RoundStatus.JUDGING

    wait_for(is_judged, seconds=120, describe=running.logs)


def run_status(database: sessionmaker[Session], round_id: int) -> RunStatus:
    with database() as session:
        found = select(Run.status).where(Run.round_id == round_id, Run.job == Job.COMPARE)
        return session.scalars(found).one()
