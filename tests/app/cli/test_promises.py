"""The commands that README, docs and the help show, each started as people start it.

tests/support/promises.py lists them; what every test here prints says how many there were, how
long they took, and which of them only went through the parser (`pytest -s`).
"""

import json
import re
import shlex
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx2
import pytest

from tests.support.command_line import REPOSITORY, hide
from tests.support.dataset_files import picture, row, write_images
from tests.support.installation import Installation
from tests.support.processes import is_running, wait_for
from tests.support.promises import (
    FOREIGN,
    JOURNEY,
    LONG,
    REFUSED,
    REFUSED_SLOWLY,
    SERVERS,
    Refused,
    Step,
)
from tests.support.serving import free_port


def start(
    command: str, folder: Path, environment: Mapping[str, str], output: int = subprocess.PIPE
) -> "subprocess.Popen[str]":
    """Start a command in a folder. `illume` and `python` are those of this environment."""
    words = shlex.split(command)
    chosen = {}
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, chosen[name] = words.pop(0).partition("=")
    program = {"illume": ["-m", "app.cli"], "python": []}[words[0]]
    return subprocess.Popen(
        [sys.executable, *program, *words[1:]],
        cwd=folder,
        # A terminal so wide that no line is broken.
        env={"PYTHONPATH": str(REPOSITORY), **environment, **chosen, "COLUMNS": "500"},
        text=True,
        stdout=output,
        stderr=subprocess.STDOUT if output != subprocess.PIPE else subprocess.PIPE,
    )


def run(step: Step, folder: Path, environment: Mapping[str, str], **values: object) -> str:
    """Run a step to its end and return what it printed; what it says must be in there."""
    with start(step.command.format(**values), folder, environment) as process:
        output, errors = process.communicate(timeout=1700)
    told = f"{step.command}\n{output}{errors}"
    assert process.returncode == step.status, told
    assert "Traceback" not in told, told
    assert step.says.format(**values) in output + errors, told
    return errors if step.status else output


def report(title: str, steps: Sequence[Step], begun: float) -> None:
    n_shown = sum(len(step.shown) for step in steps)
    took = time.monotonic() - begun
    print(f"{title}: {n_shown} shown, {len(steps)} runs, {took:.0f} s")  # noqa: T201


