"""`illume loop`: the whole loop as a person starts it, with workers of its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.processes.children import start_process
from app.lifecycle import Job, RoundStatus
from app.models import Project, Round, Run
from app.round_settings import LoopSettings
from app.services.rounds import rounds
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import make_picture_project, tiny_settings
from tests.support.worker_processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


COMMAND = (sys.executable, "-m", "app.cli", "loop")


def run_loop(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )


@pytest.fixture
def slug(database: sessionmaker[Session], tmp_path: Path) -> str:
    build_llava(tmp_path / "model")
    settings = tiny_settings(tmp_path / "model")
    with database.begin() as session:
        return make_picture_project(session, settings, tmp_path).slug


def test_the_loop_runs_its_rounds_and_writes_its_figures(
    database: sessionmaker[Session], slug: str, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    result = run_loop(
        *(slug, "--critic", "rouge:0.01", "--rounds", "2", "--no-stop-early"),
        *("--json", str(figures)),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    written = json.loads(figures.read_text())
    assert [entry["round"] for entry in written["rounds"]] in ([0, 1], [0, 1, 2])
    last = written["rounds"][-1]
    assert last["decision"] in {"round_limit", "all_covered"}
    assert {"answer_accuracy", "fit", "cider", "human_cider"} <= set(last["scores"]["test"])
    assert "blank_answer_accuracy" in written["rounds"][0]["scores"]["test"]
    assert "test fit" in result.stdout
    with database() as session:
        settings = session.scalars(select(Round.settings)).first()
    assert LoopSettings.model_validate(settings).judging.judges == "rouge:0.01"


def test_a_pipe_is_told_of_each_phase_while_it_runs(
    database: sessionmaker[Session], slug: str, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    arguments = (slug, "--critic", "rouge:0.01", "--rounds", "1", "--json", str(figures))
    read: list[str] = []
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            read.append(line.rstrip())
            if read[-1] == "round 1 generate: queued":  # its worker has yet to load torch
                with database() as session:
                    status = session.scalars(select(Round.status)).one()
                assert status not in {RoundStatus.EVALUATING, RoundStatus.COMPLETED}
                assert not figures.exists()
    output = "\n".join(read)
    assert process.returncode == 0, output
    assert "\x1b" not in output, "colours and bars are for terminals"
    assert read[0] == f"Started round 1 of {slug}."
    # A phase that is over between two looks is told of once, as ended.
    ended = [line.split()[2] for line in read if ": succeeded after" in line]
    assert [job for job in ended if job != "baseline:"] == [
        f"{job}:" for job in ("generate", "judge", "close", "train", "evaluate")
    ]
    assert "round 1 generate: running" in read
    assert json.loads(figures.read_text())["rounds"]


def test_a_loop_that_is_broken_off_goes_on(database: sessionmaker[Session], tmp_path: Path) -> None:
    """Ctrl-C in the middle of training, then the same command again."""
    build_llava(tmp_path / "model")
    # Longer than the workers' leave to finish what they are at.
    training = {"epochs": 30, "batch_size": 1, "rank": 2, "alpha": 4, "patience": 100}
    with database.begin() as session:
        settings = tiny_settings(tmp_path / "model", training=training)
        slug = make_picture_project(session, settings, tmp_path, n_train=40).slug
    figures = tmp_path / "figures.json"
    arguments = (slug, "--critic", "rouge:0.01", "--rounds", "1", "--json", str(figures))
    log = tmp_path / "log"

    def train_run() -> Run | None:
        with database() as session:
            return session.scalars(select(Run).where(Run.job == Job.TRAIN)).one_or_none()

    def trains() -> bool:
        run = train_run()
        return run is not None and run.progress.get("step", 0) >= 10

    # Ctrl-C reaches it even if these tests run in the background, where it is ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("w") as output:
        first = start_process([*COMMAND, *arguments], output=output)
    signal.signal(signal.SIGINT, inherited)
    wait_for(trains, seconds=200, describe=log.read_text)
    first.send_signal(signal.SIGINT)
    assert first.wait(30) != 0
    with database() as session:
        assert session.scalars(select(Round.status)).one() is RoundStatus.TRAINING

    result = run_loop(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Going on with the loop that began with round 1" in result.stdout
    run = train_run()
    assert run is not None
    assert run.result["resumed_from_step"] >= 5
    written = json.loads(figures.read_text())
    assert (written["critic"], written["control"]) == ("rouge:0.01", "none")
    assert [entry["round"] for entry in written["rounds"]] == [0, 1]


def test_the_open_round_of_people_is_left_alone(database: sessionmaker[Session], slug: str) -> None:
    with database.begin() as session:
        owner = session.scalars(select(Project)).one()
        rounds.create_round(session, owner, settings=LoopSettings(), actor=None)
    result = run_loop(slug, "--critic", "rouge:0.01")
    assert result.returncode == 1
    assert f"illume round cancel {slug}" in result.stderr


def test_an_unknown_critic_is_told_before_anything_starts(
    database: sessionmaker[Session], slug: str
) -> None:
    result = run_loop(slug, "--critic", "oracle")
    assert result.returncode == 1
    assert "Unknown critic `oracle`" in result.stderr
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Round)) == 0
