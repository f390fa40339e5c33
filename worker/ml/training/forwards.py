"""From training rows to forwards: which rows pass through the model together, and in what form."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from worker.ml.inputs.encode import RowEncoder, encoder_of
from worker.ml.inputs.frozen_tower import FrozenTowerEncoder, can_take_features
from worker.ml.inputs.prompts import PromptStyle
from worker.ml.model.loading import Vlm
from worker.ml.training.branches import Branched, branched_losses, can_branch, join
from worker.ml.training.losses import RowLosses, make_examples
from worker.ml.training.schedule import cut_by_length, group_by_item
from worker.ml.types import LoraSettings, TrainConfig, TrainRow

logger = logging.getLogger(__name__)

WINDOW_ROWS = 256  # rows encoded at a time: their pixels are all in memory
# What starting one more forward costs, in tokens: a GPU is idle until its queue is full.
FORWARD_TOKENS = {"cpu": 64}
GPU_FORWARD_TOKENS = 4096

Precision = Callable[[], AbstractContextManager[Any]]


class Forwards:
    """Cuts rows into forwards and computes their losses. What the model can do (sequences with
    several ends, features in place of pixels) is tried on `rows` at the beginning, once.

    autocast: the context of mixed precision, entered for every forward.
    """

    def __init__(
        self,
        vlm: Vlm,
        rows: Sequence[TrainRow],
        *,
        config: TrainConfig,
        lora: LoraSettings,
        style: PromptStyle,
    ) -> None:
        self.vlm, self.config, self.style = vlm, config, style
        self.encoder: RowEncoder = encoder_of(vlm)
        self.shares = config.share_prefixes and self._can_branch(rows)
        if config.feature_cache_mb and not (lora.tower or lora.projector):
            self._freeze_tower(rows)

    def cut(
        self, rows: Sequence[TrainRow], groups: Sequence[Sequence[int]], autocast: Precision
    ) -> Iterator[list[Branched]]:
        """The forwards of some rows, given as positions grouped by item: sequences of equal image
        shapes and similar length, at most batch_size rows each."""
        for window in _windows(groups):
            with autocast():  # features are made in the numbers in which the model would make them
                sequences = [made for group in window for made in self._sequences(rows, group)]
            by_signature: dict[object, list[Branched]] = {}
            for sequence in sequences:
                by_signature.setdefault(sequence.row.signature, []).append(sequence)
            for alike in by_signature.values():
                for places in cut_by_length(
                    [sequence.row.length for sequence in alike],
                    [len(sequence.row_indices) for sequence in alike],
                    self.config.batch_size,
                    FORWARD_TOKENS.get(self.vlm.device.type, GPU_FORWARD_TOKENS),
                ):
                    yield [alike[place] for place in places]

    def losses(
        self, model: Any, rows: Sequence[TrainRow], forward: Sequence[Branched], autocast: Precision
    ) -> tuple[RowLosses, torch.Tensor]:
        """Losses and weights of the rows of one forward, in the same order. `model`: vlm.model or
        what accelerate made of it."""
        with autocast():
            losses, indices = branched_losses(self.vlm, model, forward)
        weights = torch.tensor([rows[index].weight for index in indices], device=self.vlm.device)
        return losses, weights

    def _sequences(self, rows: Sequence[TrainRow], group: Sequence[int]) -> list[Branched]:
        examples = [
            example
            for index in group
            for example in make_examples(self.vlm, self.encoder, rows[index], index, self.style)
        ]
        if self.shares:
            return join(examples)
        return [sequence for example in examples for sequence in join([example])]

    def _can_branch(self, rows: Sequence[TrainRow]) -> bool:
        for group in group_by_item(rows, range(len(rows))):
            if len(group) > 1 and rows[group[0]].rationale:
                examples = [
                    example
                    for index in group[:2]
                    for example in make_examples(
                        self.vlm, self.encoder, rows[index], index, self.style
                    )
                ]
                return can_branch(self.vlm, examples)
        return False  # nothing to share

    def _freeze_tower(self, rows: Sequence[TrainRow]) -> None:
        """Puts features in place of pixels if the model can take them."""
        first = make_examples(self.vlm, self.encoder, rows[0], 0, self.style)[0].row
        second = next((row for row in rows if row.image != rows[0].image), rows[0])
        other = make_examples(self.vlm, self.encoder, second, 0, self.style)[0].row
        tried = [first, other] if other.signature == first.signature else [first]
        if can_take_features(self.vlm, tried):
            self.encoder = FrozenTowerEncoder(
                self.vlm, self.encoder, self.config.feature_cache_mb * 2**20
            )


def _windows(groups: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    window: list[Sequence[int]] = []
    n_rows = 0
    for group in groups:
        window.append(group)
        n_rows += len(group)
        if n_rows >= WINDOW_ROWS:
            yield window
            window, n_rows = [], 0
    if window:
        yield window
