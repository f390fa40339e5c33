"""Scenes as pictures for people: shaded objects with soft shadows on a quiet board.

Every object keeps a margin inside its cell, so that cells can be resized one by one and give the
same pixels as resizing the whole picture (the recipe of the demo model relies on it).
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from app.scenes.scene import N_COLS, N_ROWS, Scene

CELL_PX: Final = 112
WIDTH_PX: Final = CELL_PX * N_COLS
HEIGHT_PX: Final = CELL_PX * N_ROWS
MARGIN_PX: Final = 12
_FADE_PX: Final = 12
_SUPERSAMPLE: Final = 3
_LIGHT: Final = np.array([-0.45, -0.62, 0.64])
_BOARD: Final = (226, 229, 234)
TILE_RGB: Final = (239, 241, 244)

_RGB: Final[dict[str, tuple[int, int, int]]] = {
    "red": (208, 48, 50),
    "blue": (44, 98, 212),
    "green": (40, 152, 78),
    "yellow": (244, 198, 36),
    "purple": (138, 66, 186),
    "gray": (128, 132, 138),
}
_RADIUS: Final[dict[str, float]] = {"small": 0.21, "large": 0.345}  # of the cell

Floats = npt.NDArray[np.float64]


def render_scene(scene: Scene) -> Image.Image:
    """Returns the picture of a scene, RGB, WIDTH_PX x HEIGHT_PX."""
    picture = _board().copy()
    for obj in scene.objects:
        sprite = object_sprite(obj.shape, obj.color, obj.size, obj.material)
        picture.paste(sprite, (obj.col * CELL_PX, obj.row * CELL_PX), sprite)
    return picture


def render_png(scene: Scene) -> bytes:
    """Returns a PNG of the scene; equal scenes give equal bytes (no time, fixed compression)."""
    buffer = io.BytesIO()
    render_scene(scene).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def _board() -> Image.Image:
    scale = _SUPERSAMPLE
    board = Image.new("RGB", (WIDTH_PX * scale, HEIGHT_PX * scale), _BOARD)
    draw = ImageDraw.Draw(board)
    for row in range(N_ROWS):
        for col in range(N_COLS):
            left, top = (col * CELL_PX + 3) * scale, (row * CELL_PX + 3) * scale
            side = (CELL_PX - 6) * scale - 1
            box = (left, top, left + side, top + side)
            draw.rounded_rectangle(box, radius=9 * scale, fill=TILE_RGB)
    return board.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BOX)


@lru_cache(maxsize=128)
def object_sprite(shape: str, color: str, size: str, material: str) -> Image.Image:
    """Returns one object with its shadow on a transparent cell; RGBA, CELL_PX square."""
    side = CELL_PX * _SUPERSAMPLE
    x, y = _grid(side)
    radius = _RADIUS[size]
    shade, mask = _SHADERS[shape](x, y - 0.02, radius, material == "metal")
    base = np.array(_RGB[color], dtype=np.float64) / 255
    rgb = np.clip(base * shade[..., :1] + shade[..., 1:], 0, 1)
    body = np.dstack([rgb, mask.astype(np.float64)])
    layer = Image.fromarray((body * 255).round().astype(np.uint8), "RGBA")
    small = _premultiplied_resize(layer)
    sprite = Image.alpha_composite(_shadow(radius), small)
    return _clip_to_margin(sprite)


def _grid(side: int) -> tuple[Floats, Floats]:
    axis = (np.arange(side) + 0.5) / side - 0.5
    x, y = np.meshgrid(axis, axis)
    return x, y


def _premultiplied_resize(layer: Image.Image) -> Image.Image:
    # Averaging colours of transparent pixels would give objects a dark rim.
    pixels = np.asarray(layer, dtype=np.float64) / 255
    alpha = pixels[..., 3:]
    folded = np.dstack([pixels[..., :3] * alpha, alpha])
    n = _SUPERSAMPLE
    boxes = folded.reshape(CELL_PX, n, CELL_PX, n, 4).mean(axis=(1, 3))
    rgb = boxes[..., :3] / np.maximum(boxes[..., 3:], 1e-6)
    out = np.dstack([rgb, boxes[..., 3:]])
    return Image.fromarray((out * 255).round().astype(np.uint8), "RGBA")


def _shadow(radius: float) -> Image.Image:
    layer = Image.new("L", (CELL_PX, CELL_PX), 0)
    center_x, center_y = 0.5 + 0.06, 0.5 + radius * 0.78
    box = (
        (center_x - radius) * CELL_PX,
        (center_y - radius * 0.36) * CELL_PX,
        (center_x + radius) * CELL_PX,
        (center_y + radius * 0.36) * CELL_PX,
    )
    ImageDraw.Draw(layer).ellipse(box, fill=95)
    soft = layer.filter(ImageFilter.GaussianBlur(CELL_PX * 0.032))
    shadow = Image.new("RGBA", (CELL_PX, CELL_PX), (36, 40, 56, 0))
    shadow.putalpha(soft)
    return shadow


def _clip_to_margin(sprite: Image.Image) -> Image.Image:
    """Nothing stays within MARGIN_PX of the cell's edge; shadows fade out before it."""
    pixels = np.array(sprite)
    distance = np.minimum(np.arange(CELL_PX), np.arange(CELL_PX)[::-1]) - MARGIN_PX + 1
    ramp = np.clip(distance / _FADE_PX, 0, 1)
    fade = np.minimum.outer(ramp, ramp)
    alpha = pixels[..., 3]
    is_solid = (alpha > 200) & (fade > 0)
    pixels[..., 3] = np.where(is_solid, alpha, (alpha * fade).round()).astype(np.uint8)
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels, "RGBA")


