"""What a perception mixes of the features of a picture: the stated formulas, at every size."""

import math

import pytest
import torch

from worker.ml.inputs.perceiving import Looked
from worker.ml.inputs.places import attention_of, blocks, coarse
from worker.ml.model.modules.perception import Grid, Perception, build_perception
from worker.ml.training.pointing import places_in, point_losses

GRID = Grid(1, 2, 2)
SIZES = {"width": 3, "layer": 1, "requests": 2, "evidence": 1, "basic": 1, "path": "patches"}


def made(**other: object) -> Perception:
    torch.manual_seed(0)
    return build_perception(None, "", SIZES | other)


@torch.no_grad()
def test_evidence_stands_where_it_was_found_and_the_mean_elsewhere() -> None:
    perception, features, request = made(), torch.randn(2, 5, 3), torch.randn(2, 2, 3)
    shown = perception.show(features, request, GRID)
    assert shown.attention is not None
    for picture, got, (shares,) in zip(features, shown.of(features), shown.attention, strict=True):
        basic = picture.mean(0)
        evidence = sum((a * f for a, f in zip(shares, picture[1:], strict=True)), torch.zeros(3))
        assert torch.allclose(got[0], basic, atol=1e-6)
        for place, share in enumerate(shares):
            expected = (1 - share) * basic + share * evidence
            assert torch.allclose(got[1 + place], expected, atol=1e-5)


@torch.no_grad()
def test_without_a_request_the_basic_perception_is_left() -> None:
    features = torch.randn(1, 5, 3)
    [got] = made().show(features, None, GRID).of(features)
    assert torch.allclose(got, features[0].mean(0).expand(5, -1), atol=1e-6)
    [halves] = made(basic=2).show(features, None, GRID).of(features)
    assert torch.allclose(halves[1], features[0, 1:3].mean(0), atol=1e-6)
    assert torch.allclose(halves[4], features[0, 3:5].mean(0), atol=1e-6)


@torch.no_grad()
def test_several_vectors_share_a_place_where_all_look() -> None:
    features, request = torch.randn(1, 5, 3), torch.randn(1, 2, 3)
    perception = made(evidence=3)
    torch.nn.init.zeros_(perception.q.weight)
    shown = perception.show(features, request, GRID)
    assert torch.allclose(shown.mixture.sum(-1), torch.ones(1, 5), atol=1e-5)
    assert shown.mixture.min() >= 0


@torch.no_grad()
def test_the_pooled_path_begins_as_the_basic_perception_and_adds_one_vector() -> None:
    features, request = torch.randn(2, 5, 3), torch.randn(2, 2, 3)
    perception = made(path="pooled")
    basic = perception.show(features, None, GRID).of(features)
    assert torch.equal(perception.show(features, request, GRID).of(features), basic)
    torch.nn.init.normal_(perception.back.weight)
    added = perception.show(features, request, GRID).of(features) - basic
    assert torch.allclose(added, added[:, :1].expand(-1, 5, -1), atol=1e-5)
    assert added.any()


def test_what_it_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="each a whole number from 1 on"):
        made(evidence=0)
    with pytest.raises(ValueError, match="the path patches or pooled, and not moon"):
        made(path="moon")


def test_a_fine_grid_becomes_a_map_of_at_most_nine_by_nine() -> None:
    grid = Grid(0, 24, 5)
    assert coarse(grid) == (9, 5)
    assert blocks(grid).bincount().min() >= 2
    shares = torch.zeros(2, 120)
    shares[0, 0] = shares[1, 119] = 1.0
    found = attention_of(Looked(grid, shares))
    assert (found[0], found[-1], sum(found)) == (0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0.0, 0.0, 0.5, 1.0), [0, 2]),
        ((0.0, 0.0, 1.0, 1.0), [0, 1, 2, 3]),
        ((0.6, 0.6, 0.7, 0.7), [3]),
        ((1.0, 1.0, 1.0, 1.0), [3]),
    ],
)
def test_a_box_covers_places_or_has_its_middle_in_one(
    box: tuple[float, float, float, float], inside: list[int]
) -> None:
    assert places_in(GRID, [box]).nonzero().flatten().tolist() == inside


def test_pointing_costs_what_no_vector_of_evidence_looks_at() -> None:
    one = Looked(GRID, torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.2, 0.0, 0.8, 0.0]]))
    left = ((0.0, 0.0, 0.5, 0.5),)
    losses = point_losses([one, None, one], [[(), left], [left], [left]])
    assert set(losses) == {1, 3}
    assert float(losses[1]) == pytest.approx(-math.log(1 - 0.5 * 0.8))
