"""Annotators without a think time: one connection each, in one event loop, with a bare HTTP client.

The client is as plain as can be, because it shares the cores with what is measured.
"""

import asyncio
import gzip
import random
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

from app.kit.errors import AppError
from app.kit.outages import RETRY_SECONDS

LOOK_AGAIN_SECONDS = 0.2
"""After which somebody who found nothing to judge looks whether there is something by now."""
N_TRIES = 4
"""How often the same is sent to a server that says that something is away for a while."""

_ITEM = re.compile(rb'data-judgement-id="(\d+)"')
_VERSION = re.compile(rb'name="version" value="(\d+)"')
_SAVED = re.compile(rb'data-version="(\d+)"')
_CHOICE = re.compile(rb'name="picked" value="(\d+)"')
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"location: (\S+)", re.IGNORECASE)


@dataclass
class Load:
    """Times that annotators saw, in milliseconds by kind of request, and what was acknowledged."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: set[int] = field(default_factory=set)
    seconds: float = 0.0
    n_wanted: int | None = None
    """The submissions after which nothing is left, where the queue is to be worked off."""

    def is_worked_off(self) -> bool:
        """Whether somebody who finds nothing to judge need not look again."""
        return self.n_wanted is None or len(self.acknowledged) >= self.n_wanted


@dataclass
class Reply:
    status: int
    head: bytes
    body: bytes


class Connection:
    """One person's browser: keeps its connection and its cookie."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.cookie = port, cookie
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, data: Sequence[tuple[str, object]] = (), *, script: bool
    ) -> Reply:
        try:
            return await self._exchange(method, path, urlencode(data), script=script)
        except (OSError, EOFError) as error:
            raise AppError(
                f"The web server ended the connection instead of answering {method} {path} "
                f"({error})."
            ) from error

    async def _exchange(self, method: str, path: str, body: str, *, script: bool) -> Reply:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()  # a server ends what is idle
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        reader, writer = self._streams
        # As browsers do: compressed answers, and the mark of a script where there is one.
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Cookie: {self.cookie}\r\nAccept-Encoding: gzip\r\n"
            f"{'HX-Request: true' if script else 'X-No: 1'}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
            f"\r\n{body}".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        answer = await reader.readexactly(int(length[1])) if length else b""
        if b"connection: close" in head:
            await self.close()
        if b"content-encoding: gzip" in head:
            answer = gzip.decompress(answer)
        return Reply(int(head[9:12]), head, answer)

    async def close(self) -> None:
        """Ends the connection, if there is one; the next question makes another."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):  # the server was first
                await streams[1].wait_closed()


class Annotator:
    def __init__(self, config: dict[str, object], round_id: int, seed: int, page: Connection):
        self.config, self.round_id, self.page = config, round_id, page
        self.script = config["way"] == "script"
        self.chance = random.Random(seed)

    async def work(self, load: Load, deadline: float) -> None:
        """Judge until the time is over, or nothing comes any more; one item in any case.

        Who finds nothing has perhaps only come while others had the last items in their hands.
        """
        body = await self._next(load, "first page")
        has_judged = False
        while not has_judged or time.perf_counter() < deadline:
            if found := _ITEM.search(body):
                body = await self._judge(load, int(found[1]), body)
                has_judged = True
            elif load.is_worked_off() or time.perf_counter() >= deadline:
                return
            else:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                body = await self._next(load, "another look")

    async def _next(self, load: Load, kind: str) -> bytes:
        path = f"/rounds/{self.round_id}/judge"
        return (await self._timed(load, kind, "GET", path, script=False)).body

    async def _judge(self, load: Load, judgement_id: int, body: bytes) -> bytes:
        version = _VERSION.search(body)
        assert version
        choices = [int(number) for number in _CHOICE.findall(body)]
        picked = sorted(self.chance.sample(choices, self.chance.randint(1, 2)))
        for number in range(int(str(self.config["drafts"]))):
            # A click on the way: another set of candidates than before, and than at the end.
            data = self._form(int(version[1]), picked[:1] if number else choices[-1:])
            path = f"/judgements/{judgement_id}/draft"
            reply = await self._timed(load, "draft", "POST", path, data, script=True)
            version = _SAVED.search(reply.body)
            assert version
        data = self._form(int(version[1]), picked)
        path = f"/judgements/{judgement_id}/submit"
        reply = await self._timed(load, "submit", "POST", path, data, script=self.script)
        load.acknowledged.add(judgement_id)
        if self.script:
            return reply.body
        location = _LOCATION.search(reply.head)
        assert location is not None
        return await self._next(load, "next")

    def _form(self, version: int, picked: Sequence[int]) -> list[tuple[str, object]]:
        return [("version", version), ("active_ms", 900), *(("picked", one) for one in picked)]

    async def _timed(
        self,
        load: Load,
        kind: str,
        method: str,
        path: str,
        data: Sequence[tuple[str, object]] = (),
        *,
        script: bool,
    ) -> Reply:
        started = time.perf_counter()
        for _ in range(N_TRIES):
            reply = await self.page.ask(method, path, data, script=script)
            if reply.status != 503:
                break
            await asyncio.sleep(RETRY_SECONDS)  # as the page of this answer does
        load.milliseconds[kind].append((time.perf_counter() - started) * 1000)
        if reply.status not in ({200} if method == "GET" else {200, 303}):
            raise AppError(
                f"The web server answered {reply.status} to {method} {path}: "
                f"{_words(reply.body)[:500]}"
            )
        return reply


def _words(body: bytes) -> str:
    """Returns what a page says, without its tags."""
    main = body.partition(b"<main")[2] or body
    return " ".join(re.sub(r"<[^>]*>", " ", "<main" + main.decode(errors="replace")).split())


async def run_load(
    config: dict[str, object],
    round_id: int,
    port: int,
    cookies: Sequence[str],
    seconds: float,
    *,
    n_wanted: int | None = None,
) -> Load:
    """Let everybody judge for so long, or, where a number is wanted, until there are as many."""
    load = Load(n_wanted=n_wanted)
    annotators = [
        Annotator(config, round_id, seed, Connection(port, cookie))
        for seed, cookie in enumerate(cookies)
    ]
    started = time.perf_counter()
    try:
        await asyncio.gather(*(one.work(load, started + seconds) for one in annotators))
        load.seconds = time.perf_counter() - started
    finally:
        for one in annotators:
            await one.page.close()
    return load
