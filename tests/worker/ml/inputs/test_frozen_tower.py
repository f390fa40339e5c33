"""Features made once in place of pixels: the same losses, less work, bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.models.examples import encode_all, plain_losses
from tests.support.models.families import write_pictures
from worker.ml.inputs.encode import RowEncoder
from worker.ml.inputs.frozen_tower import FEATURES, FrozenTowerEncoder, can_take_features
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.types import Example


@pytest.fixture
def towers_calls(llava: Vlm) -> Iterator[list[int]]:
    """How many images each call of the tower got."""
    calls: list[int] = []

    def count(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(len(args[0] if args else kwargs["pixel_values"]))

    tower = llava.model.get_encoder(modality="image")
    handle = tower.register_forward_pre_hook(count, with_kwargs=True)
    yield calls
    handle.remove()


def losses(vlm: Vlm, encoder: RowEncoder, rows: list[Example]) -> torch.Tensor:
    with torch.no_grad():
        return plain_losses(vlm, encode_all(vlm, rows, encoder)).values


def test_the_tower_sees_each_image_once(
    llava: Vlm, rows: list[Example], towers_calls: list[int]
) -> None:
    pixels = RowEncoder(llava)
    expected = losses(llava, pixels, rows)
    towers_calls.clear()
    encoder = FrozenTowerEncoder(llava, pixels, 2**20)
    for _ in range(3):
        assert torch.allclose(losses(llava, encoder, rows), expected, atol=1e-6)
    assert towers_calls == [1] * len(rows)
    assert not llava.model.training


def test_another_question_about_an_image_is_no_other_image(
    llava: Vlm, rows: list[Example], towers_calls: list[int]
) -> None:
    encoder = FrozenTowerEncoder(llava, RowEncoder(llava), 2**20)
    for context in ("<image>Q: one ? A:", "<image>Q: two ? A:"):
        encoder.context(rows[0].image, context)
    assert towers_calls == [1]


def test_a_picture_that_was_replaced_is_seen_anew(llava: Vlm, tmp_path: Path) -> None:
    one, other = write_pictures(tmp_path, 2)
    encoder = FrozenTowerEncoder(llava, RowEncoder(llava), 2**20)
    context = "<image>Q: one ? A:"
    before = encoder.context(one, context)[1][FEATURES]
    one.write_bytes(other.read_bytes() + b" ")
    assert not torch.equal(encoder.context(one, context)[1][FEATURES], before)


def test_beyond_its_memory_rows_keep_their_pixels(
    llava: Vlm, rows: list[Example], towers_calls: list[int]
) -> None:
    pixels = RowEncoder(llava)
    expected = losses(llava, pixels, rows)
    encoder = FrozenTowerEncoder(llava, pixels, 1)
    kinds = [FEATURES in made.row.image for made in encode_all(llava, rows, encoder)]
    assert kinds == [True, False, False, False]
    assert torch.allclose(losses(llava, encoder, rows), expected, atol=1e-6)


@pytest.mark.parametrize("reason", ["no way in", "other logits", "an error"])
def test_a_model_that_takes_no_features_is_found_out(
    llava_folder: Path, rows: list[Example], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="worker.ml.inputs.frozen_tower")
    vlm = load_vlm(str(llava_folder), device="cpu")
    plain = vlm.model.base_model.get_image_features
    if reason == "no way in":
        vlm.model._supports_mm_encoder_outputs = lambda: False

    def stubborn(pixel_values: torch.Tensor, **others: Any) -> Any:
        if reason == "an error":
            raise NotImplementedError("no features without a text")
        made = plain(pixel_values, **others)
        if len(pixel_values) == 1:
            made.pooler_output = [features + 1.0 for features in made.pooler_output]
        return made

    vlm.model.base_model.get_image_features = stubborn
    encoder = RowEncoder(vlm)
    made = encode_all(vlm, rows[:2], encoder)
    assert can_take_features(vlm, [sequence.row for sequence in made]) is False
    assert "takes cached vision features: False" in caplog.text
