"""The state of one worker process: its heart, made in the child after the fork."""

import os

from app import db
from app.settings import get_settings
from worker.heart import Heart

QUEUES_VARIABLE = "ILLUME_WORKER_QUEUES"

_heart: Heart | None = None


def start_process(queues: list[str]) -> None:
    """Called once in each pool child. Connections of the parent must not be shared."""
    global _heart  # noqa: PLW0603 - one per process, like the process itself
    db.dispose_engine()
    device = "cpu" if "gpu" not in queues else _describe_device()
    _heart = Heart(queues, device)
    _heart.start()


def current_heart() -> Heart:
    if _heart is None:
        raise RuntimeError("start_process has not been called in this process")
    return _heart


def _describe_device() -> str:
    """What the model worker computes on, in words for the pages."""
    import torch

    settings = get_settings()
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    wanted = settings.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        return f"{wanted} ({torch.cuda.get_device_name(torch.device(wanted))})"
    return f"cpu ({torch.get_num_threads()} of {os.cpu_count()} threads)"
