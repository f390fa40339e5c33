"""PostgreSQL 18 as a child: made once, started in the foreground, reached over a socket only."""

import logging
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import pq, sql

from app.embedded.folders import (
    ServerFolder,
    make_owned_folder,
    open_log,
    server_environment,
    write_owned_file,
)
from app.embedded.programs import POSTGRES_VERSION, postgres_programs
from app.kit.errors import SetupError
from app.kit.processes.children import Account, start_process

logger = logging.getLogger(__name__)

DATABASE = "illume"
ROLE = "illume"
SUPERUSER = "postgres"
PORT = 5432  # part of the socket's file name; no TCP port is opened

# Given on the command line, so that nothing depends on what a data folder's file says.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "warning",
    # Statements carry people's texts; they stay out of the log unless the server itself breaks.
    "log_min_error_statement": "panic",
    "cluster_name": "illume",
}


class Postgres:
    """One cluster in `home/postgres`, in the shape that the keeper wants."""

    name = "postgres"
    # Fast shutdown first (clients are sent away, all is written), then immediate, then SIGKILL.
    stop_steps: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGINT, 20.0),
        (signal.SIGQUIT, 5.0),
    )

    def __init__(self, home: Path, sockets: Path, account: Account | None) -> None:
        self._data = home / "postgres"
        self._sockets = sockets
        self._account = account
        self._programs = postgres_programs(account)
        self.log_file = home / "logs" / "postgres.log"

    def prepare(self) -> None:
        """Make the cluster when there is none, whole or not at all; check one that is there."""
        draft = self._data.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        if not self._data.exists():
            self._make_cluster(draft)
            draft.rename(self._data)
        found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != POSTGRES_VERSION:
            raise SetupError(
                f"{self._data} was made by PostgreSQL {found}, this is PostgreSQL "
                f"{POSTGRES_VERSION}. Restore a backup into a new ILLUME_HOME, or set DATABASE_URL."
            )
        self._write_access_rules()

    def start(self, lock: int) -> subprocess.Popen[bytes]:
        # The caller holds the lock of the data folder, which every server inherits: no postmaster
        # lives here. A pid file is left over, and its number may by now be anybody's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        folder = ServerFolder(self._data, self._account).spelling
        settings = {
            **SERVER_SETTINGS,
            "unix_socket_directories": str(self._sockets),
            "hba_file": f"{folder}/illume_hba.conf",
            "ident_file": f"{folder}/illume_ident.conf",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open_log(self.log_file) as log:
            return start_process(
                [self._programs / "postgres", "-D", folder, *options],
                cwd=self._data,
                env=server_environment(),
                account=self._account,
                output=log,
                # An orphaned cluster ends itself and its children at once; what was committed is
                # in the write-ahead log. SIGKILL would leave its children to find out on their own.
                death_signal=signal.SIGQUIT,
                pass_fds=(lock,),
            )

    def is_ready(self) -> bool:
        """Whether the server accepts connections, as `pg_isready` would say."""
        status = pq.PGconn.ping(self._conninfo(SUPERUSER, "postgres").encode())
        return bool(status == pq.Ping.OK)

    def after_start(self) -> None:
        """Make our role and database when they are missing; both steps may be repeated."""
        with psycopg.connect(self._conninfo(SUPERUSER, "postgres"), autocommit=True) as connection:
            role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
            if not _exists(connection, "SELECT FROM pg_roles WHERE rolname = %s", ROLE):
                # CREATEDB: tests and restores make databases of their own.
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
            if not _exists(connection, "SELECT FROM pg_database WHERE datname = %s", DATABASE):
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))

    @property
    def url(self) -> str:
        folder = quote(str(self._sockets), safe="/")
        return f"postgresql+psycopg://{ROLE}@/{DATABASE}?host={folder}&port={PORT}"

    def _conninfo(self, role: str, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host=str(self._sockets), port=PORT, user=role, dbname=database, connect_timeout=10
        )

    def _make_cluster(self, draft: Path) -> None:
        make_owned_folder(draft, self._account)
        command: list[str | Path] = [
            self._programs / "initdb",
            f"--pgdata={ServerFolder(draft, self._account).spelling}",
            f"--username={SUPERUSER}",
            "--auth=peer",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        process = start_process(
            command,
            cwd=draft,
            env=server_environment(),
            account=self._account,
            output=subprocess.PIPE,
        )
        output = process.communicate()[0].decode(errors="replace")
        if process.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            reason = next((line for line in output.splitlines() if "error" in line), output[-300:])
            raise SetupError(
                f"The database could not be made in {self._data.parent}: {reason.strip()}. "
                "Free space or correct the permissions there, or set DATABASE_URL."
            )

    def _write_access_rules(self) -> None:
        """Only the user who starts ILLUME may connect, and the kernel says who that is (peer)."""
        user = _own_name()
        rules = "local all all peer map=illume\n"
        names = "".join(f'illume "{user}" {role}\n' for role in (SUPERUSER, ROLE))
        write_owned_file(self._data / "illume_hba.conf", rules, self._account)
        write_owned_file(self._data / "illume_ident.conf", names, self._account)


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise SetupError(
            f"PostgreSQL needs a user name, and user number {os.geteuid()} has none. "
            "Run as a user with an account, or set DATABASE_URL."
        ) from error


def _exists(connection: psycopg.Connection, query: str, value: str) -> bool:
    return connection.execute(query.encode(), (value,)).fetchone() is not None
