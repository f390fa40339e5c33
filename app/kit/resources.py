"""Folders that ship with the program: templates, static files and migrations.

In the repository they stand at the top; an installed wheel carries them inside `app`
(see `tool.setuptools.package-dir` in pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def _folder(name: str) -> Path:
    installed = _PACKAGE / f"_{name}"
    return installed if installed.is_dir() else _PACKAGE.parent / name


TEMPLATES = _folder("templates")
STATIC = _folder("static")
MIGRATIONS = _folder("migrations")
