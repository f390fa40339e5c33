"""Train in several processes of this machine: start them, pass on what they tell, end them all.

The children live no longer than this process, and one that fails takes the others with it: what
they saved stays, and the next attempt goes on from there.
"""

import json
import logging
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from app.kit.processes.children import describe_exit, kill_group, start_process
from app.kit.settings import environment_for_children
from worker.ml.errors import DeviceError, MlError, PromptError, Stopped
from worker.ml.types import TrainProgress, TrainReport
from worker.train_process import MARK, STOP_FILE, TrainJob, report_from

logger = logging.getLogger(__name__)

LAST_LINES = 8
"""Of a failed process's log, kept for the error."""
GRACE = 3.0
"""Seconds in which the others of a failed process may say that it was they."""
TICK = 0.2


def count_processes(wanted: int | None, device: str) -> int:
    """Returns how many processes train: `wanted`, or one per visible GPU. `device`: a setting.

    Raises DeviceError if there are not as many GPUs.
    """
    n_gpus = torch.cuda.device_count() if device in {"auto", "cuda"} else 0
    if wanted is None:
        return max(1, n_gpus)
    if wanted > 1 and device.startswith("cuda:"):
        raise DeviceError(
            f"This worker computes on {device} alone, and the training asks for {wanted} "
            "processes. Set its DEVICE to cuda, or the processes of the training to 1."
        )
    if wanted > n_gpus > 0:
        raise DeviceError(
            f"The training asks for {wanted} processes, but only {n_gpus} GPUs are visible. "
            "Ask for at most as many, or leave the number empty."
        )
    return wanted


@dataclass
class Child:
    """A started process, and the end of its log."""

    number: int
    process: subprocess.Popen[bytes]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    error: MlError | None = None

    def failure(self, n_processes: int) -> MlError:
        """Returns what it said, or an error that says how it ended."""
        return self.error or MlError(self._describe(n_processes))

    def _describe(self, n_processes: int) -> str:
        returncode = self.process.returncode
        name = f"Process {self.number + 1} of {n_processes} of the training"
        if returncode < 0:
            return (
                f"{name} {describe_exit(returncode)}. Look at the machine's memory, then retry; "
                "the training goes on from its last saved state."
            )
        log = "\n".join(self.last_lines)
        return f"{name} {describe_exit(returncode)}. The end of its log:\n{log}"


def train_in_processes(
    job: TrainJob,
    n_processes: int,
    *,
    on_progress: Callable[[TrainProgress], None],
    should_stop: Callable[[], bool],
) -> tuple[TrainReport, str]:
    """As train_lora, in `n_processes` new processes; the report and the base's revision.

    Raises Stopped, and MlError with what a failed process said or how it ended; it is a PromptError
    where a row cannot be given to the model, whether for its texts or for its picture.
    """
    with tempfile.TemporaryDirectory(prefix="illume-train-") as folder:
        job_file = Path(folder) / "job.json"
        job_file.write_text(job.to_json(), encoding="utf-8")
        with _children(job_file, n_processes) as children:
            return _listen(children, job_file.with_name(STOP_FILE), on_progress, should_stop)


@contextmanager
def _children(job_file: Path, n_processes: int) -> Iterator[list[Child]]:
    """The processes, started; none of them is left when the block ends."""
    port = _free_port()
    children: list[Child] = []
    try:
        for number in range(n_processes):
            environment = {
                **environment_for_children(),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "RANK": str(number),
                "LOCAL_RANK": str(number),
                "WORLD_SIZE": str(n_processes),
                "LOCAL_WORLD_SIZE": str(n_processes),
                "PYTHONUNBUFFERED": "1",
            }
            command = [sys.executable, "-m", "worker.train_process", str(job_file)]
            process = start_process(command, env=environment, output=subprocess.PIPE)
            children.append(Child(number, process))
        yield children
    finally:
        for child in children:
            kill_group(child.process)
            child.process.wait()
            if child.process.stdout is not None:
                child.process.stdout.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _listen(
    children: list[Child],
    stop_file: Path,
    on_progress: Callable[[TrainProgress], None],
    should_stop: Callable[[], bool],
) -> tuple[TrainReport, str]:
    lines: queue.Queue[tuple[Child, str | None]] = queue.Queue()
    for child in children:
        threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    result: tuple[TrainReport, str] | None = None
    n_open = len(children)
    while n_open:
        if should_stop():
            stop_file.touch()
        try:
            child, line = lines.get(timeout=TICK)
        except queue.Empty:
            continue
        if line is None:
            n_open -= 1
            if child.process.wait() != 0:
                raise _why(children, lines).failure(len(children))
        elif (message := _parse(child, line)) is not None:
            if message["kind"] == "progress":
                message.pop("kind")
                on_progress(TrainProgress(**message))
            elif message["kind"] == "report":
                result = report_from(message["report"]), message["revision"]
    if result is None:
        raise Stopped
    return result


def _read(child: Child, lines: queue.Queue[tuple[Child, str | None]]) -> None:
    if child.process.stdout is not None:
        for line in child.process.stdout:
            lines.put((child, line.decode(errors="replace").rstrip("\n")))
    lines.put((child, None))


def _parse(child: Child, line: str) -> dict[str, Any] | None:
    """Returns a process's message; None for a line of its log, and for an error, which is kept."""
    if not line.startswith(MARK):
        logger.debug("training process %d: %s", child.number + 1, line)
        child.last_lines.append(line)
        return None
    message: dict[str, Any] = json.loads(line.removeprefix(MARK))
    if message["kind"] == "error":
        kind = PromptError if message["is_unusable"] else MlError
        child.error = kind(message["message"])
        return None
    return message


def _why(children: list[Child], lines: queue.Queue[tuple[Child, str | None]]) -> Child:
    """The process that failed for a reason of its own: one that fails breaks the connections of
    all, and whoever notices first is not to blame."""
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(child.process.poll() is None for child in children):
        try:
            child, line = lines.get(timeout=TICK)
        except queue.Empty:
            continue
        if line is not None:
            _parse(child, line)
    while not lines.empty():
        child, line = lines.get()
        if line is not None:
            _parse(child, line)
    failed = [child for child in children if child.process.poll() not in {None, 0}]
    said = [child for child in failed if child.error is not None]
    killed = [child for child in failed if (child.process.returncode or 0) < 0]
    return (said or killed or failed)[0]
