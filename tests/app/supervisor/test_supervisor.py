"""`illume up` starts, restarts and stops its processes, and says in one line what it lacks."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import HomeLock
from app.kit.errors import SetupError
from app.kit.settings import Settings
from app.supervisor import up
from app.supervisor.address import listen
from app.supervisor.supervise import default_plan
from tests.support.processes import descendants, is_running, wait_for
from tests.support.serving import free_port

REPOSITORY = Path(__file__).parents[3]

# A small installation: real services and supervision, with stand-ins for the slow programs.
SMALL = '''
import json, signal, sys
from pathlib import Path
from app.kit.errors import SetupError
from app.kit.settings import Settings, get_settings
from app.supervisor import up
from app.supervisor.child import Spec
from app.supervisor.supervise import Plan

WEB = """
import http.server, signal, socket, sys, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"here")
    def log_message(self, *arguments): pass
def stop(*_):
    print("web stops"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
listener = socket.socket(fileno=int(sys.argv[1]))
server = http.server.HTTPServer(listener.getsockname(), Answer, bind_and_activate=False)
server.socket.close()
server.socket = listener
print("web begins")
server.serve_forever()
"""
WORKER = """
import signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
def stop(*_):
    print("worker finishes its step"); time.sleep(0.3); child.kill()
    print("worker stops"); sys.exit(0)
if sys.argv[1] != "stubborn":
    signal.signal(signal.SIGTERM, stop)
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("worker begins")
while True: time.sleep(600)
"""
options = json.loads(sys.argv[1])
python = (sys.executable, "-u", "-c")

def make_plan(settings, listener):
    steps = ((signal.SIGTERM, 0.5 if options.get("worker") == "stubborn" else 10.0),)
    return Plan(
        migrate=migrate,
        specs=(
            Spec("web", (*python, options.get("web", WEB), str(listener)), 1, pass_fds=(listener,)),
            Spec("worker", (*python, WORKER, options.get("worker", "")), stop_steps=steps),
        ),
    )

def migrate():
    if "migrate" in options:
        raise RuntimeError(options["migrate"])

def prepare():
    if "prepare" in options:
        raise SetupError(options["prepare"])
    print("preparing", flush=True)

try:
    up(
        Settings(
            illume_home=options["home"],
            port=options["port"],
            # Without it PostgreSQL runs too; nothing here asks it anything.
            database_url=None if "postgres" in options else "postgresql://unused/unused",
        ),
        prepare=prepare,
        announce=lambda: print("announced", get_settings().base_url, flush=True),
        make_plan=make_plan,
        packages=(),
    )
except SetupError as error:
    print("refused:", error, flush=True)
    sys.exit(1)
'''


class Installation:
    """A supervisor in a process of its own, and what it has printed so far."""

    def __init__(self, home: Path, **options: object) -> None:
        self.home = home
        self.port = int(options.pop("port", 0) or free_port())  # type: ignore[call-overload]
        self.log = home.with_suffix(".log")
        given = {"home": str(home), "port": self.port, **options}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SMALL, json.dumps(given)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}},
            )

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def wait_for_line(self, part: str, times: int = 1) -> None:
        try:
            wait_for(lambda: sum(part in line for line in self.lines()) >= times, seconds=30)
        except AssertionError:
            raise AssertionError(f"{part!r} was not said:\n" + "\n".join(self.lines())) from None

    def wait_until_up(self) -> None:
        """Ready, and the worker, for which `up` does not wait, has begun."""
        self.wait_for_line("Ctrl-C stops everything")
        self.wait_for_line("worker begins")

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.home / "processes.json").read_text())
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def ask_web(self) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/")
        return connection.getresponse().read()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def small(home: Path) -> Iterator[Installation]:
    installation = Installation(home, postgres=True)
    yield installation
    if installation.process.poll() is None:
        installation.process.kill()
        installation.process.wait()


def position(lines: list[str], part: str) -> int:
    return next(number for number, line in enumerate(lines) if part in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_starts_in_order_announces_and_stops_in_order(
    small: Installation, number: signal.Signals
) -> None:
    small.wait_until_up()
    assert small.ask_web() == b"here"
    family = descendants(small.process.pid)
    assert set(small.pids()) == {"supervisor", "postgres", "redis", "web", "worker"}
    assert set(small.pids().values()) <= family | {small.process.pid}

    assert small.end(number) == 0
    lines = small.lines()
    said = [
        "migrate      | up to date after",
        "ready after",
        f"announced http://127.0.0.1:{small.port}",
        "worker       | worker finishes its step",
        "worker       | worker stops",
        "web          | web stops",
    ]
    assert [position(lines, part) for part in said] == sorted(position(lines, p) for p in said)
    # What a child says is passed on beside what the supervisor says: it may come a little later.
    assert position(lines, said[0]) < position(lines, "web          | web begins")
    assert f"at http://127.0.0.1:{small.port}" in lines[position(lines, "ready after")]
    assert not any(is_running(pid) for pid in family)
    assert not (small.home / "processes.json").exists()


def test_killed_supervisor_leaves_no_process(small: Installation) -> None:
    small.wait_until_up()
    family = descendants(small.process.pid)
    assert len(family) > 8  # servers with children, web, worker with a child of its own
    small.process.kill()
    small.process.wait()
    # A worker's own child is not ours: real workers' pools ask the kernel for the same favour.
    ours = set(small.pids().values()) | {p for p in family if not _is_sleep(p)}
    wait_for(lambda: not any(is_running(pid) for pid in ours), seconds=10)
    for pid in family:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def _is_sleep(pid: int) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_dead_children_are_started_again_and_leave_nothing_behind(small: Installation) -> None:
    small.wait_until_up()
    before = small.pids()
    workers_child = descendants(before["worker"])
    assert len(workers_child) == 1
    os.kill(before["web"], signal.SIGKILL)
    os.kill(before["worker"], signal.SIGKILL)
    os.kill(before["redis"], signal.SIGKILL)
    small.wait_for_line("web          | was ended by SIGKILL; starting it again in 0.2 s")
    assert small.ask_web() == b"here"  # waited in the queue of the socket meanwhile
    small.wait_for_line("worker begins", times=2)
    small.wait_for_line("redis        | was ended by SIGKILL; starting it again")
    wait_for(lambda: before.keys() == small.pids().keys())
    after = wait_for(lambda: small.pids() if small.pids()["redis"] != before["redis"] else None)
    assert {name for name in after if after[name] != before[name]} == {"web", "worker", "redis"}
    assert not any(is_running(pid) for pid in workers_child)
    assert small.end() == 0


def test_second_ctrl_c_does_not_wait(home: Path) -> None:
    installation = Installation(home, worker="")
    installation.wait_for_line("Ctrl-C stops everything")
    os.kill(installation.pids()["worker"], signal.SIGSTOP)  # never answers
    installation.process.send_signal(signal.SIGINT)
    installation.wait_for_line("stopping; Ctrl-C again stops at once")
    begun = time.monotonic()
    assert installation.end() == 0
    assert time.monotonic() - begun < 8
    installation.wait_for_line("worker       | did not end in time and is killed")


def test_stubborn_worker_is_killed_after_its_time(home: Path) -> None:
    installation = Installation(home, worker="stubborn")
    installation.wait_until_up()  # before it has begun, it would end at the first request
    family = descendants(installation.process.pid)
    assert installation.end() == 0
    assert "worker       | did not end in time and is killed" in installation.lines()
    assert not any(is_running(pid) for pid in family)


def test_failed_migration_starts_nothing_else(home: Path) -> None:
    installation = Installation(home, migrate="column is odd\nDETAIL: more of it")
    assert installation.process.wait(timeout=60) == 1
    lines = installation.lines()
    assert lines[-1].startswith(
        "refused: The database could not be brought to the newest schema: column is odd. Nothing"
    )
    assert not any("begins" in line for line in lines)


def test_web_server_that_never_starts_is_given_up(home: Path) -> None:
    installation = Installation(home, web="raise SystemExit('no such module')")
    assert installation.process.wait(timeout=60) == 1
    assert "web          | no such module" in installation.lines()
    assert installation.lines()[-1].startswith("refused: The web server does not start")


def test_failed_preparation_stops_everything(home: Path) -> None:
    installation = Installation(home, prepare="The demo data is damaged. Install again.")
    assert installation.process.wait(timeout=60) == 1
    assert installation.lines()[-1] == "refused: The demo data is damaged. Install again."


def test_second_start_finds_the_first(small: Installation) -> None:
    small.wait_until_up()
    begun = time.monotonic()
    with pytest.raises(SetupError, match=rf"already running .* \(process {small.process.pid}\)"):
        up(Settings(illume_home=small.home, port=small.port), packages=())
    assert time.monotonic() - begun < 5
    assert small.ask_web() == b"here"
    assert small.end() == 0


def test_port_in_use_names_another_one(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} is in use .*illume up --port \d+"):
            up(Settings(illume_home=home, port=port), packages=())
    assert not (home / "postgres").exists()
    with HomeLock(home):  # and nothing is held
        pass


def test_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(
        SetupError, match=r"192\.0\.2\.1 cannot be used here .* --host 127\.0\.0\.1"
    ):
        listen("192.0.2.1", 8000)


def test_missing_extra_names_the_command(home: Path) -> None:
    with pytest.raises(SetupError, match=r"needs absent\. Install: pip install 'illume\[worker\]'"):
        up(Settings(illume_home=home), packages=("torch", "absent"))
    assert not home.exists()


def test_unusable_folder_is_refused_before_anything_starts(home: Path) -> None:
    home.write_text("a file")
    with pytest.raises(SetupError, match="is a file, but ILLUME_HOME must be a folder"):
        up(Settings(illume_home=home), packages=())


def test_default_plan_has_web_two_kinds_of_workers_and_beat() -> None:
    plan = default_plan(Settings(web_processes=2), listener=7)
    assert [spec.name for spec in plan.specs] == [
        "web-1",
        "web-2",
        "worker",
        "model worker",
        "beat",
    ]
    assert all(spec.pass_fds == (7,) for spec in plan.specs[:2])
    for spec, queue in ((plan.specs[2], "cpu"), (plan.specs[3], "gpu")):
        assert spec.command[spec.command.index("--queues") + 1] == queue
