"""The lock file: reading it, and making it anew (`make lock`).

Run as `python -m tests.architecture.lock PYTHON…`: asks pip, under each interpreter in turn, what
it would install for pyproject with all extras, and writes the union. An interpreter that comes
later keeps to what was chosen before, so that all of them end up with the same versions.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.kit.errors import SetupError
from app.kit.processes.programs import run_program

REPOSITORY = Path(__file__).parents[2]
LOCK = REPOSITORY / "constraints.txt"
HEADER = """\
# Exact versions of everything that pyproject.toml asks for, with all extras, for Python 3.11 and
# 3.12. `make`, CI and the Dockerfile install from it; `make lock` writes it; tests/architecture
# checks that it is complete. No local version suffixes: which build of torch is installed (with
# CUDA or for the CPU alone) is decided by pip's own settings, see the Makefile.
"""


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def declared_requirements() -> list[Requirement]:
    """Everything that pyproject names: to build, to run, and for every extra."""
    pyproject = read_pyproject()
    project = pyproject["project"]
    texts = [*pyproject["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        texts += extra
    return [Requirement(text) for text in texts]


def read_lock() -> dict[str, Requirement]:
    """Pins by normalised name."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def resolve(interpreter: str, pins: dict[str, str]) -> dict[str, str]:
    """Names and versions that pip would install under `interpreter` while keeping `pins`."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder) / "constraints.txt", Path(folder) / "report.json"
        constraints.write_text("".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
        _run(interpreter, "-m", "venv", f"{folder}/venv")
        pip = [f"{folder}/venv/bin/python", "-m", "pip", "--quiet"]
        _run(*pip, "install", "--upgrade", "pip")
        wanted = [str(requirement) for requirement in declared_requirements()]
        dry_run = ["install", "--dry-run", "--ignore-installed", "--report", str(report)]
        _run(*pip, *dry_run, "--constraint", str(constraints), *wanted)
        chosen = json.loads(report.read_text())["install"]
    metadata = [entry["metadata"] for entry in chosen]
    return {canonicalize_name(m["name"]): m["version"].partition("+")[0] for m in metadata}


def _run(*command: str) -> None:
    """Raises SetupError where the command fails; what it said stands above."""
    if subprocess.run(command, check=False).returncode:
        raise SetupError(
            f"`{' '.join(command[:5])} …` failed; the lines above say why. constraints.txt is as "
            "it was. pip needs the network, or an index that its settings name."
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.architecture.lock",
        description="Choose new versions for constraints.txt, the same for every interpreter.",
        epilog="Example: python -m tests.architecture.lock python3.11 python3.12",
    )
    parser.add_argument("interpreters", nargs="+", help="one of each Python that is supported")
    interpreters = parser.parse_args().interpreters
    for interpreter in interpreters:
        if shutil.which(interpreter) is None:
            raise SetupError(f"There is no program {interpreter}. Install it, or name its path.")
    pins: dict[str, str] = {}
    for interpreter in interpreters:
        pins |= resolve(interpreter, pins)
    lines = [f"{name}=={pins[name]}\n" for name in sorted(pins)]
    LOCK.write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    run_program(main, name="lock")
