"""The page that lists the refusals and their codes (docs/errors.md), written from their classes.

Run as `python -m tests.architecture.errors_page` after a change to an error.
"""

import importlib
import inspect
import pkgutil
from http import HTTPStatus

import app
from app.kit.errors import AppError
from app.kit.processes.programs import run_program
from tests.architecture.lock import REPOSITORY

PAGE = REPOSITORY / "docs" / "errors.md"
OF_WORKERS = ("worker.serving.errors", "worker.stages.refusals")
HEADER = """\
# Refusals and their codes

Whoever asks for JSON, or with a token ([programs.md](programs.md)), gets a refusal as a problem
of RFC 9457: `status`, `title`, `detail` (the sentence that people see), `code`, and `errors` with a
line for each thing that is wrong. Sentences change, codes stay. A program that does not know a
code goes by the status. Workers write their refusals on the page of the run that they end.

This page is written from the classes of the errors.
"""


def list_errors() -> list[type[AppError]]:
    """Returns all kinds of expected errors; each comes after the kind that it is one of."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in OF_WORKERS:
        importlib.import_module(name)
    return _with_kinds(AppError)


def _with_kinds(kind: type[AppError]) -> list[type[AppError]]:
    ours = sorted(
        (each for each in kind.__subclasses__() if each.__module__.startswith(("app.", "worker."))),
        key=lambda each: each.code,
    )
    return [kind, *(found for each in ours for found in _with_kinds(each))]


def write_page() -> str:
    """Returns the whole page: one table for each status."""
    errors = list_errors()
    parts = [HEADER]
    for status in sorted({error.status_code for error in errors}):
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n")
        parts.append("| Code | Meaning |")
        parts.append("| --- | --- |")
        parts += [
            f"| `{error.code}` | {_meaning(error)} |"
            for error in errors
            if error.status_code == status
        ]
        parts.append("")
    return "\n".join(parts)


def _meaning(error: type[AppError]) -> str:
    """Returns the first paragraph of what is said about the class."""
    said = inspect.cleandoc(error.__doc__ or "")
    return " ".join(said.partition("\n\n")[0].split())


def main() -> None:
    """Writes the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


if __name__ == "__main__":
    run_program(main, name="errors_page")
