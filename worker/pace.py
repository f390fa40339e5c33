"""How fast a worker is at the moment: what it got done in the last half minute."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 30.0


class Pace:
    """Counts what is done. Written by the working thread, read by the heart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unit = ""
        self._counts: deque[tuple[float, int]] = deque()

    def start(self, unit: str) -> None:
        """Begin work that is counted in `unit`, such as samples."""
        self._unit = unit
        self._counts = deque([(self._clock(), 0)])

    def stop(self) -> None:
        self.start("")

    def count(self, n_done: int) -> None:
        self._counts.append((self._clock(), n_done))

    def read(self) -> tuple[float | None, str]:
        """(units per second, unit); None before anything is done."""
        counts = list(self._counts)
        now = self._clock()
        recent = [(at, n) for at, n in counts if now - at <= WINDOW_SECONDS]
        begun = recent[0][0] if len(recent) == len(counts) and recent else now - WINDOW_SECONDS
        n_done = sum(n for _, n in recent)
        if not self._unit or n_done == 0 or now <= begun:
            return None, self._unit
        return n_done / (now - begun), self._unit
