"""The example of docs/programs.md, run against `illume up` as it stands there."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import REPOSITORY
from tests.support.dataset_files import row, write_images
from tests.support.documented import FENCE
from tests.support.installation import Installation
from tests.support.processes import wait_for

PAGE = REPOSITORY / "docs" / "programs.md"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Installation]:
    """An installation with an administrator and a project that has a release."""
    made = Installation(tmp_path / "home")
    made.start()
    ours = ("user add ada --admin", "project create Scenes", "release scenes first/")
    for command in ours:
        run_in_shell(f"illume {command}", tmp_path, made.environment)
    yield made
    made.kill()


def run_in_shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a line as a shell runs it; `illume` is the one of this environment."""
    ended = subprocess.run(
        ["bash", "-c", command.replace("illume ", f"{sys.executable} -m app.cli ", 1)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def wait_for_run(running: Installation, job: str) -> None:
    done = "SELECT job FROM run WHERE status = 'succeeded'"
    wait_for(lambda: (job,) in running.ask_database(done), seconds=60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_program_does_what_the_page_about_programs_shows(
    running: Installation, tmp_path: Path
) -> None:
    blocks = [block for _, block in FENCE.findall(PAGE.read_text(encoding="utf-8"))]
    lines = [line for block in blocks for line in block.splitlines()]
    make, send, build, fetch = (
        line.replace("127.0.0.1:8000", f"127.0.0.1:{running.port}") for line in lines
    )
    write_images(tmp_path, ("1.png",))
    with zipfile.ZipFile(tmp_path / "items.zip", "w") as packed:
        packed.writestr("items.jsonl", json.dumps(row(1)) + "\n")
        packed.write(tmp_path / "images" / "1.png", "images/1.png")

    secret = run_in_shell(make, tmp_path, running.environment).strip()
    environment = running.environment | {"TOKEN": secret}
    for command, job in ((send, "import"), (build, "release")):
        answer = run_in_shell(command, tmp_path, environment)
        assert re.search(r"^HTTP/1.1 303 ", answer), answer
        assert re.search(r"^location: /runs/\d+", answer, re.MULTILINE), answer
        wait_for_run(running, job)
    assert running.ask_database("SELECT external_id FROM item") == [(row(1)["id"],)]
    run_in_shell(fetch, tmp_path, environment)
    with zipfile.ZipFile(tmp_path / "release.zip") as fetched:
        assert any(name.endswith("items.jsonl") for name in fetched.namelist())

    refused = run_in_shell(send, tmp_path, running.environment | {"TOKEN": secret[:-1]})
    assert re.search(r"^HTTP/1.1 401 ", refused), refused
    assert '"code":"token.unknown"' in refused
    assert re.search(r"^www-authenticate: Bearer", refused, re.MULTILINE)
    assert secret not in running.said()
