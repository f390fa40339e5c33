"""Pictures: the same bytes for the same scene, and every attribute visible."""

import io
import random
from itertools import product

import numpy as np
from PIL import Image

from app.scenes.render import (
    CELL_PX,
    HEIGHT_PX,
    MARGIN_PX,
    WIDTH_PX,
    object_sprite,
    render_png,
    render_scene,
)
from app.scenes.scene import COLORS, MATERIALS, SHAPES, SIZES, Scene, random_scene


def test_a_scene_gives_the_same_bytes_every_time() -> None:
    scene = random_scene(random.Random(1))
    first = render_png(scene)
    object_sprite.cache_clear()
    assert render_png(scene) == first


def test_the_picture_is_large_enough_for_people_and_reads_back() -> None:
    picture = Image.open(io.BytesIO(render_png(random_scene(random.Random(2)))))
    assert picture.size == (WIDTH_PX, HEIGHT_PX)
    assert min(picture.size) >= 320


def test_things_keep_away_from_the_edges_of_their_cells() -> None:
    for look in product(SHAPES, COLORS[:1], SIZES, MATERIALS):
        alpha = np.asarray(object_sprite(*look))[..., 3]
        inner = np.zeros_like(alpha, dtype=bool)
        inner[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = True
        assert not alpha[~inner].any()
        assert alpha[inner].max() == 255


def test_no_two_looks_are_alike_even_when_small() -> None:
    looks = list(product(SHAPES, COLORS, SIZES, MATERIALS))
    small = []
    for look in looks:
        cell = Image.new("RGB", (CELL_PX, CELL_PX), "white")
        sprite = object_sprite(*look)
        cell.paste(sprite, (0, 0), sprite)
        small.append(np.asarray(cell.resize((20, 20)), dtype=float).ravel())
    pixels = np.array(small)
    distances = np.abs(pixels[:, None] - pixels[None]).max(axis=-1)
    np.fill_diagonal(distances, 255)
    assert distances.min() > 20


def test_an_empty_scene_is_an_empty_board() -> None:
    assert len(set(render_scene(Scene(())).get_flattened_data())) < 60
