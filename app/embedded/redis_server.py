"""Redis as a child: it only carries nudges to workers, and keeps them on disk all the same."""

import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from app.embedded.folders import make_owned_folder, open_log, server_environment
from app.embedded.programs import redis_program
from app.kit.processes.children import Account, start_process

SOCKET = "redis.sock"


class Redis:
    """One server in `home/redis`, reached over a socket only."""

    name = "redis"
    stop_steps: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10.0),)

    def __init__(self, home: Path, sockets: Path, account: Account | None) -> None:
        self._data = home / "redis"
        self._socket = sockets / SOCKET
        self._account = account
        self._program = redis_program(account)
        self.log_file = home / "logs" / "redis.log"

    def prepare(self) -> None:
        make_owned_folder(self._data, self._account)

    def start(self, lock: int) -> subprocess.Popen[bytes]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            # Relative: the server starts inside its folder, and need not be able to walk there.
            "dir": ".",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with open_log(self.log_file) as log:
            return start_process(
                [self._program, *options],
                cwd=self._data,
                env=server_environment(),
                account=self._account,
                output=log,
                death_signal=signal.SIGTERM,
                pass_fds=(lock,),
            )

    def is_ready(self) -> bool:
        """Whether the server answers PING, which it does not while it reads its file
        after a start.
        """
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=5) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def after_start(self) -> None:
        """Does nothing: a Redis server needs nothing to be made in it."""

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket), safe='/')}?db=0"
