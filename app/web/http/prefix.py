"""Serving below a path of a host, behind a proxy that takes the path away or one that passes it on.

Pure ASGI, and the first to see a request: after it the path is always the whole one, as it stands
in the browser, and `root_path` says which part of it is not ours.
"""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.assets.addresses import is_below


class BelowPath:
    """Tells the application below which path it stands, however the proxy hands requests on."""

    def __init__(self, app: ASGIApp, *, site_path: str) -> None:
        self.app = app
        self.site_path = site_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = {**scope, **self._whole(scope), "root_path": self.site_path}
        scope["headers"] = [_nearest_cookies(header) for header in scope["headers"]]

        async def send_within_host(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "Location" in headers:
                    headers["Location"] = self._within_host(headers["Location"])
            await send(message)

        await self.app(scope, receive, send_within_host)

    def _within_host(self, location: str) -> str:
        """The framework names the host that it was asked at, which a proxy may call otherwise."""
        parts = urlsplit(location)
        if not parts.netloc or not is_below(parts.path, self.site_path):
            return location
        return parts._replace(scheme="", netloc="").geturl()

    def _whole(self, scope: Scope) -> dict[str, object]:
        path: str = scope["path"]
        if path == self.site_path:
            return {"path": f"{path}/"}  # which is how the start page is called below a path
        if is_below(path, self.site_path):
            return {}
        raw: bytes = scope.get("raw_path") or b""
        return {"path": self.site_path + path, "raw_path": self.site_path.encode() + raw}


def _nearest_cookies(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Keeps the first of cookies of one name: browsers begin with the one of the longest path.

    The others are of a site above ours, at the root of the host, that has the same name for them.
    """
    name, value = header
    if name != b"cookie":
        return header
    kept: dict[bytes, bytes] = {}
    for cookie in value.split(b";"):
        kept.setdefault(cookie.partition(b"=")[0].strip(), cookie.strip())
    return name, b"; ".join(kept.values())
