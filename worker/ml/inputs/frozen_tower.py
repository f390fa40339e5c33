"""Vision features computed once per image where tower and projector stay as they are.

A training passes every image through the same frozen tower in each epoch and for each rationale;
sampling does for each prompt, for the answer and its rationale, and again in the next round.
Here a row's pixels are replaced by what the model's own `get_image_features` makes of them, kept
on the CPU, and handed to the forward as `mm_encoder_outputs`, transformers' own way in for features
that were computed before. Losses and gradients are the same: nothing behind the features learns.
"""

import inspect
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPooling

from worker.ml.inputs.encode import Row, RowEncoder, Tensors, _file_mark, _size, collate, encoder_of
from worker.ml.model.contents import adapts_vision
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory
from worker.ml.same_logits import difference, is_rounding

logger = logging.getLogger(__name__)

FEATURES = "features"  # the tensors' name in a row; those of deeper layers are features.0, …
AS_LIST = "features_as_list"  # in vlm.memo: how the family hands its features on
DEEPER_AS_LIST = "deeper_features_as_list"  # and those of deeper layers


class FrozenTowerEncoder(RowEncoder):
    """Encodes rows with features in place of pixels, and keeps up to `max_bytes` of them.

    starts_anew: what to do when that is full. A training goes on with pixels: an epoch asks for all
    images in turn, so dropping some would help nobody. Sampling drops all and starts anew.
    `weights` says which tower made the features, where it is not the base model's.
    """

    def __init__(
        self, vlm: Vlm, pixels: RowEncoder, max_bytes: int, *, starts_anew: bool = False
    ) -> None:
        super().__init__(vlm, max_bytes)
        self._model = vlm
        self.weights: object = None
        self._pixels = pixels
        self._starts_anew = starts_anew
        self._features: dict[tuple[object, ...], Tensors] = {}

    def context(self, image: Path | None, context: str) -> tuple[Tensors, Tensors]:
        if image is None:
            return self._pixels.context(image, context)
        place = (self.weights, image, _file_mark(image))
        key = (*place, context)
        if (found := self._known.get(key)) is not None:
            return found
        of_text, of_image = self._pixels.context(image, context)
        if self._bytes >= self._max_bytes:
            if not self._starts_anew:
                return of_text, of_image
            self._known.clear()
            self._features.clear()
            self._bytes = 0
        # A Q-Former that reads the question (InstructBLIP) sees another picture in each.
        seen = key if any(name.startswith("qformer") for name in of_image) else place
        features = self._features.get(seen)
        if features is None:
            features = self._features[seen] = image_features(self._model, of_image)
            self._bytes += _size((features, {}))
        light = {n: tensor for n, tensor in of_image.items() if not n.startswith("pixel_values")}
        self._known[key] = (of_text, light | features)
        self._bytes += _size((of_text, light))
        return self._known[key]


def image_features(vlm: Vlm, image: Tensors) -> Tensors:
    """Returns the features of one row's image by name, on the CPU; `features` is (tokens, width)
    where the family makes a list of them, else (images, tokens, width).
    """
    with torch.no_grad():
        features = make_features(vlm, image)
    return {name: tensor.to("cpu", copy=True) for name, tensor in features.items()}


def make_features(vlm: Vlm, image: Tensors) -> Tensors:
    """Returns the same features where the model is, with gradients where these are wanted."""
    wanted = inspect.signature(vlm.model.base_model.get_image_features).parameters
    inputs = {
        name: (tensor.to(vlm.dtype) if tensor.is_floating_point() else tensor).to(vlm.device)
        for name, tensor in image.items()
        if name in wanted
    }
    was_training = vlm.model.training
    vlm.model.eval()
    try:
        made = vlm.model.base_model.get_image_features(**inputs, return_dict=True)
    finally:
        vlm.model.train(was_training)
    pooled = made.pooler_output
    vlm.memo[AS_LIST] = isinstance(pooled, list | tuple)
    features = {FEATURES: torch.cat(list(pooled), dim=0) if vlm.memo[AS_LIST] else pooled}
    for number, deeper in enumerate(getattr(made, "deepstack_features", None) or ()):
        vlm.memo[DEEPER_AS_LIST] = isinstance(deeper, list | tuple)
        features[f"{FEATURES}.{number}"] = (
            torch.cat(list(deeper), dim=0) if vlm.memo[DEEPER_AS_LIST] else deeper
        )
    return features


