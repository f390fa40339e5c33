"""Requests to one server: bounded in number and time, tried again when that may help."""

import asyncio
import json
import logging
import random
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2

from worker.serving.errors import NoSuchAddress, Refused, ServerError, Unavailable

logger = logging.getLogger(__name__)
# Its own line per request would be most of a worker's log.
logging.getLogger("httpx2").setLevel(logging.WARNING)

Json = dict[str, Any]

MAX_TRIES = 5
MAX_SLOW_TRIES = 2
"""Tries that may run into the time limit: each costs all of it."""
MAX_BUSY_TRIES = 50
"""429 is no failure, but a server that says it for ever is of no use either."""
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 120.0
TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})
EXCERPT = 300


@dataclass(frozen=True)
class Server:
    """The address of a server and limits of its use. url ends in /v1. seconds: the longest that one
    request may take. first_pause: seconds before the second try, doubled for each further one."""

    url: str
    key: str | None = field(default=None, repr=False)
    n_requests: int = 16
    seconds: float = 120.0
    first_pause: float = 0.5

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")


class Connection:
    """An open connection to a server; to be used within `async with`, inside one event loop."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._slots = asyncio.Semaphore(server.n_requests)
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {server.key}"} if server.key else {},
            timeout=server.seconds,
            limits=httpx2.Limits(max_connections=server.n_requests),
            # Redirects are not followed: neither images nor the key go anywhere else.
            follow_redirects=False,
        )

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, url: str, body: Json, *, is_json: bool = True) -> Json:
        """Returns the server's JSON answer to one request; {} with is_json false, whatever it says.

        Raises Refused for a 4xx that is about this request, Unavailable after the last try, and
        ServerError where no request at all can succeed (address, key, model).
        """
        content = json.dumps(body)
        n_tries = n_slow = n_busy = 0
        while True:
            pause: float | None = None
            try:
                async with self._slots, asyncio.timeout(self.server.seconds):
                    response = await self._client.post(
                        url, content=content, headers={"Content-Type": "application/json"}
                    )
            except (TimeoutError, httpx2.TimeoutException):
                trouble = f"no answer within {self.server.seconds:g} s"
                n_slow += 1
                n_tries += 1
            except httpx2.RequestError as error:
                trouble = f"{type(error).__name__}: {error}".removesuffix(": ")
                n_tries += 1
            else:
                if response.status_code == 429:
                    trouble = "too many requests (429)"
                    pause = retry_after(response.headers.get("Retry-After"))
                    n_busy += 1
                elif response.status_code in TRANSIENT:
                    trouble = f"status {response.status_code}: {_excerpt(response)}"
                    pause = retry_after(response.headers.get("Retry-After"))
                    n_tries += 1
                elif (answer := _answer(response, self.server, is_json=is_json)) is not None:
                    return answer
                else:
                    trouble = "an answer that is no JSON object"
                    n_tries += 1
            if n_tries >= MAX_TRIES or n_slow >= MAX_SLOW_TRIES or n_busy >= MAX_BUSY_TRIES:
                raise Unavailable(trouble)
            if pause is None:
                pause = self._pause(n_tries + n_busy)
            logger.info("trying again in %.1f s: %s", pause, trouble)
            await asyncio.sleep(pause)

    async def get(self, url: str) -> Json | None:
        """Tries once to read what not every server has, and returns it; None where it cannot be
        had.
        """
        try:
            async with asyncio.timeout(min(30.0, self.server.seconds)):
                response = await self._client.get(url)
            found = response.json() if response.status_code == 200 else None
        except (TimeoutError, httpx2.RequestError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _pause(self, n_failed: int) -> float:
        """Exponential, with full jitter: workers that failed together do not come back together."""
        longest = min(LONGEST_PAUSE, self.server.first_pause * 2.0 ** max(0, n_failed - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def retry_after(value: str | None) -> float | None:
    """Returns the seconds of a Retry-After header, which is a number or a date; None without a
    usable one.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if seconds == seconds else None  # noqa: PLR0124


def _answer(response: httpx2.Response, server: Server, *, is_json: bool) -> Json | None:
    """The JSON object of a success; None if it holds none. Raises for what no retry can mend."""
    status = response.status_code
    if status == 200 and not is_json:
        return {}
    if status == 200:
        try:
            answer = response.json()
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None
    if status in (401, 403):
        raise ServerError(
            f"The sampling server {server.url} refuses the key (status {status}). Set "
            "SAMPLING_SERVER_KEY for the model workers and start them again."
        )
    if status in (404, 405) or status < 400:
        raise NoSuchAddress(
            f"The sampling server {server.url} has no {response.request.url.path}, or not this "
            f"model (status {status}: {_excerpt(response)}). Correct SAMPLING_SERVER, or the "
            "model's name in the settings."
        )
    if status < 500:
        raise Refused(f"status {status}: {_excerpt(response)}")
    raise Unavailable(f"status {status}: {_excerpt(response)}")


def _excerpt(response: httpx2.Response) -> str:
    """Returns the server's error message, cut short; servers put it in different places."""
    text = " ".join(response.text.split())
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        found: Any = body.get("error", body.get("detail", body.get("message")))
        said = found.get("message", found) if isinstance(found, dict) else found
        text = " ".join(str(said).split()) if said else text
    return text[:EXCERPT] or "no reason given"
