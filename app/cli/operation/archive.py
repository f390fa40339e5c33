"""Backup and restore: the database and the store in one file.

What travels: everything in the database, and the store's images, adapters, releases and uploads.
What does not: saved states of a training that is under way (it begins again), Redis (messages only
nudge; the sweep sends them anew), and SECRET_KEY. The key signs sessions, and a copied file should
not let anybody forge one.
The archive holds password hashes and texts; only its owner may read it.
"""

import os
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from app.cli.operation.archive_file import (
    DUMP,
    STORE,
    Manifest,
    new_archive,
    read_archive,
    verify_archive,
)
from app.cli.operation.database_dump import (
    Dumped,
    connect,
    dump_database,
    load_database,
    server_version,
)
from app.embedded import HomeLock, open_home
from app.embedded.home import LOCK_FILE
from app.kit import db
from app.kit.errors import AppError, SetupError
from app.kit.schema_upgrade import list_migrations, migrate
from app.kit.settings import get_settings
from app.kit.storage import atomic_file, list_files, store_folder, storing_at, sync_folder
from app.services.runs.runs import LIVE_WORKER_SECONDS

# Folders of the store that only a worker in the middle of its work needs.
PASSING = frozenset({"state"})
# How long a program that was just stopped may take until the database has noticed.
LEAVING_SECONDS = 3.0


def backup(file: Path) -> int:
    """Write the database and the store into `file`, check it, and return its size in bytes.

    May run beside everything else: the dump is one moment of the database, and files of the store
    never change, so that those copied after it are all that it names, and perhaps some more.
    An older `file` is replaced only by a new one that is whole.

    Raises:
        AppError: with the archive written, when the store lacks files that the database names.
    """
    file = file.absolute()
    _check_target(file)
    with (
        storing_at(file),
        tempfile.TemporaryDirectory(prefix=".illume-backup-", dir=file.parent) as folder,
    ):
        draft, dump = Path(folder) / "backup.tar", Path(folder) / DUMP
        dumped = dump_database(dump)
        manifest = _write(draft, dump, dumped)
        if verify_archive(draft) != manifest:
            raise AppError("The backup could not be read back as it was written. Try again.")
        n_bytes = draft.stat().st_size
        draft.replace(file)
        sync_folder(file.parent)
    if manifest.missing:
        raise AppError(
            f"{file} is written, but {len(manifest.missing)} files that the database names are "
            f"not in the store {store_folder()} (the first: {manifest.missing[0]}). Put them "
            "back and make another backup."
        )
    return n_bytes


def restore(file: Path, *, replace: bool) -> None:
    """Put a backup back: first the files, then the database in one transaction, then migrations.

    All sessions, links and API tokens of the backup end: what was ended since it was made would be
    good again. Everything that can be refused is refused before anything is changed. Files of the
    store that the backup does not have stay; nothing names them any more.
    """
    file = file.absolute()
    manifest = verify_archive(file)
    _check_version(file, manifest)
    db.forget_engine()  # connections of before would look like somebody else's
    settings = get_settings()
    with _alone(open_home(settings.illume_home)):
        _check_database(manifest, replace=replace)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.illume_home) as folder:
            dump = Path(folder) / DUMP
            for name, chunks in read_archive(file):
                _put(dump if name == DUMP else _place(name), chunks)
            load_database(dump)
        migrate()


# --- Writing --------------------------------------------------------------------------------


def _check_target(file: Path) -> None:
    if file.is_dir():
        raise AppError(f"{file} is a folder. Name a file, for example {file / 'illume.tar'}.")
    if not file.parent.is_dir():
        raise AppError(f"There is no folder {file.parent}. Make it first.")
    if file.is_relative_to(store_folder()):
        raise AppError(f"{file} lies in the store, which is being backed up. Name another place.")


def _write(draft: Path, dump: Path, dumped: Dumped) -> Manifest:
    store = store_folder()
    with new_archive(draft) as archive:
        archive.add(dump, DUMP)
        for path in list_files(store):
            name = path.relative_to(store)
            # A leading dot marks what is being written at this moment.
            if name.parts[0] in PASSING or any(part.startswith(".") for part in name.parts):
                continue
            if path.is_file() and not path.is_symlink():
                archive.add(path, f"{STORE}/{name.as_posix()}")
        return archive.finish(
            illume=version("illume"),
            postgres=dumped.postgres,
            migration=dumped.migration,
            missing=_list_missing(dumped, archive.files),
        )