def with_features(vlm: Vlm, batch: Tensors) -> dict[str, Any]:
    """Returns the inputs of the model: a batch whose rows carry features hands them on as the
    family would make them; any other batch is as it was.
    """
    if FEATURES not in batch:
        return dict(batch)
    pooled = batch[FEATURES]
    made: Any = BaseModelOutputWithPooling(last_hidden_state=pooled)  # nobody reads that one
    made.pooler_output = [pooled] if vlm.memo[AS_LIST] else pooled
    deeper = sorted(name for name in batch if name.startswith(f"{FEATURES}."))
    if deeper:
        as_list = vlm.memo.get(DEEPER_AS_LIST, False)
        made.deepstack_features = [[batch[name]] if as_list else batch[name] for name in deeper]
    inputs = {name: tensor for name, tensor in batch.items() if not name.startswith(FEATURES)}
    return inputs | {"mm_encoder_outputs": {"image": made}}


def can_take_features(vlm: Vlm, rows: Sequence[Row]) -> bool:
    """Whether the model says the same of features that were computed before as of pixels.

    Tried once on `rows` (of equal signature, two different images if there are), then remembered.
    A family that has another way in keeps its pixels: slower, never different.
    """
    known: bool | None = vlm.memo.get("can_take_features")
    if known is None:
        known = vlm.memo["can_take_features"] = _try(vlm, rows)
        logger.info("Model %s takes cached vision features: %s", vlm.name, known)
    return known


def _try(vlm: Vlm, rows: Sequence[Row]) -> bool:
    if not vlm.model._supports_mm_encoder_outputs():
        return False
    plain = collate(vlm, rows, pad="right")
    light = []
    try:
        for row in rows:
            others = {n: t for n, t in row.image.items() if not n.startswith("pixel_values")}
            features = image_features(vlm, row.image)
            light.append(Row(row.text, others | features, row.continuation))
        with torch.no_grad():
            expected = vlm.model(**plain, use_cache=False).logits
            inputs = with_features(vlm, collate(vlm, light, pad="right"))
            got = vlm.model(**inputs, use_cache=False).logits
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise
        logger.info("Cached features failed with %s: %s", type(error).__name__, error)
        return False
    shown = plain["attention_mask"].bool()
    return is_rounding(difference(got[shown], expected[shown]), vlm.dtype)


SAMPLING_BYTES = 2**30


def encoder_for_sampling(vlm: Vlm, image: Path | None, context: str) -> RowEncoder:
    """Returns the encoder for prompts to sample from: with features kept from call to call, if the
    model can take them. Tried on the first prompt with an image.
    """
    pixels = encoder_of(vlm)
    if image is None:
        return pixels
    known: FrozenTowerEncoder | None = vlm.memo.get("sampling_encoder")
    if known is None:
        # A family with a `generate` of its own (BLIP-2) hands nothing on that was made before.
        is_own = type(vlm.model).generate is not GenerationMixin.generate
        if is_own or not can_take_features(vlm, [Row(*pixels.context(image, context), ())]):
            return pixels
        known = FrozenTowerEncoder(vlm, pixels, SAMPLING_BYTES, starts_anew=True)
        vlm.memo["sampling_encoder"] = known
    is_own = vlm.adapter is not None and adapts_vision(vlm.model)
    known.weights = (vlm.adapter, vlm.memo.get("adapter_mark")) if is_own else None
    return known
