"""Pixel tensors of scenes without drawing them: cells are processed once and put together.

Exact, because objects keep a margin inside their cell that is wider than the resize filter reaches.
"""

from __future__ import annotations

from itertools import product

import torch
from PIL import Image
from transformers import LlavaProcessor

from app.scenes.render import render_scene
from app.scenes.scene import COLORS, MATERIALS, N_CELLS, N_COLS, SHAPES, SIZES, Obj, Scene
from worker.demo.architecture import PATCH_PX, TOWER_PX

_LOOKS = tuple(product(SHAPES, COLORS, SIZES, MATERIALS))
_NUMBER = {look: number + 1 for number, look in enumerate(_LOOKS)}


class CellPixels:
    """Every look in every cell, as the processor gives it.

    `table`: float32 [N looks + 1, N_CELLS, 3, PATCH_PX, PATCH_PX]; row 0 is the empty cell.
    """

    def __init__(self, processor: LlavaProcessor) -> None:
        pictures = [Scene(()), *(_filled_with(look) for look in _LOOKS)]
        self.table = torch.stack(
            [_split(process_image(processor, render_scene(scene))) for scene in pictures]
        )

    def of(self, scenes: list[Scene]) -> torch.Tensor:
        """Returns float32 [scenes, 3, TOWER_PX, TOWER_PX], equal to processing the rendered
        pictures.
        """
        looks = torch.zeros(len(scenes), N_CELLS, dtype=torch.long)
        for number, scene in enumerate(scenes):
            for obj in scene.objects:
                look = (obj.shape, obj.color, obj.size, obj.material)
                looks[number, obj.cell] = _NUMBER[look]
        cells = self.table[looks, torch.arange(N_CELLS)]
        grid = cells.view(len(scenes), N_COLS, N_COLS, 3, PATCH_PX, PATCH_PX)
        return grid.permute(0, 3, 1, 4, 2, 5).reshape(len(scenes), 3, TOWER_PX, TOWER_PX)


def process_image(processor: LlavaProcessor, picture: Image.Image) -> torch.Tensor:
    """Returns a picture as the tower takes it: float32 [3, TOWER_PX, TOWER_PX]."""
    pixels: torch.Tensor = processor.image_processor(picture, return_tensors="pt").pixel_values[0]
    return pixels


def _filled_with(look: tuple[str, str, str, str]) -> Scene:
    return Scene(tuple(Obj(*look, *divmod(cell, N_COLS)) for cell in range(N_CELLS)))


def _split(pixels: torch.Tensor) -> torch.Tensor:
    cells = pixels.view(3, N_COLS, PATCH_PX, N_COLS, PATCH_PX).permute(1, 3, 0, 2, 4)
    return cells.reshape(N_CELLS, 3, PATCH_PX, PATCH_PX)
