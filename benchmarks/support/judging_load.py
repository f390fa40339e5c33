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
from dataclasses import dataclass, field
from urllib.parse import urlencode

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
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        reader, writer = self._streams
        body = urlencode(data)
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
            writer.close()
            self._streams = None
        if b"content-encoding: gzip" in head:
            answer = gzip.decompress(answer)
        return Reply(int(head[9:12]), head, answer)


class Annotator:
    def __init__(self, config: dict[str, object], round_id: int, seed: int, page: Connection):
        self.config, self.round_id, self.page = config, round_id, page
        self.script = config["way"] == "script"
        self.chance = random.Random(seed)

    async def work(self, load: Load, deadline: float) -> None:
        """Judge until the time is over, or nothing comes any more."""
        body = await self._next(load, "first page")
        while (found := _ITEM.search(body)) and time.perf_counter() < deadline:
            body = await self._judge(load, int(found[1]), body)

    async def _next(self, load: Load, kind: str) -> bytes:
        reply = await self._timed(load, kind, "GET", f"/rounds/{self.round_id}/judge", script=False)
        assert reply.status == 200, reply.body
        return reply.body

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
            assert reply.status == 200, reply.body
            version = _SAVED.search(reply.body)
            assert version
        data = self._form(int(version[1]), picked)
        path = f"/judgements/{judgement_id}/submit"
        reply = await self._timed(load, "submit", "POST", path, data, script=self.script)
        assert reply.status in {200, 303}, (reply.head, reply.body)
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
        reply = await self.page.ask(method, path, data, script=script)
        load.milliseconds[kind].append((time.perf_counter() - started) * 1000)
        return reply


async def run_load(
    config: dict[str, object], round_id: int, port: int, cookies: Sequence[str], seconds: float
) -> Load:
    load = Load()
    annotators = [
        Annotator(config, round_id, seed, Connection(port, cookie))
        for seed, cookie in enumerate(cookies)
    ]
    started = time.perf_counter()
    await asyncio.gather(*(one.work(load, started + seconds) for one in annotators))
    load.seconds = time.perf_counter() - started
    return load
