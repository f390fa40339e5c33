"""Many probes while the database hangs: they hold up nothing that needs no database."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from app.embedded import EmbeddedServices
from app.web.http.probes import FRESH_SECONDS
from tests.support.processes import stopped
from tests.support.serving import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.alone]

N_PROBES = 45
LIVE_SECONDS = 2.0
READY_SECONDS = 6.0


@pytest.fixture
def web(services: EmbeddedServices, tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(tmp_path / "web.log")
    server.start()
    yield server
    server.stop()


def ask(client: httpx2.Client, path: str) -> tuple[int, float]:
    started = time.perf_counter()
    status = client.get(path).status_code
    return status, time.perf_counter() - started


def test_probes_of_a_database_that_hangs_hold_up_neither_live_nor_static_files(
    web: WebServer, services: EmbeddedServices
) -> None:
    limits = httpx2.Limits(max_connections=None)
    with (
        httpx2.Client(base_url=web.url, timeout=30, limits=limits) as client,
        ThreadPoolExecutor(N_PROBES) as pool,
    ):
        assert ask(client, "/health/ready")[0] == 200
        with stopped(services.pids()["postgres"]):
            time.sleep(FRESH_SECONDS)  # what was found before is told no longer
            probes = [pool.submit(ask, client, "/health/ready") for _ in range(N_PROBES)]
            others = []
            while not all(probe.done() for probe in probes):
                for path in ("/health/live", "/static/app.css"):
                    others.append((path, *ask(client, path)))
        answers = [probe.result() for probe in probes]
    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < READY_SECONDS
    assert {status for _, status, _ in others} == {200}
    assert len(others) > 2, "they were asked while the probes waited"
    assert max(seconds for _, _, seconds in others) < LIVE_SECONDS
