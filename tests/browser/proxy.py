"""A proxy before the server that can stop passing requests on, in the ways real ones do."""

import http.client
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIGN_IN_PAGE = b"<!doctype html><title>Network sign-in</title><h1>Sign in to the network</h1>"
DROPPED = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}


class Proxy(ThreadingHTTPServer):
    """Passes everything on to the server, unless `mode` names a way of answering itself.

    Modes: `login` (302 to its own sign-in page, 200), `elsewhere` (302 to another host),
    `maintenance` (200 and a page), `empty` (200 and nothing), `nothing` (204), `hollow` (the
    server's own headers around an empty body), `denied` (403), `missing` (404), `bad` (502),
    `silent` (no answer until the mode ends).

    With a `site_path` only what is asked for below it goes to the server: with the path, or, where
    it `strips`, without. The rest of the host is another site's. One that strips
    asks for the server's own host, as proxies do that are told nothing else.
    """

    daemon_threads = True

    def __init__(self, upstream: str, *, site_path: str = "", strips: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.site_path, self.strips = site_path, strips
        self.passes = threading.Event()
        self.mode = ""
        self.let_pass()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of browsers that went away before they had read the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def stop_passing(self, mode: str) -> None:
        self.passes.clear()
        self.mode = mode

    def let_pass(self) -> None:
        self.mode = ""
        self.passes.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Nothing: the tests read no log of it."""

    def do_GET(self) -> None:
        n_bytes = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n_bytes)
        mode = self.server.mode
        if not self.path.startswith(f"{self.server.site_path}/"):
            self._answer(404, b"<h1>Another site</h1>")
        elif self.path.startswith("/network-sign-in"):
            self._answer(200, SIGN_IN_PAGE)
        elif mode == "login":
            self._answer(302, b"", location="/network-sign-in")
        elif mode == "elsewhere":
            self._answer(302, b"", location="http://localhost:9/network-sign-in")
        elif mode in _PLAIN:
            self._answer(*_PLAIN[mode])
        elif mode == "silent":
            self.server.passes.wait(60)
            self.close_connection = True
        else:
            self._pass_on(body, is_hollow=mode == "hollow")

    do_POST = do_GET

    def _answer(self, status: int, body: bytes, *, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "text/html")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self, body: bytes, *, is_hollow: bool) -> None:
        with closing(http.client.HTTPConnection(self.server.upstream, timeout=60)) as connection:
            answer, content = self._ask(connection, body, is_hollow=is_hollow)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(
        self, connection: http.client.HTTPConnection, body: bytes, *, is_hollow: bool
    ) -> tuple[http.client.HTTPResponse, bytes]:
        kept = {k: v for k, v in self.headers.items() if k.lower() not in DROPPED}
        # A hollow answer is of a request that never arrived.
        path = "/health/live" if is_hollow else self._path_there()
        method = "GET" if is_hollow else self.command
        connection.request(
            method, path, body=b"" if is_hollow else body, headers={**kept, "Host": self._host()}
        )
        answer = connection.getresponse()
        content = answer.read()
        return answer, b"" if is_hollow else content

    def _path_there(self) -> str:
        return self.path.removeprefix(self.server.site_path) if self.server.strips else self.path

    def _host(self) -> str:
        if self.server.strips:
            return self.server.upstream
        return self.headers.get("Host") or self.server.url.removeprefix("http://")


_PLAIN = {
    "maintenance": (200, b"<!doctype html><title>Back soon</title><p>We are back soon.</p>"),
    "empty": (200, b""),
    "nothing": (204, b""),
    "denied": (403, b"<h1>403 Forbidden</h1>"),
    "missing": (404, b"<h1>404 Not Found</h1>"),
    "bad": (502, b"<h1>502 Bad Gateway</h1>"),
}


@contextmanager
def proxy_before(upstream: str, *, site_path: str = "", strips: bool = False) -> Iterator[Proxy]:
    proxy = Proxy(upstream, site_path=site_path, strips=strips)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.let_pass()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
