"""Child processes that never outlive us, not even when we are killed with `kill -9`.

On Linux the kernel does it: PR_SET_PDEATHSIG sends a signal when the *thread* that started the
child ends. So a child is started from a thread that lives as long as the child should: the main
thread, or the keeper of the embedded services. Elsewhere `parent_watch.py` stands in between.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_IS_LINUX = sys.platform.startswith("linux")
# Loaded before any fork: between fork and exec nothing may be looked up.
_libc = ctypes.CDLL(None, use_errno=True)

Output = int | IO[bytes] | None


@dataclass(frozen=True)
class Account:
    """An operating system user that a child runs as."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of_uid(cls, uid: int) -> "Account | None":
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def named(cls, name: str) -> "Account | None":
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def can_reach(self, path: Path) -> bool:
        """Whether every folder above `path` lets this account through, by its mode bits."""
        return all(self._may_enter(folder) for folder in path.absolute().parents)

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)


def start_process(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    output: Output = None,
    death_signal: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in its own session, as `account`, that dies with the calling thread.

    `cwd` is entered before the account changes, so it may lie where the account could not walk to.
    """
    return subprocess.Popen(
        [str(part) for part in _watched(command, death_signal)],
        cwd=cwd,
        env=env,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        pass_fds=pass_fds,
        # Runs after the change of user, which would clear the death signal. It only makes two
        # system calls, so that threads of the parent cannot have left a lock behind that it needs.
        preexec_fn=_death_wish(death_signal) if _IS_LINUX else None,  # noqa: PLW1509
    )


def _death_wish(death_signal: signal.Signals) -> Callable[[], None]:
    parent, number, prctl = os.getpid(), int(death_signal), _libc.prctl

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the kernel was asked
            os._exit(1)

    return ask_kernel


def _watched(command: Sequence[str | Path], death_signal: signal.Signals) -> Sequence[str | Path]:
    if _IS_LINUX:
        return command
    watcher = Path(__file__).with_name("parent_watch.py")
    return [sys.executable, "-I", watcher, str(int(death_signal)), *command]


def stop_process(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> bool:
    """Send each signal in turn and wait its seconds; at last SIGKILL to the whole group.

    Returns whether the process ended without being killed.
    """
    for number, seconds in steps:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    ended_itself = process.poll() is not None
    kill_group(process)
    process.wait()
    return ended_itself


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's process group; harmless when nothing is."""
    # PermissionError is what macOS says of a group that holds only zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def describe_exit(returncode: int) -> str:
    """Returns how a process ended in words: `ended with status 3`, or `was ended by SIGKILL`."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists; one of another user counts as alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
