"""Chooses batch sizes by free memory, and tells an out-of-memory error from others."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from worker.ml.errors import DeviceError

if TYPE_CHECKING:  # loading a model asks here whether the memory was too small
    from worker.ml.model.loading import Vlm

logger = logging.getLogger(__name__)

PASS_TOKENS = 8192  # of a pass that keeps no keys and values
CPU_BATCH_ROWS = 512  # beyond that a CPU gains nothing
MAX_BATCH_ROWS = 1024
MEMORY_SHARE = 0.5  # of what is free, for keys and values; the rest is activations and logits
CPU_MEMORY_SHARE = 0.25  # of all the machine's memory, which others use as well
CPU_MEMORY_BYTES = 4 * 2**30


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is CUDA's, MPS's or the CPU allocator's way of saying that
    memory is short.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


def too_small(vlm: Vlm) -> DeviceError:
    """Returns the error to raise when not even the smallest batch fits."""
    return DeviceError(
        f"The {vlm.device.type} memory does not hold the model and one row. Use a smaller model, "
        "another number type (bfloat16), smaller images or another device."
    )


def too_large(vlm: Vlm, n_rows: int) -> DeviceError:
    """Returns the error to raise when a training batch does not fit."""
    return DeviceError(
        f"The {vlm.device.type} memory does not hold a training batch of {n_rows} rows. Lower "
        "batch_size and raise gradient_accumulation by the same factor (the result is the same), "
        "or switch gradient_checkpointing on."
    )


def fewer_rows(vlm: Vlm, n_rows: int) -> int:
    """Returns half as many rows as memory was too short for. Raises DeviceError where that was a
    single one."""
    free_cached_memory(vlm.device)
    if n_rows == 1:
        raise too_small(vlm)
    logger.warning("Out of memory with %d rows; going on with %d.", n_rows, n_rows // 2)
    return n_rows // 2


def rows_of_pass(length: int) -> int:
    """Returns how many rows of `length` tokens pass through a model together where nothing is kept
    of them."""
    return max(1, PASS_TOKENS // length)


def free_cached_memory(device: torch.device) -> None:
    """Gives memory that torch holds but does not use back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_bytes(device: torch.device) -> int:
    """Returns how many bytes can still be had: of a GPU, or of the machine, what its kernel gives
    without swapping; where that cannot be told, all that the machine has."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return _machine_bytes()
    by_name = dict(line.split(":", 1) for line in lines)
    return int(by_name["MemAvailable"].split()[0]) * 1024


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Returns the bytes of the keys and values of one token."""
    text = config.get_text_config(decoder=True)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * width * dtype.itemsize)


def row_bytes(config: Any, length: float, dtype: torch.dtype) -> int:
    """Returns the bytes of the keys and values of one row of `length` tokens, and of its logits
    (float32).
    """
    vocabulary = config.get_text_config(decoder=True).vocab_size
    return int(token_bytes(config, dtype) * length + 6 * 4 * vocabulary)


def default_batch_rows(vlm: Vlm, length: float) -> int:
    """Returns the number of rows to decode together that hold `length` tokens each: of their own,
    and their part of those that they share with others.
    """
    per_row = row_bytes(vlm.model.config, length, vlm.dtype)
    if vlm.device.type == "cuda":
        free = free_bytes(vlm.device)
        return max(1, min(MAX_BATCH_ROWS, int(free * MEMORY_SHARE) // per_row))
    room = min(int(_machine_bytes() * CPU_MEMORY_SHARE), CPU_MEMORY_BYTES)
    return max(1, min(CPU_BATCH_ROWS, room // per_row))
