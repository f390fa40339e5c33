"""The web server's socket, opened before the web server, and the question whether it is ready."""

import errno
import http.client
import socket

from app.kit.errors import SetupError

READY_PATH = "/health/ready"
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Open the port that the web processes share; refuse, in one line, one that cannot be had.

    The socket belongs to the supervisor: while a web process is started again, browsers wait in
    the queue of the socket instead of being refused.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SetupError(_explain(host, port, error)) from error
    # Connections inherit it. Without it, headers and body of an answer would wait for each other.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _explain(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is in use by another program. "
            f"Stop that program, or choose another port: illume up --port {_free_port(host, port)}"
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {port} may only be opened by root. Choose one above 1023: illume up --port 8000"
        )
    return (
        f"The address {host} cannot be used here ({error.strerror or error}). "
        "Choose another: illume up --host 127.0.0.1"
    )


def _free_port(host: str, taken: int) -> int:
    for port in range(taken + 1, min(taken + 50, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    return 8000


def is_ready(host: str, port: int) -> bool:
    """Whether the web server says that it, the database and Redis are there."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=1)
    try:
        connection.request("GET", READY_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable_host(host: str) -> str:
    """Returns the address to use for a server that listens on all addresses."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
