"""The model this process holds: loaded once, with the adapters that were asked for lately."""

import gc
import logging
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from app.kit.settings import get_settings
from app.kit.storage import adapter_folder
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.memory import free_cached_memory

logger = logging.getLogger(__name__)

DEMO_MODEL = "demo"
DEMO_CHECKPOINT = Path(__file__).parents[1] / "demo" / "checkpoint"

_held: dict[tuple[str, str | None, str], Vlm] = {}


def get_vlm(
    base_model: str, *, revision: str | None, dtype: str, adapter_digest: str | None
) -> Vlm:
    """Returns the base model with the adapter on it, or bare. Loading another base drops the last
    one; an adapter is read once and then switched (worker/ml/model/attached.py). `revision` may be
    the one that the held model turned out to be."""
    key = (base_model, revision, dtype)
    held = next(iter(_held.items()), None)
    if held and held[0][0] == base_model and held[0][2] == dtype and held[1].revision == revision:
        key = held[0]
    if key not in _held:
        _held.clear()
        logger.info("loading %s", base_model)
        disable_progress_bar()  # bars are for terminals; here they would land in a log
        _held[key] = load_vlm(
            resolve(base_model), revision=revision, device=get_settings().device, dtype=dtype
        )
    folder = adapter_folder(adapter_digest) if adapter_digest else None
    return attach_adapter(_held[key], folder)


def forget_vlm() -> None:
    """Gives the memory of the held model back, to others that train with it."""
    devices = {vlm.device for vlm in _held.values()}
    _held.clear()
    gc.collect()
    for device in devices:
        free_cached_memory(device)


def resolve(base_model: str) -> str:
    """Returns the folder or hub name of a model; `demo` names the one that comes with
    the project.
    """
    return str(DEMO_CHECKPOINT) if base_model == DEMO_MODEL else base_model
