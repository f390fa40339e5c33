"""All that a browser gets while somebody judges, as it can be compared with another time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.sync_api import APIResponse, Page, Response

OF_THE_MOMENT = frozenset({"date", "set-cookie", "x-request-id", "content-length", "etag"})
"""Headers that differ between two answers to one question: times, and what is made of a body that
names one."""
MOMENTS = (
    r'data-lease="[^"]*"',
    r'data-lease-until="[^"]*"',
    r'data-version="\d+"',
    r'name="(version|active_ms)" value="\d+"',
    r'<span class="muted mono">v\d+</span>',
    r'"request_id": ?"[^"]*"',
    r"<time\b.*?</time>",
)
"""What differs so in a body: leases, how often was saved, how long somebody looked, when."""
BY_THE_CLOCK = ("/heartbeat", "/presence")
"""Ends of addresses that a page asks for without anybody doing anything."""
WITHOUT_A_BODY = frozenset({204, 301, 302, 303, 304})


@dataclass(frozen=True)
class Got:
    """An answer, without what belongs to its moment, to what was asked."""

    asked: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Recording:
    """Every answer that a page gets; the same again counts once."""

    def __init__(self, page: Page) -> None:
        self.got: set[Got] = set()
        self._page = page
        self._waiting: list[Response] = []
        page.on("response", self._note)

    def go(self, url: str) -> None:
        """Show another page, with all that it fetches ahead."""
        self._page.goto(url)
        self.read()

    def read(self) -> None:
        """Read what came so far; the browser forgets it with the page."""
        self._page.wait_for_load_state("networkidle")
        waiting, self._waiting[:] = list(self._waiting), []
        for response in waiting:
            path = urlsplit(response.url).path
            if response.url.startswith("http") and not path.endswith(BY_THE_CLOCK):
                self.keep(response.request.method, response)

    def _note(self, response: Response) -> None:
        self._waiting.append(response)

    def keep(self, method: str, response: Response | APIResponse) -> None:
        """Keep an answer."""
        self.got.add(_without_its_moment(method, response))


def differing(before: Iterable[Got], after: Iterable[Got]) -> set[str]:
    """Returns what was answered otherwise one time than the other."""
    return {got.asked for got in set(before) ^ set(after)}


def _without_its_moment(method: str, response: Response | APIResponse) -> Got:
    headers = tuple(
        sorted((name, value) for name, value in response.headers.items()
               if name not in OF_THE_MOMENT)
    )  # fmt: skip
    body = b"" if response.status in WITHOUT_A_BODY else response.body()
    if not response.headers.get("content-type", "").startswith("image/"):
        text = body.decode()
        for moment in MOMENTS:
            text = re.sub(moment, "", text, flags=re.DOTALL)
        body = text.encode()
    parts = urlsplit(response.url)
    asked = parts.path + (f"?{parts.query}" if parts.query else "")
    return Got(f"{method} {asked}", response.status, headers, body)
