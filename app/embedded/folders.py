"""Folders that a server owns: whose they are, how they are made, where its socket may lie."""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.kit.errors import SetupError
from app.kit.processes.children import Account

# sockaddr_un holds 108 bytes on Linux, 104 elsewhere.
MAX_SOCKET_PATH = 100
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"


@dataclass(frozen=True)
class ServerFolder:
    """A server's data folder and the account that the server runs as (None: ourselves)."""

    path: Path
    account: Account | None

    @property
    def spelling(self) -> str:
        """The name that the server itself should use for the folder.

        The account need not be able to walk there: the child starts inside the folder, and
        /proc/self/cwd leads there without passing through the folders above.
        """
        if self.account is None or self.account.can_reach(self.path):
            return str(self.path)
        if sys.platform.startswith("linux"):
            return "/proc/self/cwd"
        raise SetupError(
            f"The account {self.account.name}, which the embedded servers run as, cannot reach "
            f"{self.path}. Run as an ordinary user, or set ILLUME_HOME to a folder it can enter."
        )


def account_for(home: Path) -> Account | None:
    """Returns the account that the servers run as: our own, or for root one without privileges.

    Root serves an existing data folder as the owner it already has.
    """
    own_uid = os.geteuid()
    owners = {path.stat().st_uid for path in _existing_data(home)}
    if own_uid != 0:
        if owners - {own_uid}:
            other = Account.of_uid(min(owners - {own_uid}))
            raise SetupError(
                f"The data in {home} belongs to {other.name if other else 'another user'}. "
                "Start as that user, or set ILLUME_HOME to another folder."
            )
        return None
    owners.discard(0)
    account = Account.of_uid(min(owners)) if owners else Account.named("nobody")
    if account is None:
        raise SetupError(
            "PostgreSQL refuses to run as root and there is no account `nobody` to run it as. "
            "Start as an ordinary user, or set DATABASE_URL and REDIS_URL."
        )
    return account


def _existing_data(home: Path) -> Iterator[Path]:
    return (home / name for name in ("postgres", "redis") if (home / name).is_dir())


def make_owned_folder(path: Path, account: Account | None) -> None:
    """Make a new private folder and give it to `account`; one that exists is left as it is."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    if account is not None:
        os.chown(path, account.uid, account.gid)


def write_owned_file(path: Path, text: str, account: Account | None) -> None:
    """Write a file inside a folder of `account`, following nothing it may have put there."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)
    draft.replace(path)


def open_log(path: Path) -> BinaryIO:
    """Open a server's log to write at its end; it is for nobody else to read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fchmod(handle, 0o600)  # one of before may be open to all
    return os.fdopen(handle, "ab")


def make_socket_folder(home: Path, account: Account | None) -> Path:
    """Makes and returns a private folder for sockets, in the data folder or else in the temporary
    one.

    The path must be short (sockets have room for about a hundred characters) and, unlike a data
    folder, it must be reachable by the server's account under its full name.
    """
    # Named after the data folder, so that the one left by a killed instance is used again.
    name = f"illume-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    temporary = dict.fromkeys([Path(tempfile.gettempdir()), Path("/tmp")])  # noqa: S108
    for folder in [home / "run", *(parent / name for parent in temporary)]:
        if folder.parent.is_dir() and _is_usable(folder, account):
            make_owned_folder(folder, account)
            _check_owner(folder, account)
            return folder
    raise SetupError(
        f"No place for the servers' sockets: {home / 'run'} is too long or closed to their "
        "account, and so is the temporary folder. Set ILLUME_HOME to a shorter path."
    )


def _is_usable(folder: Path, account: Account | None) -> bool:
    is_short = len(os.fsencode(folder / LONGEST_SOCKET_NAME)) <= MAX_SOCKET_PATH
    return is_short and (account is None or account.can_reach(folder))


def _check_owner(folder: Path, account: Account | None) -> None:
    """In a folder that everybody may write to, somebody else can have been there first."""
    status = folder.lstat()
    owner = account.uid if account else os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
        raise SetupError(
            f"{folder} is needed for the servers' sockets but belongs to another user or is open "
            "to others. Remove it, or set ILLUME_HOME to a shorter path."
        )


def remove_socket_folder(folder: Path, home: Path) -> None:
    """Remove a temporary socket folder; the one in the data folder stays."""
    if folder.parent != home:
        shutil.rmtree(folder, ignore_errors=True)


def server_environment() -> dict[str, str]:
    """Returns the environment of the servers, without ours: PGPORT and its like cannot
    interfere.
    """
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
