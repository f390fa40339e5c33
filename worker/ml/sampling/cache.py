"""A key-value cache that is given its full room once instead of being copied at every token."""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, (rows, heads, room, width), of which the first n are in use.

    transformers' own growing layer copies everything at every token, which for a small model costs
    more than the model. Only plain layers are replaced; sliding windows and recurrent states keep
    their own classes.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, layer: Any, rows: torch.Tensor, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(layer.keys, layer.values)
        n_used = layer.keys.shape[-2]
        self._keys = _with_room(layer.keys, rows, n_used + room)
        self._values = _with_room(layer.values, rows, n_used + room)
        self._show(n_used)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        self._show(end)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        n_used = self.keys.shape[-2]
        self._keys = self._keys.index_select(0, beam_idx)
        self._values = self._values.index_select(0, beam_idx)
        self._show(n_used)

    def _show(self, n_used: int) -> None:
        self.keys, self.values = self._keys[:, :, :n_used], self._values[:, :, :n_used]


def _with_room(states: torch.Tensor, rows: torch.Tensor, room: int) -> torch.Tensor:
    """The chosen rows of `states` at the start of a new tensor with `room` places."""
    made = states.new_empty((rows.shape[0], states.shape[1], room, states.shape[3]))
    made[:, :, : states.shape[2]] = states.index_select(0, rows)
    return made


def expand(cache: Any, rows: torch.Tensor, room: int) -> None:
    """Reorders the cache: row i becomes the old row rows[i] (repeats allowed), with `room` free
    places.
    """
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[index] = RoomyLayer(layer, rows, room)
        else:
            layer.reorder_cache(rows)
