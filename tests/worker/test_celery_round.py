"""Rounds on real Celery worker processes."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus, RunStatus, ShardStatus
from app.models import Candidate, Item, Project, Run, RunShard, Sample
from app.round_settings import LoopSettings
from tests.support.models.families import build_llava
from tests.support.processes import is_running, stopped
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
)
from tests.support.worker_processes import (
    holding,
    kill_model_worker,
    pids_of_workers,
    processes,
    somebody_waits_for,
    wait_for,
    wait_until_closed,
)

N_ITEMS = 24
N_SHARDS = N_ITEMS // 2
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
    database: sessionmaker[Session],
    model: Path,
    folder: Path,
    *,
    n_train: int = 6,
    **changes: object,
) -> tuple[Project, int]:
    folder.mkdir(exist_ok=True)
    settings = tiny_settings(model, **changes)
    with database.begin() as session:
        project = make_picture_project(session, settings, folder, n_train=n_train)
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
    """The same data sampled by a worker that is killed in the middle, by one, two, and three.

    The workers stay from one to the next, and others join them: starting one takes longer than all
    that it draws here.
    """
    drawn: dict[str, Drawn] = {}
    by_people = LoopSettings().judging.model_dump(mode="json")

    def begin(name: str) -> tuple[Project, int]:
        return make_project_with_round(
            database, tiny_model, tmp_path / name, n_train=N_ITEMS, judging=by_people
        )

    def note(name: str, project: Project, round_id: int) -> None:
        wait_for(lambda: is_sampled(database, round_id), seconds=120, describe=running.logs)
        with database() as session:
            drawn[name] = read_draws(session, project.id, round_id)

    (tmp_path / "logs").mkdir()
    with processes(tmp_path / "logs") as running:
        # It has inserted the draws of the last shard, and not committed them.
        killed = begin("killed")
        with holding(database, LAST_ITEM):
            running.start("worker", "--queues", "gpu")
            running.start("worker", "--queues", "cpu")
            running.start("beat")
            stuck = somebody_waits_for(database, "UPDATE round_item%")
            wait_for(stuck, seconds=90, describe=running.logs)
            kill_model_worker(database)
            time.sleep(0.5)
        note("killed", *killed)
        note("one", *begin("one"))
        (first,) = live_workers(database)
        for name, n_workers in (("two", 2), ("three", 3)):
            running.start("worker", "--queues", "gpu")
            wait_for(
                lambda n=n_workers: len(live_workers(database)) == n,
                seconds=120,
                describe=running.logs,
            )
            # The first one, which is the fastest by now, waits until another has taken part.
            with stopped(first):
                project, round_id = begin(name)
                wait_for(
                    lambda id_=round_id: n_shards_done(database, id_) > 0,
                    seconds=120,
                    describe=running.logs,
                )
            note(name, project, round_id)
    one = drawn["one"]
    assert len(one.texts) == N_ITEMS * DRAWS_PER_ITEM
    for name, other in drawn.items():
        assert other.texts == one.texts, name
        assert other.shards == one.shards, name
        assert other.n_attempts == len(one.shards) + (name == "killed"), "each shard done once"
    assert len(one.shards) == N_SHARDS
    assert len(one.workers) == 1
    assert len(drawn["two"].workers) == 2
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


def live_workers(database: sessionmaker[Session]) -> list[int]:
    return [pid for pid in pids_of_workers(database, "gpu") if is_running(pid)]


def n_shards_done(database: sessionmaker[Session], round_id: int) -> int:
    with database() as session:
        return (
            session.query(RunShard)
            .join(Run, Run.id == RunShard.run_id)
            .filter(
                Run.round_id == round_id,
                Run.job == Job.GENERATE,
                RunShard.status == ShardStatus.DONE,
            )
            .count()
        )


def is_sampled(database: sessionmaker[Session], round_id: int) -> bool:
    """Whether all is drawn, and the measuring of the base model, which runs beside it, over."""
    with database() as session:
        runs = session.query(Run).filter_by(round_id=round_id).all()
    statuses = {run.job: run.status for run in runs}
    return statuses == {Job.BASELINE: RunStatus.SUCCEEDED, Job.GENERATE: RunStatus.SUCCEEDED}
