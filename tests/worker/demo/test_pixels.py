"""Pixel tensors put together from cells equal those of the rendered pictures."""

import random

import pytest
import torch

from app.scenes.render import render_scene
from app.scenes.scene import Scene, random_scene
from worker.demo.architecture import TOWER_PX, build_processor
from worker.demo.pixels import CellPixels, process_image


@pytest.fixture(scope="module")
def cells() -> CellPixels:
    return CellPixels(build_processor())


def test_pixels_equal_those_of_the_rendered_picture(cells: CellPixels) -> None:
    processor = build_processor()
    rng = random.Random(3)
    scenes = [random_scene(rng, min_objects=1, max_objects=9) for _ in range(30)]
    drawn = torch.stack([process_image(processor, render_scene(scene)) for scene in scenes])
    together = cells.of(scenes)
    assert together.shape == (30, 3, TOWER_PX, TOWER_PX)
    assert torch.equal(together, drawn)


def test_an_empty_board_is_almost_zero(cells: CellPixels) -> None:
    assert cells.of([Scene(())]).abs().mean() < 0.05
