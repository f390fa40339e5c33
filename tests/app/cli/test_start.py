"""Commands and processes load no package that they do not use, which would make people wait."""

import json

import pytest

from app.embedded import EmbeddedServices
from tests.support.command_line import run_python

RARELY_NEEDED = {"alembic", "celery", "kombu", "numpy", "httpx2", "app.scenes", "torch"}
NEEDED_TO_DO_SOMETHING = {"sqlalchemy", "psycopg", "redis", "PIL", "fastapi", "uvicorn"}
TELL_LOADED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
"""


def loaded_by(program: str, *arguments: str, **environment: str) -> set[str]:
    ended = run_python("-c", TELL_LOADED + program, *arguments, **environment)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stderr.splitlines()[-1]))


def loaded_by_illume(*arguments: str, **environment: str) -> set[str]:
    return loaded_by("from app import cli; cli.main()", *arguments, **environment)


@pytest.mark.parametrize("group", [(), ("project",), ("round",), ("loop",), ("token", "create")])
def test_help_loads_nothing_of_what_the_commands_do(group: tuple[str, ...]) -> None:
    loaded = loaded_by_illume(*group, "--help")
    assert loaded.isdisjoint(RARELY_NEEDED | NEEDED_TO_DO_SOMETHING)


def test_a_command_that_asks_the_database_loads_nothing_that_others_need(
    services: EmbeddedServices,
) -> None:
    loaded = loaded_by_illume("project", "list", "--json")
    assert "psycopg" in loaded
    assert loaded.isdisjoint(RARELY_NEEDED | {"redis", "fastapi", "uvicorn"})


def test_a_web_process_loads_nothing_that_only_workers_and_commands_need(
    services: EmbeddedServices,
) -> None:
    loaded = loaded_by("from app.main import create_app; create_app()")
    assert "fastapi" in loaded
    assert loaded.isdisjoint((RARELY_NEEDED - {"kombu"}) | {"typer", "rich"})


def test_the_process_of_illume_up_loads_neither_web_nor_metrics() -> None:
    loaded = loaded_by("import app.supervisor")
    assert loaded.isdisjoint(RARELY_NEEDED | {"sqlalchemy", "fastapi", "uvicorn"})
