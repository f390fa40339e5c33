"""Decoding many draws of an item over one copy of the item's keys and values.

The draws of an item attend to the same image and prompt. Instead of copying the keys and values of
that prefix for every draw, they stay as they are, one row per item, and the queries of all draws of
an item meet them in one matrix product; only what each draw has written since is its own. The
softmax runs over both parts together, so the result is that of plain attention. (The idea is known
from serving engines as cascade or hydragen attention: Juravsky et al. 2024, section 3.)

It works through two seams of transformers: a cache layer, whose `update` hands over the draw's own
keys with the shared ones attached, and an attention function registered under NAME, which
understands them and leaves every other call to scaled_dot_product_attention.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "illume_shared_prefix"


class Groups:
    """The item of each row. `item_of`: (rows,), ascending, starting at 0, without gaps.

    `pad` and `unpad` go between rows (rows, ...) and groups (items, width, ...), where width is the
    greatest number of rows of an item.
    """

    def __init__(self, item_of: torch.Tensor) -> None:
        counts = torch.bincount(item_of)
        firsts = counts.cumsum(0) - counts
        self.item_of = item_of
        self.first_rows = firsts
        self.n_items = len(counts)
        self.width = int(counts.max())
        self._is_even = len(item_of) == self.n_items * self.width
        place_in_item = torch.arange(len(item_of), device=item_of.device) - firsts[item_of]
        self._places = item_of * self.width + place_in_item
        # Every layer asks for the same: the newest answer is kept.
        self._selected: tuple[torch.Tensor, Groups, torch.Tensor] | None = None
        self._joined: tuple[Groups, Groups] | None = None

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        shape = (self.n_items, self.width, *rows.shape[1:])
        if self._is_even:
            return rows.reshape(shape)
        padded = rows.new_zeros((self.n_items * self.width, *rows.shape[1:]))
        return padded.index_copy_(0, self._places, rows).view(shape)

    def unpad(self, groups: torch.Tensor) -> torch.Tensor:
        flat = groups.reshape(self.n_items * self.width, *groups.shape[2:])
        return flat if self._is_even else flat.index_select(0, self._places)

    def select(self, rows: torch.Tensor) -> "tuple[Groups, torch.Tensor]":
        """Returns the groups of some rows, in ascending order, and which items are still among
        them.
        """
        if self._selected is None or self._selected[0] is not rows:
            kept, item_of = torch.unique_consecutive(self.item_of[rows], return_inverse=True)
            self._selected = rows, Groups(item_of), kept
        return self._selected[1:]

    def joined(self, other: "Groups") -> "Groups":
        """Returns these groups followed by the others."""
        if self._joined is None or self._joined[0] is not other:
            both = torch.cat([self.item_of, other.item_of + self.n_items])
            self._joined = other, Groups(both)
        return self._joined[1]


class SharedLayer(DynamicLayer):
    """Keys and values of one layer: `shared_*` (items, heads, n_shared, width) of the prefixes, and
    for each row room for what it writes after them, (rows, heads, room, width).
    """

    def __init__(self, layer: Any, groups: Groups, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(layer.keys, layer.values)
        self.groups = groups
        self.shared_keys: torch.Tensor = layer.keys
        self.shared_values: torch.Tensor = layer.values
        heads, width = layer.keys.shape[1], layer.values.shape[3]
        n_rows = len(groups.item_of)
        # Zeros: what a row has not written is masked, but a weight of 0 on a NaN would be NaN.
        self._keys = layer.keys.new_zeros((n_rows, heads, room, layer.keys.shape[3]))
        self._values = layer.values.new_zeros((n_rows, heads, room, width))
        self.n_own = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        end = self.n_own + key_states.shape[-2]
        self._keys[:, :, self.n_own : end] = key_states
        self._values[:, :, self.n_own : end] = value_states
        self.n_own = end
        keys = self._keys[:, :, :end]
        keys.shared_layer = self  # read by shared_attention
        return keys, self._values[:, :, :end]

    @property
    def n_shared(self) -> int:
        return int(self.shared_keys.shape[-2])

    def get_seq_length(self) -> int:
        return self.n_shared + self.n_own

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep some rows, in ascending order; items without a row leave."""
        n_items = self.groups.n_items
        self.groups, items = self.groups.select(beam_idx)
        if self.groups.n_items < n_items:
            self.shared_keys = self.shared_keys.index_select(0, items)
            self.shared_values = self.shared_values.index_select(0, items)
        self._keys = self._keys.index_select(0, beam_idx)
        self._values = self._values.index_select(0, beam_idx)

    def join(self, other: "SharedLayer", n_unused: int) -> None:
        """Take in rows that have written nothing yet, with their items; the first `n_unused` places
        of our rows are given up. Shorter prefixes are padded on the left, for the mask to hide."""
        if n_unused:
            kept = self.n_own - n_unused
            for states in (self._keys, self._values):
                states[:, :, :kept] = states[:, :, n_unused : self.n_own].clone()
            self.n_own = kept
        longest = max(self.n_shared, other.n_shared)
        self.shared_keys = _stacked(self.shared_keys, other.shared_keys, longest)
        self.shared_values = _stacked(self.shared_values, other.shared_values, longest)
        self._keys = torch.cat([self._keys, other._keys])
        self._values = torch.cat([self._values, other._values])
        self.groups = self.groups.joined(other.groups)


