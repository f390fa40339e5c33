"""Refuses requests under names that are not ours: no other site may reach us by its own name.

A site can let its own name lead to an address here (DNS rebinding): browsers then take our answers
for that site's. It can do so with public names alone, so addresses, names without a dot, and names
that no public DNS serves are safe without a setting.
"""

import re
import socket
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.kit.errors import HostUnknown
from app.kit.sentences import Sentence
from app.kit.settings import Settings
from app.web.assets.addresses import read_own_path
from app.web.http.middleware import ErrorPage

# Nothing there is anybody's: probes ask by addresses of all kinds, and the refusal itself is shown
# with our styles.
_OPEN_TO_ALL = ("/health/", "/static/")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
# Reserved: browsers, the local network or the house answer for them, never the public DNS.
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa")


class KnownHost:
    """Refuses requests that were sent to a name which is not known to be ours.

    With PUBLIC_URL that is its name, loopback, what HOST says, and ALLOWED_HOSTS; without it, also
    what no other site can claim (`is_local`), and the machine's own name.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, error_page: ErrorPage) -> None:
        self.app = app
        self.error_page = error_page
        self.public_url = settings.public_url
        named = [urlsplit(settings.public_url).hostname or ""] if settings.public_url else []
        named += [settings.host, *settings.hosts]
        self.known = frozenset(filter(None, map(plain_name, named)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not read_own_path(scope).startswith(_OPEN_TO_ALL):
            given = Headers(scope=scope).getlist("Host")
            # No browser leaves it out, and a request without it names no other site.
            if given and not (len(given) == 1 and await self.is_ours(given[0])):
                error = HostUnknown(self.refusal(given[0]))
                await self.error_page(Request(scope, receive), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def is_ours(self, host: str) -> bool:
        name = name_in(host)
        if name is None:
            return False
        if name in self.known or is_loopback(name):
            return True
        if self.public_url is not None:
            return False
        return is_local(name) or await is_own_name(name)

    def refusal(self, host: str) -> Sentence:
        if self.public_url is not None:
            return Sentence(
                "Open this application at %(url)s. If it has another address too, name that in "
                "ALLOWED_HOSTS.",
                url=self.public_url,
            )
        return Sentence(
            "%(name)s is not known as an address of this application. Set PUBLIC_URL or "
            "ALLOWED_HOSTS to it where it runs, or open it by its IP address.",
            name=name_in(host) or "?",
        )


def name_in(host: str) -> str | None:
    """Returns the name or address of a Host header, without its port; None where it is
    malformed.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    if found[1] is not None and not _is_address(found[1]):
        return None
    return plain_name(found[1] or found[2]) or None


def plain_name(name: str) -> str:
    """Returns a name as browsers send it: in small letters and ASCII, without the dot
    at its end.
    """
    name = name.strip().strip("[]").lower().removesuffix(".")
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def is_local(name: str) -> bool:
    """Whether the public DNS cannot answer for a name: an address, no dot, or a reserved ending."""
    return _is_address(name) or "." not in name or name.endswith(_LOCAL_ENDINGS)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


async def is_own_name(name: str) -> bool:
    """Whether it is the full name of this machine. The network is asked once, and only where the
    first part is right."""
    own = plain_name(socket.gethostname())
    if name == own:
        return True
    return name.partition(".")[0] == own.partition(".")[0] and name == await run_sync(_full_name)


@lru_cache(maxsize=1)
def _full_name() -> str:
    return plain_name(socket.getfqdn())
