"""The fast ways of training on a tiny random model of every family: taken where they give what
the plain way gives, and left where they do not."""

from pathlib import Path

import pytest
import torch

from tests.support.models.examples import NAMES, encode_all, plain_losses
from tests.support.models.families import FAMILIES, MORE_FAMILIES, write_pictures
from tests.support.models.more_families import FURTHER_FAMILIES
from tests.worker.ml.conftest import OPENER
from worker.ml.inputs.encode import RowEncoder
from worker.ml.inputs.frozen_tower import FrozenTowerEncoder, can_take_features
from worker.ml.inputs.prompts import explained
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.branches import RULE, Tree, can_branch, join, tree_losses
from worker.ml.training.losses import Encoded
from worker.ml.types import Example

pytestmark = pytest.mark.slow

EVERY = FAMILIES | MORE_FAMILIES | FURTHER_FAMILIES
RULES = {
    "paligemma": "two-sided prompt",
    "gemma3": "two-sided images",
    "qwen3_5": None,  # a recurrent state sees every rationale before it
}
PIXELS_ONLY = {"blip2", "instructblip", "mllama"}


@pytest.mark.parametrize("name", EVERY)
def test_the_fast_ways_give_the_losses_of_the_plain_way(name: str, tmp_path: Path) -> None:
    EVERY[name](tmp_path / name)
    vlm = load_vlm(str(tmp_path / name), device="cpu")
    pictures = write_pictures(tmp_path / "a", 2) + write_pictures(tmp_path / "b", 2, (110, 50))
    rows = _rows(pictures)
    pixels = RowEncoder(vlm)
    examples = encode_all(vlm, rows, pixels)
    assert len(examples) == len(rows)
    with torch.no_grad():
        expected = plain_losses(vlm, examples)
    first, other = examples[0].row, examples[3].row
    tried = [first, other] if first.signature == other.signature else [first]
    takes_features = can_take_features(vlm, tried)
    assert takes_features == (name not in PIXELS_ONLY)
    assert can_branch(vlm, examples[:2]) == (RULES.get(name, "causal") is not None)
    assert vlm.memo[RULE] == RULES.get(name, "causal")
    cached = FrozenTowerEncoder(vlm, pixels, 2**24)
    for encoder in (pixels, cached) if takes_features else (pixels,):
        light = encode_all(vlm, rows, encoder)
        groups = [light[:3], light[3:4], light[4:6], light[6:]]
        if vlm.memo[RULE] is None:
            groups = [[example] for example in light]
        _compare(vlm, groups, expected.values)


def _rows(pictures: list[Path]) -> list[Example]:
    given = [
        (0, "what is it ?", "yes", "the cube is red"),
        (0, "what is it ?", "yes", "there are two balls and a large cone"),
        (0, "what is it ?", "yes", "no"),
        (1, "how many cubes are there ?", "two", "the cube is red"),
        (2, "how many ?", "two", "the cube is red"),
        (2, "how many ?", "two", "yes"),
        (3, "how many ?", "no", None),
    ]
    return [explained(pictures[n], asked, said, why, OPENER) for n, asked, said, why in given]


def _compare(vlm: Vlm, groups: list[list[Encoded]], expected: torch.Tensor) -> None:
    by_signature: dict[object, list[Tree]] = {}
    for group in groups:
        tree = join(group)
        by_signature.setdefault(tree.row.signature, []).append(tree)
    for alike in by_signature.values():
        with torch.no_grad():
            losses, indices = tree_losses(vlm, vlm.model, alike, NAMES)
        assert torch.allclose(losses.values, expected[:, indices], atol=1e-4)