def _stacked(ours: torch.Tensor, theirs: torch.Tensor, length: int) -> torch.Tensor:
    padded = (
        torch.nn.functional.pad(states, (0, 0, length - states.shape[-2], 0))
        for states in (ours, theirs)
    )
    return torch.cat(list(padded))


def keeps_prefixes(cache: Any) -> bool:
    """Whether every layer is a shared one, so that others can join."""
    return all(type(layer) is SharedLayer for layer in cache.layers)


def share(cache: Any, item_of: torch.Tensor, room: int) -> None:
    """Turn the cache of some items into that of their draws: row i is a draw of item item_of[i].

    Plain layers keep one prefix per item; others (sliding windows, recurrent states) are copied.
    """
    groups = Groups(item_of)
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[index] = SharedLayer(layer, groups, room)
        else:
            layer.reorder_cache(item_of)


def shared_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Returns the attention of one new token per row. query: (rows, heads, 1, width); key, value:
    the rows' own (rows, key heads, n_own, width), with the shared layer attached; attention_mask:
    None, or (rows, 1, 1, n_shared + n_own), boolean or to be added. Returns (rows, 1, heads,
    width), None.
    """
    layer: SharedLayer | None = getattr(key, "shared_layer", None)
    if layer is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError("shared prefixes know neither attention sinks nor biases")
    groups = layer.groups
    n_rows, n_heads, n_queries, width = query.shape
    if n_queries != 1:
        raise NotImplementedError("shared prefixes are for one new token at a time")
    n_key_heads = key.shape[1]
    scaling = kwargs.get("scaling")
    queries = (query * (width**-0.5 if scaling is None else scaling)).view(
        n_rows, n_key_heads, n_heads // n_key_heads, width
    )
    own_scores = queries @ key.transpose(-1, -2)
    # (items, key heads, width of a group * heads per key head, ...)
    shared_scores = _heads_first(groups.pad(queries)) @ layer.shared_keys.transpose(-1, -2)
    n_shared = shared_scores.shape[-1]
    scores = torch.cat([shared_scores, _heads_first(groups.pad(own_scores))], dim=-1)
    scores = scores.view(groups.n_items, n_key_heads, groups.width, -1, scores.shape[-1])
    if (softcap := kwargs.get("softcap")) is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if attention_mask is not None:
        mask = groups.pad(attention_mask[:, 0, 0])[:, None, :, None]
        scores = (
            scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            if mask.dtype == torch.bool
            else scores + mask
        )
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype).flatten(2, 3)
    from_shared = weights[..., :n_shared] @ layer.shared_values
    own_weights = groups.unpad(_heads_last(weights[..., n_shared:], groups.width))
    made = groups.unpad(_heads_last(from_shared, groups.width)) + own_weights @ value
    return made.reshape(n_rows, 1, n_heads, -1), None


def _heads_first(groups: torch.Tensor) -> torch.Tensor:
    """(items, width, key heads, heads per key head, n) as (items, key heads, width * ..., n)."""
    return groups.transpose(1, 2).flatten(2, 3)


def _heads_last(groups: torch.Tensor, width: int) -> torch.Tensor:
    """The opposite of _heads_first."""
    items, key_heads, _, n = groups.shape
    return groups.view(items, key_heads, width, -1, n).transpose(1, 2)


AttentionInterface.register(NAME, shared_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def understood_by(model: torch.nn.Module) -> Iterator[None]:
    """Lets the model's attention understand shared layers within the block.

    Raises NotImplementedError for a model that does not run on sdpa.
    """
    configs = {
        id(config): config
        for module in model.modules()
        if hasattr(module, "layer_idx") and (config := getattr(module, "config", None)) is not None
    }
    if not configs or any(c._attn_implementation != "sdpa" for c in configs.values()):
        raise NotImplementedError("shared prefixes need scaled_dot_product_attention")
    try:
        for config in configs.values():
            config._attn_implementation_internal = NAME
        yield
    finally:
        for config in configs.values():
            config._attn_implementation_internal = "sdpa"
