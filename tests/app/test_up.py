"""The real installation: everything starts, is killed, and starts again with its data."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.processes import descendants, is_running, wait_for
from tests.serving import free_port

ROOT = Path(__file__).parents[2]
NAMES = {"supervisor", "postgres", "redis", "web", "worker", "model worker", "beat"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Installation:
    """`illume up` with a data folder of its own; may be started again and again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log = home.with_suffix(".log")

    def start(self) -> float:
        """Start and wait until it says that it is ready; the seconds that this took."""
        begun = time.monotonic()
        known = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "STORE", "PUBLIC_URL"}
        environment = {name: value for name, value in os.environ.items() if name not in known}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "up", "--port", str(self.port)],
                cwd=ROOT,
                env={**environment, "ILLUME_HOME": str(self.home)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_said("Ctrl-C stops everything")
        return time.monotonic() - begun

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_until_said(self, part: str) -> None:
        try:
            wait_for(lambda: part in self.said(), seconds=120)
        except AssertionError:
            raise AssertionError(f"{part!r} was not said:\n{self.said()}") from None

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.home / "processes.json").read_text())
        return found

    def family(self) -> set[int]:
        assert self.process is not None
        return descendants(self.process.pid)

    def wait_for_pools(self) -> None:
        """Until both workers have forked the child that does the work."""
        for name in ("worker", "model worker"):
            wait_for(lambda name=name: descendants(self.pids()[name]), seconds=60)

    def status_of(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def ask_database(self, query: str) -> list[tuple[object, ...]]:
        address = json.loads((self.home / "services.json").read_text())["database_url"]
        with psycopg.connect(address.replace("+psycopg", "")) as connection:
            rows = connection.execute(query.encode())
            return rows.fetchall() if rows.description else []

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def test_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data(
    installation: Installation,
) -> None:
    first = installation.start()
    assert set(installation.pids()) == NAMES
    assert installation.status_of("/health/ready") == 200
    address = (installation.home / "address").read_text()
    assert address == f"http://127.0.0.1:{installation.port}"
    installation.ask_database("CREATE TABLE kept AS SELECT 42 AS n")
    installation.wait_for_pools()

    family = installation.family()
    assert len(family) > 15
    begun = time.monotonic()
    installation.kill()
    wait_for(lambda: not any(is_running(pid) for pid in family), seconds=10)
    gone = time.monotonic() - begun

    second = installation.start()
    assert installation.ask_database("SELECT n FROM kept") == [(42,)]
    print(f"first start {first:.1f} s, gone after {gone:.2f} s, second start {second:.1f} s")  # noqa: T201

    family = installation.family()
    assert installation.process is not None
    installation.process.send_signal(signal.SIGINT)
    assert installation.process.wait(timeout=60) == 0
    assert not any(is_running(pid) for pid in family)
    assert "did not end in time" not in installation.said()


def test_every_killed_part_comes_back(installation: Installation) -> None:
    installation.start()
    installation.wait_for_pools()
    before = installation.pids()
    pools = descendants(before["worker"]) | descendants(before["model worker"])
    for name in NAMES - {"supervisor"}:
        os.kill(before[name], signal.SIGKILL)

    def all_are_new() -> bool:
        now = installation.pids()
        return now.keys() == NAMES and all(now[n] != before[n] for n in NAMES - {"supervisor"})

    wait_for(all_are_new, seconds=60)
    wait_for(lambda: installation.status_of("/health/ready") == 200, seconds=60)
    installation.wait_for_pools()
    # A worker's pool went with it; a second one beside the new one would claim work twice.
    assert not any(is_running(pid) for pid in pools)
