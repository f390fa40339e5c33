"""Checks each part of the installation for `illume check`, and says how to mend what is wrong.

Works with nothing running and changes nothing: no folder, key or process is made by looking.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.embedded import find_postgres_program
from app.embedded.home import LOCK_FILE
from app.embedded.programs import postgres_programs, redis_program
from app.kit.db import session_scope
from app.kit.errors import SetupError
from app.kit.processes.programs import WORKER_PACKAGES, missing_packages
from app.kit.schema_upgrade import newest_migration
from app.kit.settings import SERVICES_FILE, Settings, get_settings
from app.models import Worker
from app.queries.runs.workers import list_live_workers
from app.services.operation.server_check import check_sampling_server
from app.services.runs.runs import LIVE_WORKER_SECONDS

CONNECT_SECONDS = 3
IMPORT_SECONDS = 60
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 12)
# NULLS NOT DISTINCT in a unique constraint (training_row) is new in 15.
OLDEST_POSTGRES = 15
LEAST_FREE_BYTES = 2_000_000_000
QUEUES = {"cpu": "imports, releases, critics", "gpu": "the model"}


@dataclass(frozen=True)
class Finding:
    """One part: whether it is well, and what there is to say; the mend where it is not."""

    name: str
    is_ok: bool
    text: str

    def as_dict(self) -> dict[str, str | bool]:
        return asdict(self)


class Problem(Exception):
    """A fault of a part of the installation and how to mend it, in a sentence or two."""


def check_installation() -> list[Finding]:
    """Look at everything, in the order in which things depend on each other."""
    findings = [_look("python", _check_python)]
    try:
        settings = get_settings()
    except SetupError as error:
        return [*findings, Finding("settings", False, error.message)]
    parts: dict[str, Callable[[Settings], str]] = {
        "settings": _check_settings,
        "data folder": _check_home,
        "store": _check_store,
        "disk space": _check_disk_space,
        "embedded services": _check_embedded,
        "model worker packages": _check_worker_packages,
        "torchvision": _check_torchvision,
        "backup programs": _check_backup_programs,
        "sampling server": check_sampling_server,
        "redis": _check_redis,
        "database": _check_database,
    }
    findings += [_look(name, check, settings) for name, check in parts.items()]
    if findings[-1].is_ok:
        findings.append(_look("schema", _check_schema, settings))
    if findings[-1].name == "schema" and findings[-1].is_ok:
        findings += _check_workers()
    return findings


def _look(name: str, check: Callable[..., str], *arguments: Settings) -> Finding:
    try:
        return Finding(name, True, check(*arguments))
    except Problem as problem:
        return Finding(name, False, str(problem))
    except SetupError as error:
        return Finding(name, False, error.message)


# --- The machine ----------------------------------------------------------------------------


def _check_python() -> str:
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise Problem(f"{found}, but 3.11 or 3.12 is needed. Make a new environment with one.")
    return found


def _check_settings(settings: Settings) -> str:
    if settings.secret_key is not None:
        settings.resolve_secret_key()  # refuses one that is too short; makes nothing
    key = "SECRET_KEY is set" if settings.secret_key else "the secret key is kept in ILLUME_HOME"
    return f"people use {settings.running_url()}; {key}"


def _check_home(settings: Settings) -> str:
    home = settings.illume_home
    if home.exists() and not home.is_dir():
        raise Problem(f"{home} is a file, but ILLUME_HOME must be a folder. Set another path.")
    _require_writable(home, "ILLUME_HOME")
    if not home.is_dir():
        return f"{home} is made at the first start"
    return f"{home} is writable{_describe_owner(home)}"


def _describe_owner(home: Path) -> str:
    """Says who holds the folder, by its lock file; a crash may have left a number behind."""
    try:
        pid = int((home / LOCK_FILE).read_text(encoding="ascii"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return ""
    return f"; process {pid} runs ILLUME with it"


def _check_store(settings: Settings) -> str:
    store = settings.store_path
    _require_writable(store, "STORE" if settings.store else "ILLUME_HOME")
    return f"{store} is writable" if store.is_dir() else f"{store} is made when first needed"


def _require_writable(folder: Path, variable: str) -> None:
    """Write for a moment where the folder is, or in the one above that would come to hold it.

    Asked of the system itself: what the mode bits say is no answer for root or a read-only disk.
    """
    place = _nearest_folder(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".check-"):
            return
    except OSError as error:
        raise Problem(
            f"{place} cannot be written ({error.strerror}). Correct its permissions, or set "
            f"{variable} to another folder."
        ) from error


def _nearest_folder(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def _check_disk_space(settings: Settings) -> str:
    folders = {_nearest_folder(path) for path in (settings.illume_home, settings.store_path)}
    fullest = min(folders, key=lambda folder: shutil.disk_usage(folder).free)
    free = shutil.disk_usage(fullest).free
    found = f"{free / 1e9:.1f} GB are free at {fullest}"
    if free < LEAST_FREE_BYTES:
        raise Problem(f"Only {found}: make room, at least {LEAST_FREE_BYTES / 1e9:.0f} GB.")
    return found


# --- What is installed ----------------------------------------------------------------------


def _check_embedded(settings: Settings) -> str:
    if not settings.is_embedded:
        return "not needed: DATABASE_URL and REDIS_URL are set"
    parts = []
    if settings.database_url is None:
        parts.append(f"PostgreSQL in {postgres_programs(None)}")
    if settings.redis_url is None:
        parts.append(f"Redis is {redis_program(None)}")
    return ", ".join(parts)


def _check_worker_packages(settings: Settings) -> str:
    missing = missing_packages(WORKER_PACKAGES)
    if not missing:
        return "installed"
    if settings.is_embedded:
        raise Problem(
            f"`illume up` needs {', '.join(missing)}. Install: pip install 'illume[worker]'"
        )
    return (
        "not installed: model workers run elsewhere, or after pip install 'illume[worker]' "
        f"({', '.join(missing)})"
    )


def _check_torchvision(_: Settings) -> str:
    """Imports it in a process of its own: a build for another torch fails only then."""
    if missing_packages(["torchvision"]):
        return "not installed: few models need it, and say so (pip install 'illume[vision]')"
    if missing_packages(WORKER_PACKAGES):
        return "installed; without the model worker's packages nothing uses it"
    look = [sys.executable, "-c", "import torchvision; print(torchvision.__version__)"]
    try:
        found = subprocess.run(
            look, check=False, capture_output=True, text=True, timeout=IMPORT_SECONDS
        )
    except subprocess.TimeoutExpired as expired:
        raise Problem(f"It cannot be imported within {IMPORT_SECONDS} s.") from expired
    if found.returncode == 0:
        return f"{found.stdout.strip()} fits torch"
    said = next(reversed(found.stderr.strip().splitlines()), "it ends without a word")
    raise Problem(
        f"It cannot be imported beside this torch ({said}), so model workers do without it. "
        "Install the build that matches, from where torch came from, or: pip uninstall torchvision"
    )


def _check_backup_programs(_: Settings) -> str:
    return ", ".join(str(find_postgres_program(name)) for name in ("pg_dump", "pg_restore", "psql"))


# --- What runs ------------------------------------------------------------------------------


def _check_redis(settings: Settings) -> str:
    url = _url(settings, "Redis", settings.redis_url, settings.resolve_redis_url)
    try:
        with Redis.from_url(
            url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
        ) as redis:
            found = redis.info("server")["redis_version"]
    except (RedisError, ValueError) as error:
        raise Problem(
            f"Redis does not answer ({_first_line(error)}). "
            f"{_how_to_start(settings.redis_url, 'REDIS_URL')}"
        ) from error
    return f"Redis {found} answers"


def _check_database(settings: Settings) -> str:
    with _connect(settings) as connection:
        server = connection.info.server_version // 10_000
        encoding = connection.info.parameter_status("server_encoding")
    if server < OLDEST_POSTGRES:
        raise Problem(f"PostgreSQL {server} is too old: {OLDEST_POSTGRES} or newer is needed.")
    if encoding != "UTF8":
        raise Problem(
            f"The database keeps texts as {encoding}. Make one with the encoding UTF8 and set "
            "DATABASE_URL to it."
        )
    return f"PostgreSQL {server} answers"


def _check_schema(settings: Settings) -> str:
    with _connect(settings) as connection:
        row = connection.execute("SELECT to_regclass('public.alembic_version')").fetchone()
        if row is None or row[0] is None:
            raise Problem("The database has no tables yet. Run `illume migrate`.")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    current = row[0] if row else "nothing"
    if current != newest_migration():
        raise Problem(
            f"The schema is at {current}, this version of ILLUME wants {newest_migration()}. "
            "Run `illume migrate`; if that does not know it, update ILLUME."
        )
    return f"at {current}, the newest"


def _check_workers() -> list[Finding]:
    try:
        with session_scope() as session:
            seen_within = timedelta(seconds=LIVE_WORKER_SECONDS)
            workers = list_live_workers(session, seen_within=seen_within)
            return [_describe_queue(queue, workers) for queue in QUEUES]
    except (SQLAlchemyError, SetupError) as error:
        return [Finding("workers", False, f"They cannot be asked for ({_first_line(error)}).")]


def _describe_queue(queue: str, workers: Sequence[Worker]) -> Finding:
    name = f"workers for {queue}"
    alive = [worker for worker in workers if queue in worker.queues]
    if not alive:
        text = f"None is alive, so {QUEUES[queue]} wait. Start one: illume worker --queues {queue}"
        return Finding(name, False, text)
    named = ", ".join(f"{worker.name} on {worker.device or 'cpu'}" for worker in alive)
    return Finding(name, True, f"{len(alive)} alive: {named}")


def _connect(settings: Settings) -> "psycopg.Connection[tuple[str | None, ...]]":
    url = _url(settings, "PostgreSQL", settings.database_url, settings.resolve_database_url)
    try:
        return psycopg.connect(
            url.replace("postgresql+psycopg://", "postgresql://", 1),
            connect_timeout=CONNECT_SECONDS,
        )
    except psycopg.Error as error:
        raise Problem(
            f"The database does not answer ({_first_line(error)}). "
            f"{_how_to_start(settings.database_url, 'DATABASE_URL')}"
        ) from error


def _url(settings: Settings, name: str, given: str | None, resolve: Callable[[], str]) -> str:
    if given is None and not (settings.illume_home / SERVICES_FILE).exists():
        raise Problem(f"The embedded {name} does not run. Start everything: illume up")
    return resolve()


def _how_to_start(given: str | None, variable: str) -> str:
    if given is None:
        return "Start everything: illume up"
    return f"Start it, or correct {variable}."


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
