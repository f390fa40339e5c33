"""One supervised process: what it is, that it runs, and when to start it again."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.kit.processes.children import describe_exit, kill_group, start_process
from app.supervisor.output import Output

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
# A child that has run this long was well: its next death starts counting from nothing.
SETTLED_SECONDS = 30.0


@dataclass(frozen=True)
class Spec:
    """A process to keep running.

    Processes of a lower `stop_order` are stopped first. `stop_steps` are the signals to stop it
    with, and how many seconds each is given before the next.
    """

    name: str
    command: tuple[str, ...]
    stop_order: int = 0
    stop_steps: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10.0),)
    pass_fds: tuple[int, ...] = ()


@dataclass
class Hurry:
    """Set by a second Ctrl-C: no more waiting."""

    is_asked_for: bool = False


class Child:
    """A process of a `Spec` over all its lives."""

    def __init__(self, spec: Spec, output: Output, env: Mapping[str, str]) -> None:
        self.spec = spec
        self.n_deaths = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._output = output
        self._env = env
        self._pause = FIRST_PAUSE
        self._started_at = 0.0
        self._next_start = 0.0

    def start(self) -> None:
        self._started_at = time.monotonic()
        self.process = start_process(
            self.spec.command,
            env=self._env,
            output=subprocess.PIPE,
            pass_fds=self.spec.pass_fds,
        )
        self._output.follow(self.spec.name, self.process)

    def tend(self) -> None:
        """Notices a death, and starts the process again once the pause is over."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return
            # What it left behind would work beside its successor.
            kill_group(self.process)
            if now - self._started_at > SETTLED_SECONDS:
                self._pause = FIRST_PAUSE
            self._output.say(
                f"{describe_exit(self.process.returncode)}; starting it again in {self._pause:g} s",
                self.spec.name,
            )
            self.n_deaths += 1
            self._next_start = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self.process = None
        elif now >= self._next_start:
            self.start()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def stop_together(children: Sequence[Child], hurry: Hurry, output: Output) -> None:
    """Stop children of one stop order side by side; who ignores every signal is killed."""
    running = [child for child in children if child.is_running]
    n_steps = max((len(child.spec.stop_steps) for child in running), default=0)
    for step in range(n_steps):
        patience = 0.0
        for child in running:
            if child.is_running and child.process and step < len(child.spec.stop_steps):
                number, seconds = child.spec.stop_steps[step]
                child.process.send_signal(number)
                patience = max(patience, seconds)
        _wait_until_ended(running, patience, hurry)
    for child in running:
        if child.process is None:
            continue
        if child.process.poll() is None:
            output.say("did not end in time and is killed", child.spec.name)
        kill_group(child.process)
        child.process.wait()


def _wait_until_ended(children: Sequence[Child], seconds: float, hurry: Hurry) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not hurry.is_asked_for:
        if not any(child.is_running for child in children):
            return
        time.sleep(0.02)
