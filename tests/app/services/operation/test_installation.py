"""`illume check` tells what is wrong and how to mend it, also with nothing running."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.embedded import EmbeddedServices
from app.kit import db
from app.kit.db import session_scope
from app.kit.settings import SERVICES_FILE, Settings, get_settings
from app.services.operation.installation import Finding, check_installation
from app.services.runs import runs
from tests.support.command_line import REPOSITORY, run_illume
from tests.support.databases import connected, new_database
from tests.support.processes import wait_for

PARTS = [
    "python",
    "settings",
    "data folder",
    "store",
    "disk space",
    "embedded services",
    "model worker packages",
    "torchvision",
    "backup programs",
    "sampling server",
    "redis",
    "database",
]
WITH_DATABASE = [*PARTS, "schema", "workers for cpu", "workers for gpu"]


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """No setting at all but a data folder that is not there yet."""
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        patch.setenv("ILLUME_HOME", str(tmp_path / "home"))
        forget()
        yield patch
    forget()


@pytest.fixture
def running(
    services: EmbeddedServices, database: object, nothing: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The tests' PostgreSQL and Redis, given by their addresses."""
    nothing.setenv("DATABASE_URL", str(services.database_url))
    nothing.setenv("REDIS_URL", str(services.redis_url))
    forget()
    return nothing


def forget() -> None:
    get_settings.cache_clear()
    db.forget_engine()


def look() -> dict[str, Finding]:
    get_settings.cache_clear()
    return {finding.name: finding for finding in check_installation()}


