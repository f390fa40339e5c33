"""The command lines of our processes: the supervisor starts them, `illume web` … become them."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from app.kit.settings import Settings

Command = tuple[str, ...]


def web_command(settings: Settings, listener: int | None = None) -> Command:
    """Returns the command of the web server: one process on an open socket, or all of them on host
    and port.
    """
    server = (sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory")
    # Whom to believe about addresses is our own setting (TRUSTED_PROXIES), not uvicorn's.
    quiet = ("--no-proxy-headers", "--no-access-log", "--log-level", "warning")
    manners = (*quiet, "--timeout-graceful-shutdown", "5")
    if listener is not None:
        return (*server, *manners, "--fd", str(listener))
    address = ("--host", settings.host, "--port", str(settings.port))
    return (*server, *manners, *address, "--workers", str(settings.web_processes))


def worker_command(queues: Sequence[str]) -> Command:
    """Returns the command of one worker process: a parent that receives nudges, and one child that
    does the work.
    """
    # Two workers of the same name would confuse each other, here and on other machines.
    name = f"{'-'.join(queues)}-{secrets.token_hex(4)}@%h"
    return (
        *_celery("worker"),
        *("--queues", ",".join(queues), "--concurrency", "1", "--pool", "prefork"),
        *("--hostname", name, "--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


def beat_command(home: Path) -> Command:
    """Returns the command of the clock that lets a light worker sweep for lost work."""
    return (*_celery("beat"), "--schedule", str(home / "beat-schedule"), "--pidfile", "")


def _celery(verb: str) -> Command:
    # Messages are JSON and carry only numbers; what the warning about root fears cannot happen.
    quiet = ("-W", "ignore:You're running the worker with superuser privileges")
    celery = ("-m", "celery", "-A", "worker.celery", "--quiet", verb, "--loglevel", "WARNING")
    return (sys.executable, *quiet, *celery)
