"""`illume loop`: the whole loop as a person starts it, with workers of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.models import Round
from app.round_settings import LoopSettings
from tests.worker.ml.families import build_llava
from tests.worker.stages.rounds_in_process import make_picture_project, tiny_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def run_loop(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "loop", *arguments],
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


def test_an_unknown_critic_is_told_before_anything_starts(
    database: sessionmaker[Session], slug: str
) -> None:
    result = run_loop(slug, "--critic", "oracle")
    assert result.returncode == 1
    assert "Unknown critic `oracle`" in result.stderr
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Round)) == 0
