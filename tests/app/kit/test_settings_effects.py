"""What each setting of the installation changes, seen from outside.

tests/architecture/test_settings_effects.py names for every setting the test that shows its effect.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import redis
from sqlalchemy import func
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.kit import storage
from app.kit.db import session_scope
from app.kit.settings import get_settings
from app.lifecycle import Job, RunStatus
from app.models import Worker
from app.queries.runs.runs import claim_run
from app.services.judging import leases
from app.services.runs import runs
from app.web.http.sessions import Cookies
from tests.support.browsing import sign_in
from tests.support.command_line import REPOSITORY
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.processes import descendants, wait_for
from tests.support.serving import free_port
from worker.host.heart import Heart


@contextmanager
def chosen(**environment: str) -> Iterator[None]:
    """Settings of the environment, for a block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


# --- `illume web` -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Web:
    port: int
    pid: int
    log: Path


@pytest.fixture(scope="module")
def web(services: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """`illume web`, told everything by the environment."""
    folder = tmp_path_factory.mktemp("web")
    told = {"HOST": "127.0.0.2", "WEB_PROCESSES": "2", "LOG_FORMAT": "json"}
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "web"],
            cwd=REPOSITORY,
            env={**os.environ, **told, "PORT": str(port), "ILLUME_HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    wait_for(lambda: _status("127.0.0.2", port) == 200, seconds=90)
    yield Web(port, process.pid, folder / "log")
    process.terminate()
    process.wait(30)


def _status(host: str, port: int, path: str = "/health/live") -> int | None:
    try:
        return httpx2.get(f"http://{host}:{port}{path}", timeout=10).status_code
    except httpx2.TransportError:
        return None


def test_host_and_port_are_where_the_web_server_listens(web: Web) -> None:
    assert _status("127.0.0.2", web.port) == 200
    assert _status("127.0.0.1", web.port) is None


def test_web_processes_are_as_many_as_was_said(web: Web) -> None:
    def servers() -> list[int]:
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(web.pid)}
        return [pid for pid, command in commands.items() if b"spawn_main" in command]

    wait_for(lambda: len(servers()) == 2)


def test_log_format_json_makes_every_line_an_object(web: Web) -> None:
    assert _status("127.0.0.2", web.port, "/sign-in") == 200
    wait_for(lambda: "/sign-in" in web.log.read_text())
    (line,) = [line for line in web.log.read_text().splitlines() if "/sign-in" in line]
    assert "GET /sign-in 200" in json.loads(line)["message"]


# --- Keys, folders and limits ------------------------------------------------------------------


def test_secret_key_decides_whose_sessions_are_good(client: TestClient, session: Session) -> None:
    with chosen(SECRET_KEY="k" * 40):
        client.app.state.cookies = Cookies.of(get_settings())  # type: ignore[attr-defined]
        sign_in(client, session, make_user(session, name="Ada"))
        assert client.get("/").status_code == 200
    with chosen(SECRET_KEY="another-key" * 4):
        client.app.state.cookies = Cookies.of(get_settings())  # type: ignore[attr-defined]
        assert client.get("/").headers["Location"].startswith("/sign-in")


def test_store_is_where_pictures_go(services: EmbeddedServices, tmp_path: Path) -> None:
    with chosen(STORE=str(tmp_path / "shared")):
        storage.put_image(b"a picture", "image/png")
    kept = [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [b"a picture"]


def test_max_upload_mb_bounds_what_an_import_takes(client: TestClient, session: Session) -> None:
    project = make_project(session)
    admin = sign_in(client, session, make_user(session, is_admin=True))
    with chosen(MAX_UPLOAD_MB="3"):
        for megabytes, status in ((1, 422), (40, 413)):  # 422: a file is missing, not room for it
            answer = admin.post(
                f"/projects/{project.slug}/imports",
                content=b"x",
                headers={"Content-Length": str(megabytes << 20), "Content-Type": "text/plain"},
            )
            assert answer.status_code == status


# --- Time --------------------------------------------------------------------------------------


def test_lease_minutes_are_how_long_an_item_stays_reserved(session: Session) -> None:
    project = make_project(session)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    user = make_user(session)
    make_membership(session, project, user)
    now = datetime.now(UTC)
    with chosen(LEASE_MINUTES="0.5"):
        taken = leases.hand_out_item(session, round_, user, now=now)
    assert taken is not None
    assert taken.lease_until == now + timedelta(seconds=30)


def test_stale_seconds_are_how_long_a_silent_run_is_left_alone(session: Session) -> None:
    run = make_run(session, make_project(session), Job.IMPORT, status=RunStatus.RUNNING)
    run.heartbeat_at = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 20)
    session.flush()
    with chosen(STALE_SECONDS="30"):
        assert _claim(session, run.id) is None
    with chosen(STALE_SECONDS="10"):
        assert _claim(session, run.id) == 1


def _claim(session: Session, run_id: int) -> int | None:
    """As a worker takes a run over: the number of its attempt, or nothing."""
    return claim_run(session, run_id, worker_id=None, stale_after=runs.stale_after())


def test_heartbeat_seconds_are_the_pace_of_a_worker(database: sessionmaker[Session]) -> None:
    with chosen(HEARTBEAT_SECONDS="0.05"):
        heart = Heart(["cpu"], "cpu")
        heart.start()
        seen = set()

        def has_beaten_often() -> bool:
            with session_scope() as session:
                seen.add(session.query(Worker.seen_at).scalar())
            return len(seen) > 3

        wait_for(has_beaten_often, seconds=4)  # with the usual 5 s it would beat once
        heart.stop()


@pytest.mark.slow
def test_sweep_seconds_are_the_pace_of_beat(services: EmbeddedServices, tmp_path: Path) -> None:
    queue = redis.Redis.from_url(str(services.redis_url))
    before = queue.llen("cpu")
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "beat"],
        cwd=REPOSITORY,
        env={**os.environ, "ILLUME_HOME": str(tmp_path), "SWEEP_SECONDS": "0.1"},
    )
    try:
        wait_for(lambda: queue.llen("cpu") > before, seconds=90)
        n_first = queue.llen("cpu")
        # The usual pace is one in ten seconds.
        wait_for(lambda: queue.llen("cpu") >= n_first + 5, seconds=8)
    finally:
        process.terminate()
        process.wait(30)
        queue.delete("cpu")
        queue.close()


def test_a_device_that_is_not_there_is_said_and_ends_no_worker() -> None:
    """The worker starts, so that its first run can fail with a sentence instead of waiting."""
    assert _described_device(DEVICE="cuda", CUDA_VISIBLE_DEVICES="") == "cuda (not found)\n"


@pytest.mark.slow
def test_torch_threads_are_what_a_model_worker_computes_with(services: EmbeddedServices) -> None:
    """As its row on the pages says it; DEVICE stands before it."""
    told = _described_device(DEVICE="cpu", TORCH_THREADS="3")
    assert re.fullmatch(r"cpu \(3 of \d+ threads\)\n", told)


def _described_device(**environment: str) -> str:
    """What a model worker that starts with these settings says that it computes on."""
    script = "from worker.host.process import _describe_device; print(_describe_device())"
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
