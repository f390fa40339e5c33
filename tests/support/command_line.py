"""The command line as a person uses it: a process of its own, its status and what it printed."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from unittest.mock import patch

from app import cli

REPOSITORY = Path(__file__).parents[2]
LIMIT_SECONDS = 150
LOADED_BY_COMMANDS = (
    "alembic.command",
    "app.cli.demo.demo",
    "app.cli.loop.table",
    "app.cli.loop.watch",
    "app.cli.operation.archive",
    "app.cli.operation.explain",
    "app.critics.exact",
    "app.critics.rouge",
    "app.services.accounts.erasure",
    "app.services.accounts.tokens",
    "app.services.operation.installation",
    "app.services.projects.removal",
    "app.services.releases.releases",
    "app.services.rounds.bases",
    "app.supervisor",
    "celery.app.base",
    "redis",
)
"""Of which each command loads some; all of it once spares every test that."""
WIDE = "500"  # columns of a terminal in which no line is broken

# Python runs a file of this name when it starts.
HIDING = """
import importlib.machinery
import os

hidden = set(os.environ["HIDDEN_PACKAGES"].split(","))
find = importlib.machinery.PathFinder.find_spec


def find_what_is_shown(name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else find(name, path, target)


importlib.machinery.PathFinder.find_spec = staticmethod(find_what_is_shown)
"""


def run_illume(
    *arguments: str, without: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `illume ARGUMENTS` with the settings of the test, some changed or left out.

    A process of its own, forked from one that has imported the program: importing takes most of the
    time of a command. How the program starts from nothing is tested where `run_python` is used.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = _forks().Process(
            target=_be_illume, args=(arguments, _environment(without, environment), folder)
        )
        process.start()
        process.join(LIMIT_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, error = ((Path(folder) / name).read_text() for name in ("out", "error"))
    assert process.exitcode is not None
    return subprocess.CompletedProcess(arguments, process.exitcode, out, error)


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.cli", *LOADED_BY_COMMANDS])
    # Looked at when the program is imported, before a command has an environment of its own.
    with patch.dict(os.environ, {"COLUMNS": WIDE}):
        ensure_running()
    return context


def _be_illume(arguments: tuple[str, ...], environment: dict[str, str], folder: str) -> None:
    for name, descriptor in (("out", 1), ("error", 2)):
        file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    sys.argv = ["illume", *arguments]
    cli.main()


def hide(folder: Path, *packages: str) -> dict[str, str]:
    """The environment of a machine without these packages, for a process and for its children."""
    (folder / "sitecustomize.py").write_text(HIDING)
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(folder), *([before] if before else [])])
    return {"HIDDEN_PACKAGES": ",".join(packages), "PYTHONPATH": path}


def run_python(
    *arguments: str, without: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in the repository, with settings as `run_illume` has them."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=_environment(without, environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


def _environment(without: tuple[str, ...], changes: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return {**inherited, "COLUMNS": WIDE, "OMP_NUM_THREADS": "1", **changes}


def output_of(*arguments: str) -> str:
    """What a command printed that must succeed, and complain about nothing."""
    ended = run_illume(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def refusal_of(*arguments: str, status: int = 1) -> str:
    """The one line with which a command must refuse, having printed nothing else."""
    ended = run_illume(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]