def wrong(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if not finding.is_ok}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_with_nothing_running_it_says_how_to_start(
    nothing: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = look()
    assert list(found) == PARTS
    assert wrong(found) == {"redis", "database"}
    assert found["database"].text == (
        "The embedded PostgreSQL does not run. Start everything: illume up"
    )
    assert "illume up" in found["redis"].text
    assert "made at the first start" in found["data folder"].text
    assert list(tmp_path.iterdir()) == []  # looking makes nothing


def test_services_file_of_a_crash_is_seen_through(
    nothing: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    gone = {
        "database_url": f"postgresql+psycopg://illume@/illume?host={tmp_path}/gone",
        "redis_url": f"unix://{tmp_path}/gone.sock?db=0",
    }
    (tmp_path / "home" / SERVICES_FILE).write_text(json.dumps(gone), encoding="utf-8")
    found = look()
    assert wrong(found) == {"redis", "database"}
    assert "does not answer" in found["database"].text
    assert found["redis"].text.endswith("Start everything: illume up")


def test_all_is_well_but_the_workers(running: pytest.MonkeyPatch) -> None:
    found = look()
    assert list(found) == WITH_DATABASE
    assert wrong(found) == {"workers for cpu", "workers for gpu"}
    assert found["workers for gpu"].text.endswith("Start one: illume worker --queues gpu")
    assert found["database"].text == "PostgreSQL 18 answers"
    assert found["redis"].text.startswith("Redis ")
    assert "not needed" in found["embedded services"].text


def test_live_workers_are_named_and_silent_ones_are_not(running: pytest.MonkeyPatch) -> None:
    with session_scope() as session:
        runs.register_worker(session, name="box:cpu:1", pid=1, device="cpu", queues=["cpu"])
        runs.register_worker(session, name="box:gpu:2", pid=2, device="cuda", queues=["gpu"])
        session.execute(
            text("UPDATE worker SET seen_at = now() - interval '1 minute' WHERE pid = 2")
        )
    found = look()
    assert wrong(found) == {"workers for gpu"}
    assert found["workers for cpu"].text == "1 alive: box:cpu:1 on cpu"


def test_services_that_do_not_answer_are_told_apart(running: pytest.MonkeyPatch) -> None:
    running.setenv("REDIS_URL", f"redis://127.0.0.1:{closed_port()}/0")
    running.setenv("DATABASE_URL", f"postgresql://illume@127.0.0.1:{closed_port()}/illume")
    found = look()
    assert wrong(found) == {"redis", "database"}
    assert found["redis"].text.endswith("Start it, or correct REDIS_URL.")
    assert found["database"].text.endswith("Start it, or correct DATABASE_URL.")
    assert all("\n" not in finding.text for finding in found.values())


def test_database_without_tables_or_of_another_version(
    services: EmbeddedServices, running: pytest.MonkeyPatch
) -> None:
    with new_database(services) as url:
        running.setenv("DATABASE_URL", url)
        found = look()
        assert wrong(found) == {"schema"}
        assert found["schema"].text.endswith("Run `illume migrate`.")
        with connected(url) as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('7777')"))
        found = look()
        assert wrong(found) == {"schema"}
        assert "at 7777" in found["schema"].text
        assert "illume migrate" in found["schema"].text
        forget()


def test_database_that_cannot_keep_every_text(
    services: EmbeddedServices, running: pytest.MonkeyPatch
) -> None:
    ascii_only = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    with new_database(services, options=ascii_only) as url:
        running.setenv("DATABASE_URL", url)
        found = look()
        assert wrong(found) == {"database"}
        assert "UTF8" in found["database"].text


@pytest.mark.parametrize(
    ("name", "value", "part", "mend"),
    [
        ("PORT", "eighty", "settings", "PORT"),
        ("SECRET_KEY", "short", "settings", "at least 32"),
        ("ILLUME_HOME", "/etc/hostname", "data folder", "ILLUME_HOME must be a folder"),
        ("ILLUME_HOME", "/proc/nowhere", "data folder", "set ILLUME_HOME"),
        ("STORE", "/proc/nowhere", "store", "set STORE"),
    ],
)
def test_settings_that_cannot_work(
    nothing: pytest.MonkeyPatch, name: str, value: str, part: str, mend: str
) -> None:
    nothing.setenv(name, value)
    finding = look()[part]
    assert not finding.is_ok
    assert mend in finding.text


def test_owner_of_the_data_folder_is_named(
    services: EmbeddedServices, nothing: pytest.MonkeyPatch
) -> None:
    """`illume up` runs: its services are found through the folder."""
    nothing.setenv("ILLUME_HOME", str(services.home))
    found = look()
    assert found["redis"].is_ok
    assert found["database"].is_ok
    assert "runs ILLUME with it" in found["data folder"].text


def test_the_address_is_that_of_the_server_that_runs(
    nothing: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`illume up --port` or `illume web --port` was told another one than the settings name."""
    chosen = get_settings().model_copy(update={"port": 9123})
    chosen.illume_home.mkdir()
    chosen.record_address()
    assert "people use http://127.0.0.1:9123;" in look()["settings"].text
    assert get_settings().running_url() == "http://127.0.0.1:9123"

    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / "home" / "address").write_text(f"http://127.0.0.1:9123 {gone.pid}\n")
    assert "people use http://127.0.0.1:8000;" in look()["settings"].text


def test_a_web_server_of_its_own_says_where_it_is(
    running: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    port = closed_port()
    command = [sys.executable, "-m", "app.cli", "web", "--port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY) as server:
        wait_for(lambda: f"http://127.0.0.1:{port};" in look()["settings"].text)
        server.terminate()
    assert "http://127.0.0.1:8000;" in look()["settings"].text


def test_command_says_the_same_as_json_with_status_1(
    nothing: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = run_illume("check", "--json")
    assert (ended.returncode, ended.stderr) == (1, "")
    printed = json.loads(ended.stdout)
    assert printed == [finding.as_dict() for finding in look().values()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "is_ok", "text"),
    [
        ("__version__ = '0.28.0'", True, "0.28.0 fits torch"),
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            False,
            "beside this torch (RuntimeError: operator torchvision::nms does not exist), so",
        ),
    ],
)
def test_a_torchvision_is_tried_where_there_is_one(
    nothing: pytest.MonkeyPatch, tmp_path: Path, code: str, is_ok: bool, text: str
) -> None:
    assert look()["torchvision"].text.startswith("not installed")
    package = tmp_path / "packages" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    nothing.syspath_prepend(str(package.parent))  # here, and in the process that tries it
    nothing.setenv("PYTHONPATH", str(package.parent))
    found = look()["torchvision"]
    assert found.is_ok is is_ok
    assert text in found.text
