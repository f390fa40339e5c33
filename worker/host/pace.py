"""Measures how fast a worker is at the moment, and estimates how long its work still takes."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WINDOW_SECONDS = 30.0


class Pace:
    """Counts what is done, tells of the last half minute. The working thread writes, the heart
    reads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unit = ""
        self._counts: deque[tuple[float, int]] = deque()

    @contextmanager
    def counting(self, unit: str) -> Iterator[None]:
        """Counts the work done within the block in `unit`, such as samples."""
        self._begin(unit)
        try:
            yield
        finally:
            self._begin("")

    def count(self, n_done: int) -> None:
        self._counts.append((self._clock(), n_done))

    def _begin(self, unit: str) -> None:
        self._unit = unit
        self._counts = deque([(self._clock(), 0)])

    def read(self) -> tuple[float | None, str]:
        """Returns (units per second, unit), or None before anything is done."""
        counts = list(self._counts)
        now = self._clock()
        recent = [(at, n) for at, n in counts if now - at <= WINDOW_SECONDS]
        begun = recent[0][0] if len(recent) == len(counts) and recent else now - WINDOW_SECONDS
        n_done = sum(n for _, n in recent)
        if not self._unit or n_done == 0 or now <= begun:
            return None, self._unit
        return n_done / (now - begun), self._unit


class TimeLeft:
    """Judges the rest by the steps seen so far: those made before a resume took another's time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def estimate(self, step: int, n_steps: int) -> float | None:
        """Returns the seconds until step `n_steps`, now that `step` is done; None at the first one
        seen.
        """
        now = self._clock()
        if self._first is None:
            self._first = now, step
        since, first_step = self._first
        if step <= first_step:
            return None
        return (now - since) / (step - first_step) * (n_steps - step)
