"""The real installation: everything starts, is killed, and starts again with its data."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.processes import descendants, is_running, wait_for

NAMES = {"supervisor", "postgres", "redis", "web", "worker", "model worker", "beat"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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
    address = f"http://127.0.0.1:{installation.port}"
    assert (installation.home / "address").read_text().split()[0] == address
    assert address in installation.told_by_check()["settings"]
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
