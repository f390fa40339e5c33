"""Says where a figure comes from: the commit and the machine."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def origin(threads: int) -> dict[str, Any]:
    """Returns the commit that is checked out ("+" where files were changed since), the machine, the
    libraries and the day, as a result names them."""
    return {
        "commit": _commit(),
        "machine": f"{_processor()}, {threads} of {torch.get_num_threads()} threads",
        "libraries": {name: version(name) for name in ("torch", "transformers", "peft")},
        "day": datetime.now(UTC).date().isoformat(),
    }


def _commit() -> str | None:
    """The commit, None where the files are not a working tree."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
