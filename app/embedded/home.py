"""The data folder: made, checked, and locked against a second instance."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from app.kit.errors import SetupError

LOCK_FILE = "lock"
# Servers of an instance that was killed need a moment to end; they hold the lock until then.
LEFTOVER_SECONDS = 10.0


def open_home(home: Path) -> Path:
    """Make the data folder when it is missing; refuse, in one line, one we cannot write to."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise SetupError(
            f"{home} is a file, but ILLUME_HOME must be a folder. Set ILLUME_HOME to another path."
        ) from error
    except OSError as error:
        raise SetupError(
            f"The data folder {home} cannot be made ({error.strerror}). "
            "Set ILLUME_HOME to a folder that you can write to."
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise SetupError(
            f"The data folder {home} is not writable. "
            "Correct its permissions, or set ILLUME_HOME to another folder."
        )
    return home


class HomeLock:
    """One running instance per data folder.

    A lock of the kernel on an open file: it cannot go stale. The servers inherit the open file, so
    the lock lasts until the last of them is gone, also after `kill -9` of the instance.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / LOCK_FILE
        self._file = -1

    @property
    def fileno(self) -> int:
        return self._file

    def acquire(self) -> None:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SetupError(
                f"The lock file {self._path} cannot be opened ({error.strerror}). "
                "Correct its permissions, or set ILLUME_HOME to another folder."
            ) from error
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while not self._try():
            owner = self._recorded_owner()
            if _is_alive(owner):
                self._close()
                raise SetupError(
                    f"ILLUME is already running with the data folder {self._home} "
                    f"(process {owner}). Use that one, stop it, or set ILLUME_HOME to another "
                    "folder."
                )
            if time.monotonic() > deadline:
                self._close()
                raise SetupError(
                    f"Servers of an earlier start still use the data folder {self._home}. "
                    f"See `fuser {self._path}` and end them, then start again."
                )
            time.sleep(0.05)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Close our hold. The file stays: deleting it would let two instances lock two files."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            self._close()

    def __enter__(self) -> "HomeLock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _recorded_owner(self) -> int:
        recorded = os.pread(self._file, 32, 0).strip()
        return int(recorded) if recorded.isdigit() else 0

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
