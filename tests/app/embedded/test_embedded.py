"""The embedded servers keep data, come back, refuse clearly, and never outlive their owner."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from app.embedded import EmbeddedServices, HomeLock, embedded_services, open_home
from app.embedded import folders as folders_module
from app.embedded import home as home_module
from app.embedded import programs as programs_module
from app.embedded.folders import MAX_SOCKET_PATH, make_socket_folder
from app.embedded.postgres import Postgres
from app.embedded.programs import find_postgres_program, postgres_programs, redis_program
from app.kit.errors import SetupError
from app.kit.processes.children import Account, start_process, stop_process
from tests.support.processes import is_running, processes_in, wait_for

REPOSITORY = Path(__file__).parents[3]

OWNER = """
import sys, time
from pathlib import Path
from app.embedded import embedded_services

with embedded_services(Path(sys.argv[1])) as services:
    print(*services.pids().values(), flush=True)
    time.sleep(600)
"""


# The interpreter may stand where only root can walk: everything is loaded before the change.
BECOME = """
import encodings.ascii, encodings.idna, os, sys, time
from pathlib import Path
import psycopg, redis
from app.embedded import embedded_services, open_home

uid, gid = int(sys.argv[1]), int(sys.argv[2])
if uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
"""


def run_as(account: Account | None, script: str, *arguments: str) -> tuple[int, str]:
    """Status and error output of a script run as another user (None: as ourselves)."""
    numbers = [str(account.uid), str(account.gid)] if account else ["0", "0"]
    ended = subprocess.run(
        [sys.executable, "-c", BECOME + script, *numbers, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stderr


def connect(services: EmbeddedServices) -> psycopg.Connection:
    assert services.database_url is not None
    address = services.database_url.replace("postgresql+psycopg://", "postgresql://")
    return psycopg.connect(address, autocommit=True)


def open_redis(services: EmbeddedServices) -> redis.Redis:
    assert services.redis_url is not None
    return redis.Redis.from_url(services.redis_url, decode_responses=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServices]:
    with embedded_services(tmp_path_factory.mktemp("embedded")) as services:
        yield services


def test_durable_settings_and_no_network(running: EmbeddedServices) -> None:
    with connect(running) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in (
                "fsync",
                "synchronous_commit",
                "full_page_writes",
                "listen_addresses",
                "data_checksums",
                "server_encoding",
            )
        }
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "data_checksums": "on",
        "server_encoding": "UTF8",
    }
    configured = open_redis(running).config_get("*")
    assert (configured["port"], configured["appendonly"]) == ("0", "yes")


def test_texts_sort_and_fold_alike_on_every_machine(running: EmbeddedServices) -> None:
    with connect(running) as connection:
        row = connection.execute("SELECT lower('ÄPFEL Straße'), 'b' < 'ä' COLLATE \"default\"")
        assert row.fetchone() == ("äpfel straße", True)


def test_the_application_is_no_superuser_but_may_make_databases(running: EmbeddedServices) -> None:
    with connect(running) as connection:
        row = connection.execute(
            "SELECT rolname, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert row.fetchone() == ("illume", False, True)


def test_addresses_are_published_for_other_processes(tmp_path: Path) -> None:
    published = tmp_path / "services.json"
    with embedded_services(tmp_path, with_postgres=False) as services:
        assert json.loads(published.read_text()) == {"redis_url": services.redis_url}
        assert services.database_url is None
        assert list(services.pids()) == ["redis"]
    assert not published.exists()


def test_second_start_keeps_all_data(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with embedded_services(home) as services, connect(services) as connection:
        connection.execute("CREATE TABLE note (text text)")
        connection.execute("INSERT INTO note VALUES ('kept')")
        open_redis(services).rpush("queue", "nudge")
    with embedded_services(home) as services, connect(services) as connection:
        assert connection.execute("SELECT text FROM note").fetchall() == [("kept",)]
        assert open_redis(services).lrange("queue", 0, -1) == ["nudge"]
    assert processes_in(home / "postgres") == []
    assert processes_in(home / "redis") == []


def test_killed_postgres_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    with embedded_services(
        tmp_path, with_redis=False, notify=lambda name, text: told.append((name, text))
    ) as services:
        with connect(services) as connection:
            connection.execute("CREATE TABLE note (n int)")
            connection.execute("INSERT INTO note SELECT generate_series(1, 1000)")
            os.kill(services.pids()["postgres"], signal.SIGKILL)

        def count() -> tuple[int, ...] | None:
            with connect(services) as again:
                return again.execute("SELECT count(*) FROM note").fetchone()

        assert wait_for(count) == (1000,)
        assert told == [("postgres", "was ended by SIGKILL; starting it again")]


def test_killed_redis_comes_back_with_its_queues(tmp_path: Path) -> None:
    with embedded_services(tmp_path, with_postgres=False) as services:
        open_redis(services).rpush("queue", "first", "second")
        before = services.pids()["redis"]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: services.pids().get("redis", before) != before)
        assert wait_for(lambda: open_redis(services).lrange("queue", 0, -1)) == ["first", "second"]


def test_killed_owner_leaves_no_process_and_the_next_start_has_the_data(tmp_path: Path) -> None:
    with embedded_services(tmp_path) as services, connect(services) as connection:
        connection.execute("CREATE TABLE note (n int)")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    servers = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(servers) == 2
    folders = [tmp_path / "postgres", tmp_path / "redis"]
    family = [pid for folder in folders for pid in processes_in(folder)]
    assert set(servers) < set(family)

    owner.kill()
    owner.communicate()
    wait_for(lambda: not any(is_running(pid) for pid in family), seconds=10)

    with embedded_services(tmp_path) as services, connect(services) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,)


@pytest.mark.slow
def test_start_right_after_a_kill_waits_for_the_old_servers(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        old = owner.stdout.readline().split()
        owner.kill()
    with embedded_services(tmp_path) as services, connect(services):
        assert not any(is_running(int(pid)) for pid in old)


def test_second_instance_is_refused_with_the_process_that_runs(running: EmbeddedServices) -> None:
    message = (
        rf"already running with the data folder {running.home} \(process {os.getpid()}\)"
        r".*stop it, or set ILLUME_HOME"
    )
    with pytest.raises(SetupError, match=message), embedded_services(running.home):
        pass
    with connect(running) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_lock_of_leftover_servers_is_named_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_module, "LEFTOVER_SECONDS", 0.1)
    with HomeLock(tmp_path) as lock:
        os.ftruncate(lock.fileno, 0)  # the owner is gone, its servers are not
        with pytest.raises(SetupError, match="Servers of an earlier start still use"):
            HomeLock(tmp_path).acquire()


@pytest.mark.slow
def test_left_over_pid_file_of_a_number_in_use_does_not_stop_the_start(tmp_path: Path) -> None:
    with embedded_services(tmp_path, with_redis=False):
        left_over = (tmp_path / "postgres" / "postmaster.pid").read_text()
    lines = left_over.splitlines()
    lines[0] = str(os.getppid())
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    with embedded_services(tmp_path, with_redis=False) as services, connect(services) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_interrupted_first_start_is_started_over(tmp_path: Path) -> None:
    half = tmp_path / "postgres.new" / "base"
    half.mkdir(parents=True)
    (half / "1").write_text("half")
    with embedded_services(tmp_path, with_redis=False) as services, connect(services) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not half.exists()


def test_data_of_another_postgres_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(mode=0o700)
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(SetupError, match=r"made by PostgreSQL 16, this is PostgreSQL 18\. Restore"),
        embedded_services(tmp_path, with_redis=False),
    ):
        pass


def test_server_that_cannot_start_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Postgres.start.__globals__["SERVER_SETTINGS"], "shared_buffers", "much")
    with (
        pytest.raises(SetupError, match=r"postgres did not start .*shared_buffers.*postgres\.log"),
        embedded_services(tmp_path, with_redis=False),
    ):
        pass
    with HomeLock(tmp_path):  # nothing is held after the refusal
        pass


def test_missing_wheels_name_the_extra_and_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs_module, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match=r"illume\[embedded\].*DATABASE_URL"):
        postgres_programs(None)
    with pytest.raises(SetupError, match=r"illume\[embedded\].*REDIS_URL"):
        redis_program(None)
    with pytest.raises(SetupError, match=r"pg_dump was not found.*illume\[embedded\]"):
        find_postgres_program("pg_dump")


def test_redis_and_client_programs_of_the_system_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("redis-server", "pg_dump"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(programs_module, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_program(None) == tmp_path / "redis-server"
    assert find_postgres_program("pg_dump") == tmp_path / "pg_dump"


def test_pg_dump_reads_the_embedded_database(running: EmbeddedServices) -> None:
    assert running.database_url is not None
    address = running.database_url.replace("postgresql+psycopg://", "postgresql://")
    dump = subprocess.run(
        [find_postgres_program("pg_dump"), "--schema-only", address],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PostgreSQL database dump complete" in dump.stdout


def test_programs_are_copied_for_an_account_that_cannot_reach_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs_module, "SHARED_PROGRAMS", tmp_path / "illume" / "programs")
    monkeypatch.setattr(Account, "can_reach", lambda self, path: False)
    account = Account("nobody", 65534, 65534)
    for program in (postgres_programs(account) / "postgres", redis_program(account)):
        assert program.is_relative_to(tmp_path)
        assert program.stat().st_mode & 0o777 == 0o755
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert told.stdout.startswith(("postgres (PostgreSQL) 18", "Redis server v=6.2"))
    # The clients find their libraries beside them, also in the copy.
    pg_dump = postgres_programs(account) / "pg_dump"
    assert subprocess.run([pg_dump, "--version"], capture_output=True, check=True).stdout


def test_long_data_folder_gets_short_sockets(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 30)
    home.mkdir()
    with embedded_services(home, with_postgres=False) as services:
        assert services.redis_url is not None
        socket = Path(services.redis_url.removeprefix("unix://").removesuffix("?db=0"))
        assert len(str(socket)) <= MAX_SOCKET_PATH
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert open_redis(services).ping()
    assert not socket.parent.exists()


def test_socket_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ("long-" * 30)
    folder = make_socket_folder(home, None)
    try:
        folder.chmod(0o777)
        with pytest.raises(SetupError, match=r"belongs to another user or is open to others"):
            make_socket_folder(home, None)
    finally:
        folders_module.remove_socket_folder(folder, home)


def test_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="is a file, but ILLUME_HOME must be a folder"):
        open_home(tmp_path / "file")
    with pytest.raises(SetupError, match=r"cannot be made .* Set ILLUME_HOME to a folder"):
        open_home(tmp_path / "file" / "below")


def test_unwritable_data_folder_says_what_to_do() -> None:
    # To root every folder is writable; the question is put as somebody to whom it is not.
    account = Account.named("nobody") if os.geteuid() == 0 else None
    _, said = run_as(account, "open_home(Path('/sys'))")
    assert "The data folder /sys is not writable. Correct its permissions" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start servers for somebody else")
def test_root_runs_servers_without_privileges_and_changes_no_folder_above(tmp_path: Path) -> None:
    above = tmp_path / "closed"
    above.mkdir(mode=0o700)
    before = [folder.stat() for folder in (above, *above.parents)]
    with embedded_services(above / "home") as services:
        for pid in services.pids().values():
            assert Path(f"/proc/{pid}").stat().st_uid == Account.named("nobody").uid  # type: ignore[union-attr]
    after = [folder.stat() for folder in (above, *above.parents)]
    assert [(s.st_mode, s.st_uid) for s in before] == [(s.st_mode, s.st_uid) for s in after]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_ordinary_user_owns_its_servers_and_another_is_refused() -> None:
    daemon, nobody = Account.named("daemon"), Account.named("nobody")
    if daemon is None or nobody is None:
        pytest.skip("no two other accounts on this machine")
    script = "with embedded_services(Path(sys.argv[3])): pass"
    home = Path(f"/var/tmp/illume-test-{os.getpid()}")  # noqa: S108 - the account must reach it
    home.mkdir(mode=0o700)
    try:
        os.chown(home, daemon.uid, daemon.gid)
        assert run_as(daemon, script, str(home)) == (0, "")
        assert (home / "postgres").stat().st_uid == daemon.uid
        # Root goes on with the data as its owner.
        assert run_as(None, script, str(home)) == (0, "")
        assert (home / "postgres" / "PG_VERSION").stat().st_uid == daemon.uid
        home.chmod(0o777)
        (home / "lock").chmod(0o666)
        status, said = run_as(nobody, script, str(home))
        assert status != 0
        assert "belongs to daemon. Start as that user" in said
    finally:
        shutil.rmtree(home)


def test_child_dies_with_its_parent_also_without_the_kernels_help(tmp_path: Path) -> None:
    watcher = REPOSITORY / "app" / "kit" / "processes" / "parent_watch.py"
    script = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', {str(watcher)!r}, '15', 'sh', '-c', "
        f"'echo $$ > {tmp_path}/pid; exec sleep 600'])\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    pid = int(wait_for(lambda: (tmp_path / "pid").read_text().strip()))
    assert is_running(pid)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_running(pid), seconds=10)


def test_parent_watch_passes_signals_and_status_on() -> None:
    watcher = [
        sys.executable,
        "-I",
        str(REPOSITORY / "app" / "kit" / "processes" / "parent_watch.py"),
        "15",
    ]
    assert subprocess.run([*watcher, "sh", "-c", "exit 7"], check=False).returncode == 7
    child = start_process([*watcher, "sleep", "600"])
    time.sleep(0.3)
    assert stop_process(child, (signal.SIGTERM, 10.0))


def test_stubborn_process_is_killed_with_its_group() -> None:
    script = "trap '' TERM; sleep 600 & echo $!; wait; wait; sleep 600"
    child = start_process(["sh", "-c", script], output=subprocess.PIPE)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    assert not stop_process(child, (signal.SIGTERM, 0.3))
    wait_for(lambda: not is_running(grandchild), seconds=5)
    child.stdout.close()
