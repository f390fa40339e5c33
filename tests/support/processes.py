"""What tests ask about processes of the operating system."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import redis

Answer = TypeVar("Answer")


def wait_for(question: Callable[[], Answer], seconds: float = 20.0) -> Answer:
    """Ask until the answer is true; errors of a server that is away count as no."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except (psycopg.OperationalError, redis.RedisError, OSError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not so within {seconds} s")


def is_running(pid: int) -> bool:
    """Whether a process still does anything; one that is only not yet buried does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in "ZX"


def processes_in(folder: Path) -> list[int]:
    """Running processes whose current folder is `folder`: a server and all its children."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").samefile(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if is_running(pid)]


def descendants(pid: int) -> set[int]:
    """Every running process below `pid`, by asking the kernel."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), set()).add(int(entry.name))
    found: set[int] = set()
    edge = {pid}
    while edge:
        edge = {child for parent in edge for child in children.get(parent, set())} - found
        found |= edge
    return {child for child in found if is_running(child)}


@contextmanager
def stopped(pid: int, seconds: float = 0.0) -> Iterator[None]:
    """A server and all its children do nothing at all for so long, and at least for the block."""
    until = time.monotonic() + seconds
    family = [pid]
    os.kill(pid, signal.SIGSTOP)
    # Again until there are no new ones: a child may have been made just before its parent stopped.
    while children := descendants(pid).difference(family):
        for child in children:
            os.kill(child, signal.SIGSTOP)
        family.extend(children)
    try:
        yield
        time.sleep(max(until - time.monotonic(), 0))
    finally:
        for one in reversed(family):
            os.kill(one, signal.SIGCONT)
