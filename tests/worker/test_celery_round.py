"""Rounds on real Celery worker processes."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, RunStatus, ShardStatus
from app.models import Candidate, Item, Project, Run, RunShard, Sample, Worker
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
)
from tests.support.worker_processes import (
    Processes,
    holding,
    kill_model_worker,
    pids_of_workers,
    processes,
    somebody_waits_for,
    wait_for,
    wait_until_closed,
)

N_ITEMS = 48
DRAWS_PER_ITEM = 4
LAST_ITEM = "SELECT 1 FROM round_item WHERE id = (SELECT max(id) FROM round_item) FOR NO KEY UPDATE"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def list_texts(session: Session, project_id: int) -> list[tuple[object, ...]]:
    """Every draw of a project, by what was drawn rather than by row numbers."""
    rows = session.execute(
        select(
            Item.external_id,
            Sample.prompt,
            Sample.temperature,
            Sample.number,
            Sample.seed,
            Candidate.text,
        )
        .join(Item, Item.id == Sample.item_id)
        .outerjoin(Candidate, Candidate.id == Sample.candidate_id)
        .where(Item.project_id == project_id)
    )
    return sorted((tuple(row) for row in rows), key=str)


def make_project_with_round(
    database: sessionmaker[Session], model: Path, folder: Path, *, n_train: int = 6
) -> tuple[Project, int]:
    folder.mkdir(exist_ok=True)
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(model), folder, n_train=n_train)
    return project, start_first_round(database, project)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_round_completes_on_worker_processes(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    _, round_id = make_project_with_round(database, tiny_model, tmp_path)
    with processes(tmp_path) as running:
        running.start("worker", "--queues", "gpu")
        running.start("worker", "--queues", "cpu")
        running.start("beat")
        round_ = wait_until_closed(database, round_id, running, seconds=200)
    assert round_.status is RoundStatus.COMPLETED
    with database() as session:
        statuses = dict(session.execute(select(Run.job, Run.status)).all())
    assert set(statuses) == {
        Job.BASELINE, Job.GENERATE, Job.JUDGE, Job.CLOSE, Job.TRAIN, Job.EVALUATE,
    }  # fmt: skip
    assert set(statuses.values()) == {RunStatus.SUCCEEDED}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_any_number_of_workers_draws_the_same(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    """The same data sampled by one worker, two, three, and one that is killed in the middle."""
    drawn: dict[str, Drawn] = {}
    for name, n_workers in (("one", 1), ("two", 2), ("three", 3), ("killed", 1)):

        def begin(name: str = name) -> tuple[Project, int]:
            folder = tmp_path / name / "data"
            return make_project_with_round(database, tiny_model, folder, n_train=N_ITEMS)

        def are_there(n_workers: int = n_workers) -> bool:
            return len(pids_of_workers(database, "gpu")) == n_workers

        (tmp_path / name).mkdir()
        with processes(tmp_path / name) as running:
            if name == "killed":
                project, round_id = begin()
                # It has inserted the draws of the last shard, and not committed them.
                with holding(database, LAST_ITEM):
                    start_workers(running, n_workers)
                    stuck = somebody_waits_for(database, "UPDATE round_item%")
                    wait_for(stuck, seconds=90, describe=running.logs)
                    kill_model_worker(database)
                    time.sleep(0.5)
            else:
                start_workers(running, n_workers)
                wait_for(are_there, seconds=120, describe=running.logs)
                project, round_id = begin()
            wait_for(
                lambda id_=round_id: is_sampled(database, id_),
                seconds=120,
                describe=running.logs,
            )
        with database.begin() as session:
            drawn[name] = read_draws(session, project.id, round_id)
            session.execute(Worker.__table__.delete())
    one = drawn["one"]
    assert len(one.texts) == N_ITEMS * DRAWS_PER_ITEM
    for name, other in drawn.items():
        assert other.texts == one.texts, name
        assert other.shards == one.shards, name
        assert other.n_attempts == len(one.shards) + (name == "killed"), "each shard done once"
    assert len(drawn["three"].workers) > 1, "more than one worker took part"


@dataclass(frozen=True)
class Drawn:
    """What a round drew, and by whom. shards: the items of each, by their names."""

    texts: list[tuple[object, ...]]
    shards: list[list[str]]
    n_attempts: int
    workers: set[int | None]


def read_draws(session: Session, project_id: int, round_id: int) -> Drawn:
    shards = session.scalars(
        select(RunShard)
        .join(Run, Run.id == RunShard.run_id)
        .where(Run.round_id == round_id, Run.job == Job.GENERATE)
        .order_by(RunShard.id)
    ).all()
    assert {shard.status for shard in shards} == {ShardStatus.DONE}
    assert sum(shard.n_written for shard in shards) == N_ITEMS * DRAWS_PER_ITEM
    items = select(Item.id, Item.external_id).where(Item.project_id == project_id)
    names = {item_id: name for item_id, name in session.execute(items)}  # noqa: C416 - of rows
    return Drawn(
        texts=list_texts(session, project_id),
        shards=[[names[item_id] for item_id in shard.item_ids] for shard in shards],
        n_attempts=sum(shard.attempt for shard in shards),
        workers={shard.worker_id for shard in shards},
    )


def start_workers(running: Processes, n_workers: int) -> None:
    for _ in range(n_workers):
        running.start("worker", "--queues", "gpu")
    running.start("worker", "--queues", "cpu")
    running.start("beat")


def is_sampled(database: sessionmaker[Session], round_id: int) -> bool:
    with database() as session:
        status = session.scalar(
            select(Run.status).where(Run.round_id == round_id, Run.job == Job.GENERATE)
        )
    return status is RunStatus.SUCCEEDED
