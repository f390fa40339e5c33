"""Start, describe and stop the embedded services of one data folder."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.embedded.folders import account_for, make_socket_folder, remove_socket_folder
from app.embedded.home import HomeLock, open_home
from app.embedded.keeper import Keeper, Notify
from app.embedded.postgres import Postgres
from app.embedded.redis_server import Redis
from app.kit.settings import SERVICES_FILE

LARGEST_LOG = 5_000_000


class EmbeddedServices:
    """Addresses of the running services; None for one that was not asked for."""

    def __init__(
        self, home: Path, database_url: str | None, redis_url: str | None, keeper: Keeper
    ) -> None:
        self.home = home
        self.database_url = database_url
        self.redis_url = redis_url
        self._keeper = keeper

    def pids(self) -> dict[str, int]:
        """Returns process numbers by name (`postgres`, `redis`); they change when a server is
        restarted.
        """
        return self._keeper.pids()


def _say_nothing(_name: str, _text: str) -> None:
    """For callers who read the logs, or do not care."""


@contextmanager
def embedded_services(
    home: Path,
    *,
    with_postgres: bool = True,
    with_redis: bool = True,
    notify: Notify = _say_nothing,
    lock: HomeLock | None = None,
) -> Iterator[EmbeddedServices]:
    """Run PostgreSQL and Redis with their data in `home` for the length of the block.

    Other processes find the addresses in `home/services.json` (see app/kit/settings.py). `notify`
    is told, from another thread, when a server dies and is started again. `lock` is the folder's,
    for a caller who holds it already.
    Raises SetupError when the folder is not usable, in use, or a server does not start.
    """
    open_home(home)
    with ExitStack() as stack:
        held = lock or stack.enter_context(HomeLock(home))
        account = account_for(home)
        _open_logs(home)
        sockets = make_socket_folder(home, account)
        stack.callback(remove_socket_folder, sockets, home)
        postgres = Postgres(home, sockets, account) if with_postgres else None
        redis = Redis(home, sockets, account) if with_redis else None
        servers = [server for server in (postgres, redis) if server is not None]
        for server in servers:
            server.prepare()
        keeper = Keeper(servers, held.fileno, notify)
        stack.callback(keeper.stop)
        keeper.start()
        for server in servers:
            server.after_start()
        services = EmbeddedServices(
            home,
            postgres.url if postgres else None,
            redis.url if redis else None,
            keeper,
        )
        stack.callback((home / SERVICES_FILE).unlink, missing_ok=True)
        _publish(services)
        yield services


def _publish(services: EmbeddedServices) -> None:
    """Write the addresses whole or not at all: other processes read the file at any moment."""
    urls = {"database_url": services.database_url, "redis_url": services.redis_url}
    draft = services.home / f"{SERVICES_FILE}.new"
    draft.write_text(
        json.dumps({name: url for name, url in urls.items() if url}, indent=2) + "\n",
        encoding="utf-8",
    )
    draft.replace(services.home / SERVICES_FILE)


def _open_logs(home: Path) -> None:
    """Make the folder for the servers' logs; a log that has grown large becomes `.1`."""
    logs = home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    for path in logs.glob("*.log"):
        if path.stat().st_size > LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
