"""Groups examples into forwards: which of them pass through the model together, in what form."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from worker.ml.inputs.encode import RowEncoder, encoder_of
from worker.ml.inputs.frozen_tower import FrozenTowerEncoder, can_take_features
from worker.ml.inputs.prompts import PromptStyle
from worker.ml.model.contents import adapts_vision
from worker.ml.model.loading import Vlm
from worker.ml.training.branches import Tree, can_branch, join
from worker.ml.training.losses import Encoded, encode_example
from worker.ml.training.schedule import cut_by_length, group_by_item
from worker.ml.types import AdapterSettings, Example, TrainConfig

WINDOW_ROWS = 256  # examples encoded at a time: their pixels are all in memory
# What starting one more forward costs, in tokens: a GPU is idle until its queue is full.
FORWARD_TOKENS = {"cpu": 64}
GPU_FORWARD_TOKENS = 4096

Precision = Callable[[], AbstractContextManager[Any]]
"""The context of mixed precision, entered for every forward."""


@dataclass(frozen=True, eq=False)
class Form:
    """In what form a model takes examples: what encodes them, whether those of one item share what
    they have in common, and how many of them a forward holds at most."""

    vlm: Vlm
    encoder: RowEncoder
    style: PromptStyle
    shares: bool
    batch_size: int

    def encode(self, examples: Sequence[Example], index: int) -> list[Encoded]:
        """Returns the token sequences of one example. Raises ImageError and PromptError."""
        return encode_example(self.vlm, self.encoder, examples[index], index, self.style)


def find_form(
    vlm: Vlm,
    examples: Sequence[Example],
    config: TrainConfig,
    adapter: AdapterSettings,
    style: PromptStyle,
) -> Form:
    """Returns the fastest form that gives what the plain one gives. What the model can do (trees in
    place of rows, features in place of pixels) is tried on the first examples that show it."""
    plain = Form(vlm, encoder_of(vlm), style, shares=False, batch_size=config.batch_size)
    shares = config.share_prefixes and _can_branch(plain, examples)
    encoder = plain.encoder
    if config.feature_cache_mb and not _learns_to_see(vlm, adapter):
        encoder = _without_pixels(plain, examples, config.feature_cache_mb * 2**20)
    return Form(vlm, encoder, style, shares, config.batch_size)


def cut(
    form: Form,
    examples: Sequence[Example],
    groups: Sequence[Sequence[int]],
    autocast: Precision,
) -> Iterator[list[Tree]]:
    """Yields the forwards of some examples, given as positions grouped by item: trees of equal
    image shapes and similar length, of at most `batch_size` examples each. Raises ImageError and
    PromptError where one of them cannot be given to the model."""
    costs = FORWARD_TOKENS.get(form.vlm.device.type, GPU_FORWARD_TOKENS)
    for window in _windows(groups):
        with autocast():  # features are made in the numbers in which the model would make them
            trees = [tree for group in window for tree in _trees(form, examples, group)]
        by_signature: dict[object, list[Tree]] = {}
        for tree in trees:
            by_signature.setdefault(tree.row.signature, []).append(tree)
        for alike in by_signature.values():
            lengths = [tree.row.length for tree in alike]
            n_rows = [len(tree.indices) for tree in alike]
            for places in cut_by_length(lengths, n_rows, form.batch_size, costs):
                yield [alike[place] for place in places]


def _learns_to_see(vlm: Vlm, adapter: AdapterSettings) -> bool:
    asked = any(lora.tower or lora.projector for lora in adapter.every_set.values())
    return asked or adapts_vision(vlm.model)


def _trees(form: Form, examples: Sequence[Example], group: Sequence[int]) -> list[Tree]:
    sequences = [made for index in group for made in form.encode(examples, index)]
    if form.shares:
        return [join(sequences)]
    return [join([sequence]) for sequence in sequences]


def _can_branch(plain: Form, examples: Sequence[Example]) -> bool:
    for group in group_by_item(examples, range(len(examples))):
        first = examples[group[0]]
        other = next((index for index in group if examples[index].parts != first.parts), None)
        if other is not None:
            sequences = [plain.encode(examples, index)[-1] for index in (group[0], other)]
            return can_branch(plain.vlm, sequences)
    return False  # nothing to share


def _without_pixels(plain: Form, examples: Sequence[Example], max_bytes: int) -> RowEncoder:
    """The encoder that puts features in place of pixels if the model can take them."""
    seen: dict[object, int] = {}
    for index, example in enumerate(examples):
        if example.image is not None and len(seen) < 2:
            seen.setdefault(example.image, index)
    rows = [plain.encode(examples, index)[0].row for index in seen.values()]
    alike = [row for row in rows if row.signature == rows[0].signature]
    if not alike or not can_take_features(plain.vlm, alike):
        return plain.encoder
    return FrozenTowerEncoder(plain.vlm, plain.encoder, max_bytes)


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
