"""The database out of and into a file, with PostgreSQL's own programs."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.embedded import find_postgres_program
from app.kit.errors import AppError, SetupError
from app.kit.settings import environment_for_children, get_settings
from app.kit.storage import adapter_folder, image_path, store_folder

CONNECT_SECONDS = 10

# Everything of ours, whichever version made it; what an extension put there stays.
EMPTY_SCHEMA = """\
SET lock_timeout = '10s';
DO $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('DROP TABLE public.%I CASCADE', relname) FROM pg_class AS thing
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT EXISTS (
      SELECT FROM pg_depend WHERE objid = thing.oid AND deptype = 'e')
  LOOP EXECUTE command; END LOOP;
  FOR command IN
    SELECT format('DROP FUNCTION %s CASCADE', oid::regprocedure) FROM pg_proc AS thing
    WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
      SELECT FROM pg_depend WHERE objid = thing.oid AND deptype = 'e')
  LOOP EXECUTE command; END LOOP;
END $$;
"""
# The workers of then are not those of now: the sweep finds what they held. Nor are the keys: who
# signed out since, and which links and tokens were used up or revoked, stands nowhere any more, so
# all of them end. Older dumps lack tables. A dump brings no statistics, without which the first
# pages would be slow.
AFTERWARDS = """\
DELETE FROM public.worker;
DO $$
BEGIN
  IF to_regclass('public.sign_in_session') IS NOT NULL THEN
    DELETE FROM public.sign_in_session;
  END IF;
  UPDATE public.sign_in_link SET used_at = now() WHERE used_at IS NULL;
  UPDATE public.invite SET revoked_at = now() WHERE revoked_at IS NULL;
  UPDATE public.api_token SET revoked_at = now() WHERE revoked_at IS NULL;
END $$;
ANALYZE;
"""


@dataclass(frozen=True)
class Dumped:
    """The facts of a dump: its schema, its server, and the files it expects in the store."""

    migration: str
    postgres: int
    images: list[str]
    adapters: list[str]


def connect() -> psycopg.Connection[Any]:
    """Returns a new connection to the database, outside the application's pool."""
    conninfo, password = split_password(get_settings().resolve_database_url())
    try:
        return psycopg.connect(
            make_conninfo(conninfo, connect_timeout=CONNECT_SECONDS),
            password=password,
            application_name="illume archive",
        )
    except psycopg.OperationalError as error:
        raise SetupError(
            f"The database cannot be reached ({one_line(str(error))}). Start it, or correct "
            "DATABASE_URL."
        ) from error


def dump_database(target: Path) -> Dumped:
    """Write one consistent state of the database; what is committed meanwhile is not in it.

    The list of files comes from the same snapshot as the dump, so both tell the same story.
    """
    with connect() as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        dumped = _describe(connection)
        snapshot = _value(connection, "SELECT pg_export_snapshot()")
        _run(
            "pg_dump",
            *("--format=custom", "--no-owner", "--no-privileges", "--schema=public"),
            *(f"--snapshot={snapshot}", f"--file={target}"),
        )
    run_tool(find_postgres_program("pg_restore"), "--list", str(target))  # it can be read again
    return dumped


def load_database(dump: Path) -> None:
    """Replace all that the database holds by a dump, in one transaction: all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=dump.parent) as folder:
        before, data, after = (Path(folder) / f"{name}.sql" for name in ("before", "data", "after"))
        before.write_text(EMPTY_SCHEMA, encoding="utf-8")
        after.write_text(AFTERWARDS, encoding="utf-8")
        # A script first, and psql only when it is whole: cut off, it could be committed.
        run_tool(
            find_postgres_program("pg_restore"),
            # The schema itself is there: of a dump of one schema, only what is in it.
            *("--no-owner", "--no-privileges", "--schema=public", f"--file={data}", str(dump)),
        )
        _run(
            "psql",
            *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"),
            *(f"--file={path}" for path in (before, data, after)),
        )


def server_version(connection: psycopg.Connection[Any]) -> int:
    return connection.info.server_version // 10_000


def run_tool(program: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run one of PostgreSQL's programs. Raises AppError with what it complained about."""
    ended = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=env,
        check=False,
    )
    if ended.returncode != 0:
        said = one_line(ended.stderr.decode(errors="replace")) or f"status {ended.returncode}"
        raise AppError(f"{program.name} failed: {said}")


def one_line(text: str) -> str:
    """Returns the error of a program as one line, without line numbers and follow-up messages."""
    found = re.search(r"\b(?:error|fatal):\s*(.+)", text, re.IGNORECASE)
    return found[1].strip() if found else next(iter(text.strip().splitlines()), "")


def _run(name: str, *arguments: str) -> None:
    """Run a program on our database. The password travels where `ps` does not show it."""
    conninfo, password = split_password(get_settings().resolve_database_url())
    given = {"PGPASSWORD": password} if password else {}
    env = {**environment_for_children(), **given}
    run_tool(find_postgres_program(name), *arguments, f"--dbname={conninfo}", env=env)


def split_password(url: str) -> tuple[str, str | None]:
    """Returns the connection as libpq and its programs take it, and the password apart."""
    parts = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))
    password = parts.pop("password", None)
    return make_conninfo("", **parts), str(password) if password is not None else None


def _describe(connection: psycopg.Connection[Any]) -> Dumped:
    if not _value(connection, "SELECT to_regclass('public.alembic_version') IS NOT NULL"):
        raise SetupError("The database has no tables of ILLUME yet. Run `illume migrate`.")
    images: Sequence[tuple[str, str]] = connection.execute(
        "SELECT sha256, media_type FROM image ORDER BY sha256"
    ).fetchall()
    adapters: Sequence[tuple[str]] = connection.execute(
        "SELECT DISTINCT digest FROM adapter ORDER BY digest"
    ).fetchall()
    return Dumped(
        migration=str(_value(connection, "SELECT version_num FROM alembic_version")),
        postgres=server_version(connection),
        images=[_name(image_path(sha256, media_type)) for sha256, media_type in images],
        adapters=[_name(adapter_folder(digest)) for (digest,) in adapters],
    )


def _name(path: Path) -> str:
    return path.relative_to(store_folder()).as_posix()


def _value(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
