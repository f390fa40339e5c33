"""`illume up` as a person starts it, for tests of the whole installation."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from tests.support.command_line import REPOSITORY, run_illume
from tests.support.processes import descendants, wait_for
from tests.support.serving import free_port


class Installation:
    """`illume up` with a data folder of its own; may be started again and again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        known = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "STORE", "PUBLIC_URL"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in known},
            "ILLUME_HOME": str(home),
        }
        self._log = home.with_suffix(".log")

    def start(self, *options: str) -> float:
        """Start and wait until it says that it is ready; the seconds that this took."""
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "up", *options, "--port", str(self.port)],
                cwd=REPOSITORY,
                env=self.environment,
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

    def told_by_check(self) -> dict[str, str]:
        """What `illume check` says of each part, in a terminal of its own."""
        ended = run_illume(
            "check",
            "--json",
            without=("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "PORT"),
            ILLUME_HOME=str(self.home),
        )
        return {part["name"]: part["text"] for part in json.loads(ended.stdout)}

    def ask_database(self, query: str) -> list[tuple[object, ...]]:
        address = json.loads((self.home / "services.json").read_text())["database_url"]
        with psycopg.connect(address.replace("+psycopg", "")) as connection:
            rows = connection.execute(query.encode())
            return rows.fetchall() if rows.description else []

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