def _lit(normal: Floats, is_metal: bool) -> Floats:
    """Per pixel: factor on the colour, then light added on top (three equal channels)."""
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    unit = normal / np.maximum(length, 1e-6)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    diffuse = np.clip(unit @ light, 0, 1)
    if not is_metal:
        factor = 0.62 + 0.42 * diffuse
        return np.stack([factor, *([np.zeros_like(factor)] * 3)], axis=-1)
    # Metal: a bright sky above, a dark horizon and a glint where the light is mirrored.
    horizon = np.exp(-(((unit[..., 1] - 0.16) / 0.2) ** 2))
    mirrored = 2 * diffuse * unit[..., 2] - light[2]
    glint = np.clip(mirrored, 0, 1) ** 22
    factor = 0.5 + 0.5 * diffuse - 0.36 * horizon
    added = 0.85 * glint + 0.16 * np.clip(-unit[..., 1], 0, 1)
    return np.stack([factor, added, added, added], axis=-1)


def _sphere(x: Floats, y: Floats, r: float, is_metal: bool) -> tuple[Floats, npt.NDArray[np.bool_]]:
    u, v = x / r, y / r
    mask = u**2 + v**2 <= 1
    normal = np.stack([u, v, np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))], axis=-1)
    return _lit(normal, is_metal), mask


def _cylinder(
    x: Floats, y: Floats, r: float, is_metal: bool
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    width, half, tilt = r * 0.74, r * 0.72, r * 0.26
    u = np.clip(x / width, -1, 1)
    bulge = tilt * np.sqrt(1 - u**2)
    mask = (np.abs(x) <= width) & (y >= -half - bulge) & (y <= half + bulge)
    is_lid = (np.abs(x) <= width) & (np.abs(y + half) <= bulge)
    side = np.stack([u, np.full_like(u, -0.38), np.sqrt(1 - u**2)], axis=-1)
    lid = np.stack([0.25 * u, np.full_like(u, -0.9), np.full_like(u, 0.45)], axis=-1)
    shade = _lit(np.where(is_lid[..., None], lid, side), is_metal)
    shade[is_lid, 1:] += 0.07
    return shade, mask


def _cone(x: Floats, y: Floats, r: float, is_metal: bool) -> tuple[Floats, npt.NDArray[np.bool_]]:
    apex, foot, tilt = -r * 1.02, r * 0.66, r * 0.26
    width = np.clip((y - apex) / (foot - apex), 0, 1) * r * 0.92
    u = np.clip(x / np.maximum(width, 1e-6), -1, 1)
    rim = tilt * np.sqrt(np.clip(1 - (x / (r * 0.92)) ** 2, 0, 1))
    on_side = (y >= apex) & (y <= foot) & (np.abs(x) <= width)
    on_foot = (y > foot) & (y <= foot + rim) & (np.abs(x) <= r * 0.92)
    normal = np.stack([u * 0.9, np.full_like(u, -0.3), np.sqrt(1 - (u * 0.9) ** 2)], axis=-1)
    return _lit(normal, is_metal), on_side | on_foot


def _cube(x: Floats, y: Floats, r: float, is_metal: bool) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Seen from above with one edge towards us: a lid and two sides."""
    w, lid, drop = r * 0.98, r * 0.46, r * 0.98
    top = -r * 0.5
    u = x / w
    is_lid = np.abs(u) + np.abs(y - top) / lid <= 1
    edge = top + lid * (1 - np.abs(u))
    is_side = (np.abs(u) <= 1) & (y > edge) & (y <= edge + drop)
    left = np.array([-0.62, 0.0, 0.6])
    right = np.array([0.75, 0.05, 0.42])
    up = np.array([0.0, -0.85, 0.5])
    normal = np.where((x < 0)[..., None], left, right)
    normal = np.where(is_lid[..., None], up, normal)
    if is_metal:
        # A slow turn of the normal over each face gives the sheen of polished metal.
        turn = np.where(is_lid, 0.0, 0.55 * (y - r * 0.75) / r)
        normal = normal + np.stack([0.3 * u, turn, 0 * u], axis=-1)
    shade = _lit(normal, is_metal)
    if is_metal:
        streak = (x + 0.55 * y) / r
        gleam = np.exp(-(((streak + 0.22) / 0.1) ** 2)) + np.exp(-(((streak - 0.62) / 0.13) ** 2))
        shade[..., 1:] += 0.55 * (gleam * ~is_lid)[..., None]
    shade[is_lid, 1:] += 0.08
    ridge = (np.abs(x) < 0.006) & is_side
    shade[ridge, 1:] += 0.08
    return shade, is_lid | is_side


_SHADERS: Final = {"sphere": _sphere, "cylinder": _cylinder, "cone": _cone, "cube": _cube}
