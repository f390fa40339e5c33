"""The models this process holds: each loaded once, with the adapters that were asked for lately."""

import gc
import logging
from collections.abc import Collection
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from app.kit.settings import get_settings
from app.kit.storage import adapter_folder
from app.round_settings import NamedBase
from worker.ml.errors import DeviceError
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.memory import free_cached_memory, is_out_of_memory

logger = logging.getLogger(__name__)

DEMO_MODEL = "demo"
DEMO_CHECKPOINT = Path(__file__).parents[1] / "demo" / "checkpoint"

Key = tuple[str, str | None, str]
"""Name of a base, the revision that was asked for, and the number format."""

_held: dict[Key, Vlm] = {}


def get_vlm(
    base: NamedBase,
    *,
    dtype: str,
    adapter_digest: str | None,
    beside: Collection[NamedBase] = (),
) -> Vlm:
    """Returns the base model with the adapter on it, or bare. Of the other bases that are held,
    those of `beside` stay, and all others are dropped; an adapter is read once and then switched
    (worker/ml/model/attached.py). The revision of a base may be the one that a held model turned
    out to be. Raises MlError as load_vlm does; also where the memory does not hold it beside the
    others."""
    key = _key_of(base, dtype)
    _drop(set(_held) - {key, *(_key_of(other, dtype) for other in beside)})
    if key not in _held:
        _held[key] = _load(base, dtype)
    folder = adapter_folder(adapter_digest) if adapter_digest else None
    return attach_adapter(_held[key], folder)


def _key_of(base: NamedBase, dtype: str) -> Key:
    """The key of a held model that is this base, or the one that it will have."""
    for key, vlm in _held.items():
        if (key[0], vlm.revision, key[2]) == (base.name, base.revision, dtype):
            return key
    return base.name, base.revision, dtype


def _load(base: NamedBase, dtype: str) -> Vlm:
    logger.info("loading %s", base.name)
    disable_progress_bar()  # bars are for terminals; here they would land in a log
    device = get_settings().device
    try:
        return load_vlm(resolve(base.name), revision=base.revision, device=device, dtype=dtype)
    except DeviceError as error:
        if not _held or not is_out_of_memory(error.__cause__ or error):
            raise
        others = ", ".join(name for name, _, _ in _held)
        raise DeviceError(
            f"The memory does not hold {base.name} beside {others}, and roles of this round stand "
            "on both. Use smaller models, another number type (bfloat16, 4bit), a machine with "
            "more memory, or one model for all roles."
        ) from error


def forget_vlm() -> None:
    """Gives the memory of the held models back, to others that train with them."""
    _drop(set(_held))


def _drop(keys: Collection[Key]) -> None:
    if not keys:
        return
    devices = {_held.pop(key).device for key in keys}
    gc.collect()
    for device in devices:
        free_cached_memory(device)


def resolve(base_model: str) -> str:
    """Returns the folder or hub name of a model; `demo` names the one that comes with
    the project.
    """
    return str(DEMO_CHECKPOINT) if base_model == DEMO_MODEL else base_model
