"""The answer to probes: one look at a time, shared by all who ask meanwhile, within a limit."""

import asyncio
import time
from collections.abc import Callable, Mapping

from anyio.to_thread import run_sync

FRESH_SECONDS = 0.5
LIMIT_SECONDS = 3.0

Checks = Mapping[str, str]


class Probes:
    """Asks `check` in a thread of its own accord: however many probe, it runs once at a time."""

    def __init__(self, check: Callable[[], Checks]) -> None:
        self._check = check
        self._look: asyncio.Task[Checks] | None = None
        self._looked_at = float("-inf")

    async def ask(self) -> Checks | None:
        """Returns what was found just now; None where that takes too long."""
        if self._look is None or (self._look.done() and not self._is_fresh()):
            self._look = asyncio.create_task(self._run())
        # The look itself goes on for those who ask later.
        done, _ = await asyncio.wait([self._look], timeout=LIMIT_SECONDS)
        return self._look.result() if done else None

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < FRESH_SECONDS

    async def _run(self) -> Checks:
        try:
            return await run_sync(self._check)
        finally:
            self._looked_at = time.monotonic()
