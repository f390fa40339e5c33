"""`kill -9` at the worst moments: the round goes on, nothing is lost and nothing is done twice.

Each test holds a database lock that stops a worker exactly where it should die, kills it there,
and lets go. Settings are those of production; 90 seconds is what a death may cost.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.embedded import EmbeddedServices
from app.kit.storage import adapters_folder
from app.lifecycle import Job, RoundStatus, RunStatus, ShardStatus
from app.models import (
    Adapter,
    Admission,
    Branch,
    Prediction,
    Project,
    Round,
    Run,
    RunShard,
    Sample,
)
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.support.models.families import build_llava, build_paligemma
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
from tests.worker.stages.aside.test_branch import ask
from tests.worker.stages.test_monologue_round import (
    adapters_of,
    assert_same_episodes,
    make_project,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COST_OF_A_DEATH = 90.0
A_WHOLE_ROUND = 90.0
N_TRAIN = 12
DRAWS_PER_ITEM = 4


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as started:
        yield started


def begin(database: sessionmaker[Session], model: Path, folder: Path, **settings: object) -> int:
    with database.begin() as session:
        project = make_picture_project(
            session, tiny_settings(model, **settings), folder, n_train=N_TRAIN
        )
    return start_first_round(database, project)


def start_workers(running: Processes) -> None:
    running.start("worker", "--queues", "gpu")
    running.start("worker", "--queues", "cpu")
    running.start("beat")


def run_of(database: sessionmaker[Session], round_id: int, job: Job) -> Run | None:
    with database() as session:
        return session.scalars(
            select(Run).where(Run.round_id == round_id, Run.job == job)
        ).one_or_none()


def trains(database: sessionmaker[Session], round_id: int) -> Callable[[], bool]:
    """Whether the model worker trains; it takes one run at a time, so the base is evaluated."""

    def is_training() -> bool:
        run = run_of(database, round_id, Job.TRAIN)
        return run is not None and run.status is RunStatus.RUNNING

    return is_training


def assert_complete(database: sessionmaker[Session], round_id: int, running: Processes) -> None:
    """The round ends in time, with every draw and prediction exactly once."""
    started = time.monotonic()
    round_ = wait_until_closed(database, round_id, running, seconds=A_WHOLE_ROUND + COST_OF_A_DEATH)
    print(f"closed {time.monotonic() - started:.1f} s after the death")  # noqa: T201 - a figure
    assert round_.status is RoundStatus.COMPLETED

    def all_ended() -> bool:
        """The base may still be evaluated: no round waits for that."""
        with database() as session:
            live = {RunStatus.QUEUED, RunStatus.RUNNING}
            return not live & set(session.scalars(select(Run.status)))

    wait_for(all_ended, seconds=A_WHOLE_ROUND, describe=running.logs)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Sample)) == N_TRAIN * DRAWS_PER_ITEM
        assert session.scalar(select(func.count()).select_from(Prediction)) == 2 * 6
        assert session.scalar(select(func.count()).select_from(Adapter)) == 1
        shards = set(session.scalars(select(RunShard.status)))
        assert shards == {ShardStatus.DONE}
        assert set(session.scalars(select(Run.status))) == {RunStatus.SUCCEEDED}


def test_generate_between_insert_and_commit(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    round_id = begin(database, tiny_model, tmp_path)
    # Samples are inserted, then the items are opened: there the worker stops, uncommitted.
    with holding(database, "SELECT 1 FROM round_item FOR NO KEY UPDATE"):
        start_workers(running)
        wait_for(
            somebody_waits_for(database, "UPDATE round_item%"), seconds=90, describe=running.logs
        )
        kill_model_worker(database)
        time.sleep(0.5)
    assert_complete(database, round_id, running)


def test_generate_when_celery_dies_too(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    round_id = begin(database, tiny_model, tmp_path)
    with holding(database, "SELECT 1 FROM round_item FOR NO KEY UPDATE"):
        model_worker = running.start("worker", "--queues", "gpu")
        running.start("worker", "--queues", "cpu")
        running.start("beat")
        wait_for(
            somebody_waits_for(database, "UPDATE round_item%"), seconds=90, describe=running.logs
        )
        model_worker.send_signal(signal.SIGKILL)
        model_worker.wait(10)
    running.start("worker", "--queues", "gpu")  # what the supervisor does
    assert_complete(database, round_id, running)


@pytest.mark.parametrize("n_bases", [1, 2])
def test_a_shard_of_monologues_is_played_again_alike(
    n_bases: int,
    database: sessionmaker[Session],
    tiny_model: Path,
    tmp_path: Path,
    running: Processes,
) -> None:
    training = {"epochs": 40, "batch_size": 4, "rank": 8, "alpha": 16, "learning_rate": 0.01}
    own = tmp_path / "observer" if n_bases == 2 else None
    if own is not None:
        build_paligemma(own)
    bases = {"observer_model": None if own is None else str(own)}
    project = make_project(database, tiny_model, tmp_path, "prior", training, monologue=bases)
    settings = tiny_settings(tiny_model, strategy="monologue", training=training, monologue=bases)
    first_id = start_first_round(database, project)
    start_workers(running)
    wait_until_closed(database, first_id, running, seconds=2 * A_WHOLE_ROUND)
    with holding(database, "LOCK TABLE candidate IN SHARE MODE"):
        with database.begin() as session:
            again = session.get_one(Project, project.id)
            second = rounds.create_round(session, again, settings=settings, actor=None)
            start_round(session, second, actor=None)
            second_id = second.id
        wait_for(
            somebody_waits_for(database, "INSERT INTO candidate%"),
            seconds=90,
            describe=running.logs,
        )
        kill_model_worker(database)
        time.sleep(0.5)
    wait_until_closed(database, second_id, running, seconds=A_WHOLE_ROUND + COST_OF_A_DEATH)
    with database() as session:
        samples = session.scalars(select(Sample).order_by(Sample.id)).all()
        assert len(samples) == len({(s.item_id, s.seed) for s in samples}) == 24
        assert any((sample.trace or {})["turns"] for sample in samples), "nothing was asked"
        run = run_of(database, second_id, Job.GENERATE)
        assert run is not None
        attempts = session.scalars(select(RunShard.attempt).where(RunShard.run_id == run.id)).all()
        assert max(attempts) == 2, "it was played twice and kept once"
        models = adapters_of(session, first_id)
        reasoner, observer = models["reasoner"], models["observer"]
        assert reasoner is not None
        assert observer is not None
        assert_same_episodes(session, samples, settings, reasoner, observer, observer_model=own)


def test_train_between_adapter_and_row(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    # Of a rank no other test trains: adapters are named by content, and ours must be new.
    training = {"epochs": 2, "batch_size": 4, "rank": 3, "alpha": 4}
    round_id = begin(database, tiny_model, tmp_path, training=training)
    before = set(adapters_folder().glob("*")) if adapters_folder().is_dir() else set()

    start_workers(running)
    wait_for(trains(database, round_id), seconds=120, describe=running.logs, every=0.02)
    with holding(database, "SELECT 1 FROM round FOR NO KEY UPDATE"):
        wait_for(
            lambda: {p for p in adapters_folder().glob("*") if p.name[0] != "."} - before,
            seconds=90,
            describe=running.logs,
        )
        wait_for(somebody_waits_for(database, "%round%"), seconds=30, describe=running.logs)
        kill_model_worker(database)
        time.sleep(0.5)
        with database() as session:
            assert session.scalar(select(func.count()).select_from(Adapter)) == 0
    assert_complete(database, round_id, running)


def test_train_goes_on_from_its_saved_state(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    training = {"epochs": 60, "batch_size": 2, "rank": 2, "alpha": 4, "patience": 100}
    round_id = begin(database, tiny_model, tmp_path, training=training)
    start_workers(running)

    def has_progress() -> bool:
        run = run_of(database, round_id, Job.TRAIN)
        return run is not None and run.progress.get("step", 0) >= 10

    wait_for(has_progress, seconds=150, describe=running.logs)
    kill_model_worker(database)
    assert_complete(database, round_id, running)
    run = run_of(database, round_id, Job.TRAIN)
    assert run is not None
    assert run.attempt == 2
    assert run.result["resumed_from_step"] >= 5


def test_rewards_end_as_if_nobody_had_died(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    rewards = {
        "epochs": 30,
        "turns": "reasoner",
        "items_per_step": 3,
        "draws_per_item": 4,
        # The tiny model is never right: it learns not to be cut.
        "not_understood_cost": 1.0,
    }

    def begin_rewards(name: str) -> int:
        (tmp_path / name).mkdir()
        folder = tmp_path / name
        project = make_project(database, tiny_model, folder, "prior", reinforcement=rewards)
        return start_first_round(database, project)

    def rewarded(round_id: int) -> Run:
        run = run_of(database, round_id, Job.REINFORCE)
        assert run is not None
        return run

    start_workers(running)
    undisturbed = begin_rewards("undisturbed")
    wait_until_closed(database, undisturbed, running, seconds=2 * A_WHOLE_ROUND)
    round_id = begin_rewards("killed")

    def has_progress() -> bool:
        run = run_of(database, round_id, Job.REINFORCE)
        return run is not None and run.progress.get("step", 0) >= 4

    wait_for(has_progress, seconds=150, describe=running.logs, every=0.02)
    kill_model_worker(database)
    round_ = wait_until_closed(database, round_id, running, seconds=A_WHOLE_ROUND + COST_OF_A_DEATH)
    assert round_.status is RoundStatus.COMPLETED
    killed, whole = rewarded(round_id), rewarded(undisturbed)
    assert killed.attempt == 2
    assert killed.result["resumed_from_step"] >= 2
    tallies = [
        [(epoch["outcomes"], epoch["n_tokens"]) for epoch in run.result["epochs"]]
        for run in (killed, whole)
    ]
    assert tallies[0] == tallies[1], "the same episodes"
    assert killed.result["curve"] == whole.result["curve"]
    assert any(point["kl"] > 0 for point in whole.result["curve"]), "something was learned"
    with database() as session:
        digests = {
            session.scalars(select(Adapter.digest).where(Adapter.run_id == run.id)).one()
            for run in (killed, whole)
        }
    assert len(digests) == 1


def test_evaluate_before_its_predictions_are_stored(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    round_id = begin(database, tiny_model, tmp_path)
    start_workers(running)
    wait_for(trains(database, round_id), seconds=120, describe=running.logs, every=0.02)
    with holding(database, "LOCK TABLE prediction IN SHARE MODE"):
        wait_for(
            somebody_waits_for(database, "INSERT INTO prediction%"),
            seconds=120,
            describe=running.logs,
        )
        kill_model_worker(database)
        time.sleep(0.5)
    assert_complete(database, round_id, running)


def test_a_branch_before_it_is_stored(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    """Two people see the same: who lost a worker gets what the other one gets, once."""
    judging = {"judges": "people", "max_shown": 4}
    settings = tiny_settings(tiny_model, strategy="monologue", judging=judging)
    ask(database, settings, tmp_path, n_people=2)
    with holding(database, "LOCK TABLE branch IN SHARE MODE"):
        start_workers(running)
        wait_for(somebody_waits_for(database, "UPDATE branch%"), seconds=120, describe=running.logs)
        kill_model_worker(database)
        time.sleep(0.5)
        with database() as session:
            assert session.scalar(select(func.count(Branch.made_at))) == 0

    def made() -> list[Branch] | None:
        with database() as session:
            found = list(session.scalars(select(Branch).order_by(Branch.id)))
            return found if all(branch.made_at for branch in found) else None

    first, second = wait_for(made, seconds=COST_OF_A_DEATH, describe=running.logs)
    for name in ("seed", "trace", "text", "n_tokens", "log_probability", "is_cut"):
        assert getattr(first, name) == getattr(second, name)
    with database() as session:
        runs = session.scalars(select(Run).where(Run.job == Job.BRANCH).order_by(Run.id)).all()
        assert [run.status for run in runs] == [RunStatus.SUCCEEDED] * 2
        assert sorted(run.attempt for run in runs) == [1, 2]
        assert {(run.id, run.attempt) for run in runs} == {
            (branch.run_id, branch.run_attempt) for branch in (first, second)
        }


def test_close_between_admissions_and_manifest(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, running: Processes
) -> None:
    round_id = begin(database, tiny_model, tmp_path)
    # What is admitted is inserted, then the rows to train on: there it stops, uncommitted.
    with holding(database, "LOCK TABLE training_row IN SHARE MODE"):
        start_workers(running)
        wait_for(
            somebody_waits_for(database, "%INSERT INTO training_row%"),
            seconds=120,
            describe=running.logs,
        )
        with database() as session:
            assert session.get_one(Round, round_id).status is RoundStatus.CLOSING
        for pid in pids_of_workers(database, "cpu"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        with database() as session:
            assert session.scalar(select(func.count()).select_from(Admission)) == 0
    assert_complete(database, round_id, running)
    run = run_of(database, round_id, Job.CLOSE)
    assert run is not None
    assert run.attempt >= 2
    with database() as session:
        n_admitted = session.scalar(select(func.count()).select_from(Admission))
    assert n_admitted == run.result["n_rationales"] > 0


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_a_service_dies_while_the_round_runs(
    service: str,
    services: EmbeddedServices,
    database: sessionmaker[Session],
    tiny_model: Path,
    tmp_path: Path,
    running: Processes,
) -> None:
    training = {"epochs": 60, "batch_size": 2, "rank": 2, "alpha": 4, "patience": 100}
    round_id = begin(database, tiny_model, tmp_path, training=training)
    stop = threading.Event()
    killed: list[int] = []

    def kill_now_and_then() -> None:
        # While sampling, while training, while evaluating: wherever the moments fall.
        while not stop.wait(3.0) and len(killed) < 4:
            pid = services.pids().get(service)
            if pid is not None:  # it may just be coming back
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    start_workers(running)
    wait_for(lambda: pids_of_workers(database, "gpu"), seconds=60, describe=running.logs)
    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        wait_until_settled(database, round_id, running)
    finally:
        stop.set()
        killer.join()
    assert len(killed) >= 2
    assert_complete(database, round_id, running)


def wait_until_settled(database: sessionmaker[Session], round_id: int, running: Processes) -> None:
    """Like wait_until_closed, for a database that comes and goes."""
    deadline = time.monotonic() + A_WHOLE_ROUND + COST_OF_A_DEATH
    while time.monotonic() < deadline:
        try:
            with database() as session:
                if session.get_one(Round, round_id).status is RoundStatus.COMPLETED:
                    return
        except OperationalError:
            pass  # away for a moment, which is the point
        time.sleep(0.5)
    raise AssertionError(f"the round did not complete\n{running.logs()}")
