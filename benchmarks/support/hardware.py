"""Measures a device: memory in use, bytes that decoding reads, operations."""

import resource
from pathlib import Path
from typing import Any

import torch


def wait_for(device: torch.device) -> None:
    """Until what was sent to a GPU is done; a clock is read after that."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def resident_mb(device: torch.device) -> float:
    """Returns the megabytes in use now: of this process, or of ours on the GPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mb(device: torch.device) -> float:
    """The most there ever was."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def decoder_parameters(vlm: Any) -> list[torch.Tensor]:
    """Returns the weights that a new token passes through: language model and head, not the input
    embeddings, of which it needs one line."""
    embeddings = {id(p) for p in vlm.model.get_input_embeddings().parameters()}
    head = {id(p) for p in vlm.model.get_output_embeddings().parameters()}
    decoder = vlm.model.get_decoder()
    found = {
        id(p): p for p in (*decoder.parameters(), *vlm.model.get_output_embeddings().parameters())
    }
    return [p for key, p in found.items() if key not in embeddings or key in head]


class Traffic:
    """Counts the bytes that decoding has to read at least: per step the decoder's weights, and the
    keys and values of all rows as they are stored."""

    def __init__(self, vlm: Any) -> None:
        self.n_bytes = 0
        self._weights = sum(p.nbytes for p in decoder_parameters(vlm))
        vlm.model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        cache, ids = inputs.get("past_key_values"), inputs.get("input_ids")
        if cache is None or ids is None or ids.shape[1] != 1:
            return  # a prompt is read: that is bound by arithmetic
        self.n_bytes += self._weights + sum(_stored(layer, len(ids)) for layer in cache.layers)


def _stored(layer: Any, n_rows: int) -> int:
    if hasattr(layer, "shared_keys"):
        heads, width = layer.shared_keys.shape[1], layer.shared_keys.shape[3]
        own = 2 * n_rows * heads * layer.n_own * width * layer.shared_keys.element_size()
        return int(layer.shared_keys.nbytes + layer.shared_values.nbytes + own)
    if layer.keys is None:
        return 0
    return int(layer.keys.nbytes + layer.values.nbytes)
