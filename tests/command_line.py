"""The command line as a person uses it: a process of its own, its status and what it printed."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

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
    """Run `illume ARGUMENTS` with the settings of the test, some changed or left out."""
    return run_python("-m", "app.cli", *arguments, without=without, **environment)


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
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        # A terminal so wide that no line is broken.
        env={**inherited, "COLUMNS": "500", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


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
