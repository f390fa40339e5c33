"""Middleware for every request: an id and a log line, size limits, the same-origin check, headers.

Pure ASGI, so that nothing is buffered on the way.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.errors import AppError, BodyTooLarge, Crash, ForeignOrigin
from app.kit.logs import request_id_var, without_secrets
from app.kit.outages import find_outage
from app.kit.patience import hurried
from app.kit.sentences import Amount, Sentence
from app.kit.settings import Settings
from app.web.assets.addresses import read_own_path, site_path
from app.web.http.bearer import comes_with_token

logger = logging.getLogger("app.web")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MARK = "X-Illume"
"""Header of every answer of ours; what it says is mostly just that."""

FORM_BYTES = 2 << 20
"""Largest body of anything that is not an upload."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)

ErrorPage = Callable[[Request, AppError], Response]


class RequestContext:
    """Gives the request an id, answers crashes with a plain page, and writes the log line."""

    def __init__(self, app: ASGIApp, *, error_page: ErrorPage) -> None:
        self.app = app
        self.error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        token = request_id_var.set(request_id)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            with hurried():
                await self.app(scope, receive, send_with_id)
        except Exception as error:
            shown: AppError | None = None if status else find_outage(error)
            if shown is None:
                logger.exception("%s %s crashed", scope["method"], _shown_path(scope))
                shown = Crash(Sentence("Something went wrong on our side."))
            if status:
                raise  # too late for a page: the server closes the connection
            response = self.error_page(Request(scope, receive), shown)
            await response(scope, receive, send_with_id)
        finally:
            _log_request(scope, status, time.perf_counter() - started)
            request_id_var.reset(token)


def _request_id(headers: Headers) -> str:
    """The id that a proxy gave, when it looks like one, so that its log and ours can be joined."""
    given = headers.get("X-Request-ID", "")
    return given if re.fullmatch(r"[A-Za-z0-9_-]{8,64}", given) else secrets.token_hex(6)


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    path = read_own_path(scope)
    # Probes and static files would drown the rest.
    is_noise = path.startswith(("/static/", "/health/")) and status < 400
    logger.log(
        logging.DEBUG if is_noise else logging.INFO,
        "%s %s %s in %.0f ms",
        scope["method"],
        _shown_path(scope),
        status,
        seconds * 1000,
    )


def _shown_path(scope: Scope) -> str:
    """The path as it stands in an address; links that sign somebody in stay out of the log."""
    return without_secrets(quote(scope["path"], safe="/:@!$&'()*+,;=~"))


class SecurityHeaders:
    """Headers that belong on every answer; HTML is neither cached nor mixed up with fragments."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            # Not `no-referrer`: forms would then send `Origin: null`.
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
            # By this our scripts tell our answers from those of a proxy between.
            MARK: "1",
        }
        if settings.base_url.startswith("https://"):
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if headers.get("Content-Type", "").startswith("text/html"):
                    headers.add_vary_header("HX-Request")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SpreadConnections:
    """Closes a connection now and then, so that no crowd stays with one of the web processes.

    The processes accept from one socket, and whoever is connected stays with the process that was
    the quickest. A crowd that comes at once, or a proxy that keeps its connections, could give one
    process most of the work and leave the others idle. A browser connects again unnoticed. The
    spread that comes of it is not even: often the process that closed accepts again.
    """

    N_ANSWERS = 97  # a prime: people who take turns do not all meet the same one

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.n_answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.n_answers += 1
                if self.n_answers % self.N_ANSWERS == 0:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_and_count)


class SameOrigin:
    """Refuses changes that another site's page asks for, by headers instead of tokens.

    `Sec-Fetch-Site` decides where the browser sends it (it does not over plain HTTP except to
    localhost); otherwise `Origin` must be our own. A request with neither is no browser's, and
    carries no cookie of ours unless its owner wants it to. One that comes with a token is let
    through: its cookies count for nothing, and no other site can have the token sent.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, error_page: ErrorPage) -> None:
        self.app = app
        self.public_origin = origin_of(settings.public_url) if settings.public_url else None
        self.error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            request = Request(scope, receive)
            if not self.is_ours(request):
                error = ForeignOrigin(_refusal(self.public_origin))
                await self.error_page(request, error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def is_ours(self, request: Request) -> bool:
        if comes_with_token(request.headers):
            return True
        fetch_site = request.headers.get("Sec-Fetch-Site")
        if fetch_site is not None:
            return fetch_site in {"same-origin", "none"}
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        own = self.public_origin or origin_of(str(request.base_url))
        return origin.lower() == own


def _refusal(public_origin: str | None) -> Sentence:
    if public_origin is None:
        return Sentence("This request came from another site and was refused.")
    return Sentence(
        "This request came from another site and was refused. Open the application at %(url)s.",
        url=public_origin + site_path(),
    )


def origin_of(url: str) -> str:
    """Returns scheme, host and port as browsers write them: in small letters, the usual port left
    out.
    """
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in {None, usual} else ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


class BodyLimit:
    """Stops a body that is larger than what its handler takes, before it fills the disk.

    That is `FORM_BYTES`, until a gate that knows who is asking allows more (`allow_body`).
    """

    def __init__(self, app: ASGIApp, *, error_page: ErrorPage) -> None:
        self.app = app
        self.error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope).get("Content-Length", ""))
        scope[_BODY] = body

        async def receive_counted() -> Message:
            if body.is_too_large():
                raise body.refusal()
            message = await receive()
            body.n_received += len(message.get("body", b""))
            body.has_ended = message["type"] != "http.request" or not message.get("more_body")
            if body.is_too_large():
                raise body.refusal()
            return message

        async def send_unless_stopped(message: Message) -> None:
            # Whoever was reading the body may turn our error into one of its own.
            if body.is_stopped:
                return
            if message["type"] == "http.response.start" and body.is_left_unread():
                if body.is_too_large() and message["status"] in {200, 204, 422}:
                    # Answered without the body that was announced: that is no answer to it.
                    body.is_stopped = True
                    return
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        with suppress(AppError):
            await self.app(scope, receive_counted, send_unless_stopped)
        if body.is_stopped:
            response = self.error_page(Request(scope, receive), body.refusal())
            response.headers["Connection"] = "close"  # the rest of the body is not read
            await response(scope, receive, send)


_BODY = "illume.body"


class _Body:
    """The body of a request: what is known of it, and how much of it is taken."""

    def __init__(self, announced: str) -> None:
        is_number = re.fullmatch(r"[0-9]{1,18}", announced)
        self.n_announced = int(announced) if is_number else 0
        self.n_allowed = FORM_BYTES
        self.n_received = 0
        self.has_ended = not self.n_announced
        self.is_stopped = False

    def is_too_large(self) -> bool:
        return max(self.n_announced, self.n_received) > self.n_allowed

    def is_left_unread(self) -> bool:
        """Whether more is to come than one would read only to keep the connection."""
        return not self.has_ended and self.n_announced - self.n_received > 65536

    def refusal(self) -> AppError:
        self.is_stopped = True
        return BodyTooLarge(
            Sentence(
                "That is larger than the %(n)s MB that this address takes.",
                n=Amount(self.n_allowed >> 20),
            )
        )


def allow_body(request: Request, n_bytes: int) -> None:
    """Let a body of this size in. To be called before it is read, by who knows who is asking."""
    body: _Body = request.scope[_BODY]
    body.n_allowed = n_bytes
    if body.is_too_large():
        raise body.refusal()