def _list_missing(dumped: Dumped, files: Iterable[str]) -> list[str]:
    """Returns the files that the database names and the store did not have."""
    names = set(files)
    folders = {name.rpartition("/")[0] for name in names}
    images = [name for name in dumped.images if f"{STORE}/{name}" not in names]
    return images + [name for name in dumped.adapters if f"{STORE}/{name}" not in folders]


# --- Restoring ------------------------------------------------------------------------------


def _check_version(file: Path, manifest: Manifest) -> None:
    if manifest.migration not in list_migrations():
        raise AppError(
            f"{file} was made by another version of ILLUME ({manifest.illume}, schema "
            f"{manifest.migration}), which this one does not know. Update ILLUME, then restore."
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the data folder for the length of the block; refuse while anything else runs."""
    lock = HomeLock(home)
    is_held_by_us = _is_held_by_us(home)
    if not is_held_by_us:
        try:
            lock.acquire()
        except SetupError as error:
            raise SetupError(f"A restore needs everything stopped. {error.message}") from error
    try:
        _check_nobody_is_connected()
        yield
    finally:
        if not is_held_by_us:
            lock.release()


def _is_held_by_us(home: Path) -> bool:
    """Whether the embedded services that the command itself started hold the folder already."""
    try:
        return (home / LOCK_FILE).read_text(encoding="ascii").strip() == str(os.getpid())
    except OSError:
        return False


def _check_nobody_is_connected() -> None:
    with connect() as connection:
        connection.autocommit = True
        worker = _find_live_worker(connection)
        if worker is not None:
            raise SetupError(
                f"The worker {worker} is alive. Stop all workers first; one that is gone is "
                f"forgotten after {LIVE_WORKER_SECONDS:.0f} s."
            )
        deadline = time.monotonic() + LEAVING_SECONDS
        while n_others := _count_others(connection):
            if time.monotonic() > deadline:
                raise SetupError(
                    f"{n_others} connections of ILLUME to this database are open: a web server, "
                    "worker or command runs. Stop all of them, then restore."
                )
            time.sleep(0.1)


def _find_live_worker(connection: psycopg.Connection[Any]) -> str | None:
    """A worker that was seen just now, unless it ran on this machine and has ended."""
    if not _has_table(connection, "worker"):
        return None
    rows = connection.execute(
        "SELECT name, pid FROM worker WHERE seen_at > now() - make_interval(secs => %s)",
        (LIVE_WORKER_SECONDS,),
    )
    here = f"{socket.gethostname()}:"
    for name, pid in rows:
        if not name.startswith(here) or _is_process(pid):
            return str(name)
    return None


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _count_others(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'illume'"
    ).fetchone()
    return int(row[0]) if row else 0


def _check_database(manifest: Manifest, *, replace: bool) -> None:
    with connect() as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        ).fetchall()
        names = [name for (name,) in tables]
        if names and "alembic_version" not in names:
            raise AppError(
                "This database belongs to another program: it has tables, and none are of ILLUME. "
                "Set DATABASE_URL to a database of its own."
            )
        if server_version(connection) < manifest.postgres:
            raise AppError(
                f"The backup is of PostgreSQL {manifest.postgres}, this server is "
                f"{server_version(connection)}. Restore into one that is as new."
            )
        filled = [
            name for name in names if name != "alembic_version" and _has_row(connection, name)
        ]
    if filled and not replace:
        raise AppError(
            f"The database is not empty (there are rows in {', '.join(filled[:3])}). "
            "Give --replace to lose them, or restore into an empty one."
        )


def _has_table(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"public.{name}",)).fetchone()
    return bool(row and row[0])


def _has_row(connection: psycopg.Connection[Any], table: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM public.{})").format(sql.Identifier(table))
    row = connection.execute(query).fetchone()
    return bool(row and row[0])


def _place(name: str) -> Path:
    return store_folder() / Path(name).relative_to(STORE)


def _put(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file whole or not at all, also over one that is there: it may be damaged."""
    with atomic_file(path) as stream:
        for chunk in chunks:
            stream.write(chunk)