# --- One home, where the demo runs ------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`illume up --demo` on a fresh home."""
    made = Installation(tmp_path_factory.mktemp("demo") / "home")
    made.start("--demo")
    yield made
    made.kill()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The folder in which somebody types: files to import, as docs/data.md describes them."""
    write_images(tmp_path, ("1.png", "2.png", "3.png", "4.png", "5.png"))
    _write_lines(tmp_path / "items.jsonl", [row(number) for number in (1, 2, 3)])
    _write_lines(tmp_path / "changed.jsonl", [row(1, answer="blue")])
    look = {"asked": "what color is the ball?", "observed": "red"}
    _write_lines(tmp_path / "episodes.jsonl", [{"item": "q2", "turns": [look], "answer": "red"}])
    (tmp_path / "more.csv").write_text(
        "id,image,question,answer,rationale,split\nq4,4.png,what is it?,a ball,it is round,train\n"
    )
    (tmp_path / "unasked").mkdir()
    for number in (1, 2):
        (tmp_path / "unasked" / f"{number}.png").write_bytes(picture(40 + number))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("items.jsonl", json.dumps(row(5)) + "\n")
        packed.write(tmp_path / "images" / "5.png", "images/5.png")
    name = "COCO_train2014_000000000006.jpg"
    (tmp_path / "images" / name).write_bytes(picture(6, format="JPEG"))
    entry = {
        "question": "what color is the ball?",
        "answers": [{"answer": "red", "answer_confidence": "yes", "answer_id": 1}] * 10,
        "image_id": "6",
        "image_name": name,
        "explanation": ["the ball is red"],
    }
    (tmp_path / "vqaX_train.json").write_text(json.dumps({"6001": entry}))
    return tmp_path


def _write_lines(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")


def judge_one(demo: Installation) -> None:
    """Follow the link that the demo prints, pick the first candidate, and submit."""
    links = re.findall(r"judge:  http://[^/]+(\S+)", demo.said())
    with httpx2.Client(base_url=f"http://127.0.0.1:{demo.port}", timeout=60) as browser:
        page = browser.get(links[0], follow_redirects=True)
        action = re.search(r'action="(/judgements/\d+/submit)"', page.text)
        version = re.search(r'name="version" value="(\d+)"', page.text)
        picked = re.search(r'name="picked" value="(\d+)"', page.text)
        assert action, page.text
        assert version
        assert picked
        answer = {"version": version[1], "picked": picked[1], "active_ms": "900"}
        assert browser.post(action[1], data=answer).status_code in {200, 303}


def wait_until_judging(demo: Installation) -> None:
    query = "SELECT 1 FROM round WHERE project_id = 1 AND status = 'judging'"
    wait_for(lambda: demo.ask_database(query), seconds=300)


def wait_until_closed(demo: Installation) -> None:
    query = "SELECT 1 FROM run WHERE project_id = 1 AND job = 'close' AND status = 'succeeded'"
    wait_for(lambda: demo.ask_database(query), seconds=60)


def take_the_model_away(demo: Installation) -> None:
    demo.ask_database(
        "UPDATE project SET settings = jsonb_set(settings, '{base_model}', '\"/no/model\"') "
        "WHERE slug = 'street-scenes'"
    )


def wait_until_failed(demo: Installation) -> None:
    query = (
        "SELECT 1 FROM run JOIN project ON project.id = run.project_id "
        "WHERE slug = 'street-scenes' AND run.status = 'failed'"
    )
    wait_for(lambda: demo.ask_database(query), seconds=300)


def archive_again(demo: Installation) -> None:
    """Only an archived project can be deleted."""
    demo.ask_database("UPDATE project SET archived_at = now() WHERE slug = 'street-scenes'")


def _nothing(_: Installation) -> None: ...


BEFORE = {
    "illume round status demo --json": wait_until_judging,
    "illume round close demo": judge_one,
    "illume release demo first/ --format jsonl": wait_until_closed,
    "illume round start street-scenes": take_the_model_away,
    "illume round retry street-scenes --changed-base": wait_until_failed,
    'illume project delete street-scenes --name "Street scenes"': archive_again,
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_do_what_they_are_shown_to_do(demo: Installation, desk: Path) -> None:
    begun = time.monotonic()
    assert "The demo is ready." in demo.said()
    demo.wait_for_pools()
    failures = []
    for step in JOURNEY:
        try:
            BEFORE.get(step.command, _nothing)(demo)
            run(step, desk, demo.environment, port=demo.port)
        except AssertionError as failure:  # the others are told of, too
            failures.append(f"{step.command}: {failure}")
    assert failures == []
    elsewhere = demo.environment | {"ILLUME_HOME": str(desk / "restored")}
    restored = Step(("illume restore illume-2026-11-21.tar",), says="Restored illume-2026")
    run(restored, desk, elsewhere)
    listed = Step(("illume project list",), says="street-scenes")
    assert "demo" in run(listed, desk, elsewhere)
    report("commands on one home", [*JOURNEY, restored], begun)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_process_of_a_server_starts_alone(demo: Installation, desk: Path) -> None:
    """As on several machines: a data folder of its own, PostgreSQL and Redis by their addresses."""
    begun = time.monotonic()
    addresses = json.loads((demo.home / "services.json").read_text())
    home = desk / "other-machine"
    home.mkdir()
    environment = demo.environment | {
        "ILLUME_HOME": str(home),
        "DATABASE_URL": addresses["database_url"],
        "REDIS_URL": addresses["redis_url"],
        "STORE": str(demo.home / "store"),
    }
    port = free_port()
    n_workers = len(_workers(demo)) + sum("worker" in step.command for step in SERVERS)
    log = desk / "log"
    with log.open("w") as output:
        started = [
            start(step.command.format(free_port=port), desk, environment, output.fileno())
            for step in SERVERS
        ]
    try:
        wait_for(lambda: _is_ready(port), seconds=120)
        wait_for(lambda: len(_workers(demo)) >= n_workers, seconds=120)
        wait_for(lambda: list(home.glob("beat-schedule*")), seconds=60)
        assert all(is_running(process.pid) for process in started), log.read_text()
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)
    assert "Traceback" not in log.read_text()
    report("processes of a server", SERVERS, begun)


def _workers(demo: Installation) -> list[object]:
    return list(demo.ask_database("SELECT name FROM worker"))


def _is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


# --- What cannot run here ---------------------------------------------------------------------


def refuse(step: Refused, folder: Path) -> None:
    """Run a command whose needs are taken away, on a home of its own."""
    hidden = hide(folder, *step.hidden)
    environment = {
        **Installation(folder / "home").environment,
        **hidden,
        "PYTHONPATH": f"{hidden['PYTHONPATH']}:{REPOSITORY}",
        "CUDA_VISIBLE_DEVICES": "",
    }
    run(step, folder, environment)


def test_commands_that_miss_something_name_it(tmp_path: Path) -> None:
    begun = time.monotonic()
    for step in REFUSED:
        refuse(step, tmp_path)
        print(f"only parsed: {step.command}: {step.says}")  # noqa: T201
    for command, reason in FOREIGN.items():
        print(f"not ours: {command}: {reason}")  # noqa: T201
    report("commands that were only parsed", REFUSED, begun)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", REFUSED_SLOWLY, ids=lambda step: step.command)
def test_commands_for_a_gpu_say_that_there_is_none(step: Refused, tmp_path: Path) -> None:
    refuse(step, tmp_path)


# --- What takes minutes -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder and a home for the long commands."""
    return tmp_path_factory.mktemp("bench")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", LONG, ids=lambda step: step.command)
def test_long_commands_run_at_their_smallest(step: Step, bench: Path) -> None:
    environment = Installation(bench / "home").environment | {"OMP_NUM_THREADS": "1"}
    if "illume loop scenes" in step.command:  # on fewer items than it would make itself
        small = "--n-train 20 --n-validation 5 --n-test 10"
        made = Step((f"illume project create scenes --demo {small}",), says="Created")
        run(made, bench, environment)
    begun = time.monotonic()
    run(step, bench, environment, repository=REPOSITORY)
    report(step.command, [step], begun)
