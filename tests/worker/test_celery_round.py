"""Rounds on real Celery worker processes."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, RunStatus, ShardStatus
from app.models import Candidate, Item, Project, Run, RunShard, Sample, Worker
from tests.worker.ml.families import build_llava
from tests.worker.stages.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
)
from tests.worker.worker_processes import processes, wait_for, wait_until_closed


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
    assert set(statuses) == {Job.BASELINE, Job.GENERATE, Job.JUDGE, Job.TRAIN, Job.EVALUATE}
    assert set(statuses.values()) == {RunStatus.SUCCEEDED}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_three_workers_draw_what_one_draws(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    """The same data sampled twice: once by one worker, once by three; each shard done once."""
    texts = []
    shards_by_worker: set[int | None] = set()
    for n_workers in (1, 3):
        folder = tmp_path / str(n_workers)
        with processes(folder_of(folder)) as running:
            for _ in range(n_workers):
                running.start("worker", "--queues", "gpu")
            wait_for(
                lambda n=n_workers: count_workers(database) == n,
                seconds=120,
                describe=running.logs,
            )
            project, round_id = make_project_with_round(
                database, tiny_model, folder / "data", n_train=48
            )
            wait_for(
                lambda id_=round_id: is_sampled(database, id_),
                seconds=120,
                describe=running.logs,
            )
        with database.begin() as session:
            texts.append(list_texts(session, project.id))
            shards = session.scalars(
                select(RunShard)
                .join(Run, Run.id == RunShard.run_id)
                .where(Run.round_id == round_id, Run.job == Job.GENERATE)
            ).all()
            assert {shard.status for shard in shards} == {ShardStatus.DONE}
            assert {shard.attempt for shard in shards} == {1}
            assert sum(shard.n_written for shard in shards) == 48 * 4
            if n_workers == 3:
                shards_by_worker = {shard.worker_id for shard in shards}
            session.execute(Worker.__table__.delete())
    assert len(texts[0]) == 48 * 4
    assert texts[0] == texts[1]
    assert len(shards_by_worker) > 1, "more than one worker took part"


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def count_workers(database: sessionmaker[Session]) -> int:
    with database() as session:
        return session.scalar(select(func.count()).select_from(Worker)) or 0


def is_sampled(database: sessionmaker[Session], round_id: int) -> bool:
    with database() as session:
        status = session.scalar(
            select(Run.status).where(Run.round_id == round_id, Run.job == Job.GENERATE)
        )
    return status is RunStatus.SUCCEEDED
