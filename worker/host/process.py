"""The state of one worker process: its heart, made in the child after the fork."""

import logging
import os
from pathlib import Path

from app.kit import db
from app.kit.settings import get_settings
from worker.host.heart import Heart, Memory

logger = logging.getLogger(__name__)

_heart: Heart | None = None


def start_process(queues: list[str]) -> None:
    """Prepares a pool child of the worker; Celery calls it once in each. Connections of the parent
    must not be shared.
    """
    global _heart  # noqa: PLW0603 - one per process, like the process itself
    db.dispose_engine()
    if "gpu" in queues:
        _heart = Heart(queues, _describe_device(), _read_device_memory)
    else:
        _heart = Heart(queues, "cpu", _read_own_memory)
    _heart.start()


def current_heart() -> Heart:
    if _heart is None:
        raise RuntimeError("start_process has not been called in this process")
    return _heart


def _describe_device() -> str:
    """Returns the device of the model worker in words for the pages."""
    import torch

    from worker.ml.model.vision import hide_broken_torchvision

    if trouble := hide_broken_torchvision():
        logger.warning(trouble)
    settings = get_settings()
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    wanted = settings.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        try:
            return f"{wanted} ({torch.cuda.get_device_name(torch.device(wanted))})"
        except (AssertionError, RuntimeError):
            # A worker that ended here would leave its runs waiting; the first one says what to do.
            return f"{wanted} (not found)"
    return f"cpu ({torch.get_num_threads()} of {os.cpu_count()} threads)"


def _read_device_memory() -> Memory:
    """Returns the memory in use: of the GPU, whoever uses it, or of this process on the CPU."""
    import torch

    settings = get_settings()
    if settings.device in ("auto", "cuda") or settings.device.startswith("cuda:"):
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            index = None if settings.device in ("auto", "cuda") else torch.device(settings.device)
            free, total = torch.cuda.mem_get_info(index)
            return total - free, total
        if torch.cuda.is_available():
            return None, None  # nothing is on it yet, and asking would put something there
    return _read_own_memory()


def _read_own_memory() -> Memory:
    """Resident bytes of this process, and those of the machine; nothing where the system does not
    say."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return resident * page, os.sysconf("SC_PHYS_PAGES") * page
    except (OSError, ValueError, IndexError):
        return None, None
