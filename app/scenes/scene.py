"""A scene: a grid of cells, each empty or holding one object. Plain values, JSON in and out."""

from __future__ import annotations

import hashlib
import random
from dataclasses import asdict, dataclass
from typing import Any, Final

N_ROWS: Final = 3
N_COLS: Final = 3
N_CELLS: Final = N_ROWS * N_COLS

SHAPES: Final = ("cube", "sphere", "cylinder", "cone")
COLORS: Final = ("red", "blue", "green", "yellow", "purple", "gray")
SIZES: Final = ("small", "large")
MATERIALS: Final = ("rubber", "metal")
ROWS: Final = ("top", "middle", "bottom")
COLS: Final = ("left", "center", "right")

# Attribute name -> its values, in the order in which people say them before a noun.
ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "size": SIZES,
    "color": COLORS,
    "material": MATERIALS,
    "shape": SHAPES,
}


@dataclass(frozen=True, slots=True)
class Obj:
    """One object and the cell it stands in."""

    shape: str
    color: str
    size: str
    material: str
    row: int
    col: int

    @property
    def cell(self) -> int:
        return self.row * N_COLS + self.col

    def value(self, attribute: str) -> str:
        return str(getattr(self, attribute))


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects in reading order; at most one per cell."""

    objects: tuple[Obj, ...]

    def __post_init__(self) -> None:
        cells = [obj.cell for obj in self.objects]
        if cells != sorted(set(cells)):
            raise ValueError("objects of a scene stand in reading order, one per cell")

    def to_dict(self) -> dict[str, Any]:
        """Returns the facts that are stored with an item."""
        return {
            "rows": N_ROWS,
            "cols": N_COLS,
            "objects": [asdict(obj) for obj in self.objects],
        }

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Scene:
        """Returns the scene behind stored facts; `ValueError` names what is wrong with them."""
        if facts.get("rows") != N_ROWS or facts.get("cols") != N_COLS:
            raise ValueError(f"facts describe no {N_ROWS} x {N_COLS} scene")
        entries = facts.get("objects")
        if not isinstance(entries, list):
            raise ValueError("facts have no list 'objects'")
        objects = tuple(sorted((_obj_from(entry) for entry in entries), key=lambda obj: obj.cell))
        return cls(objects)


def _obj_from(entry: Any) -> Obj:
    if not isinstance(entry, dict):
        raise ValueError("an object in facts is not a mapping")
    for attribute, values in ATTRIBUTES.items():
        if entry.get(attribute) not in values:
            raise ValueError(f"an object in facts has no valid {attribute}")
    row, col = entry.get("row"), entry.get("col")
    if not (isinstance(row, int) and isinstance(col, int)):
        raise ValueError("an object in facts has no row and col")
    if not (0 <= row < N_ROWS and 0 <= col < N_COLS):
        raise ValueError("an object in facts stands outside the grid")
    said = {name: str(entry[name]) for name in ATTRIBUTES}
    return Obj(said["shape"], said["color"], said["size"], said["material"], row, col)


# One scene in eight is never shown to the demo model while it is trained from scratch.
_HELD_OUT_SHARE: Final = 8


def is_held_out(scene: Scene) -> bool:
    """Whether a scene belongs to projects and evaluations rather than to the model's own recipe.

    A property of the scene itself, so that the two can never meet, whatever the seeds.
    """
    key = ";".join(
        f"{obj.cell}{obj.size}{obj.color}{obj.material}{obj.shape}" for obj in scene.objects
    )
    return hashlib.sha256(key.encode()).digest()[0] % _HELD_OUT_SHARE == 0


def random_object(rng: random.Random, cell: int) -> Obj:
    row, col = divmod(cell, N_COLS)
    return Obj(
        shape=rng.choice(SHAPES),
        color=rng.choice(COLORS),
        size=rng.choice(SIZES),
        material=rng.choice(MATERIALS),
        row=row,
        col=col,
    )


def random_scene(rng: random.Random, *, min_objects: int = 3, max_objects: int = 6) -> Scene:
    """Returns a scene with things in distinct cells, their attributes drawn alike from few colours
    and shapes.

    Few distinct values make things share attributes, so that there is something to count and
    compare.
    """
    n_objects = rng.randint(min_objects, max_objects)
    cells = sorted(rng.sample(range(N_CELLS), n_objects))
    colors = rng.sample(COLORS, rng.randint(2, 4))
    shapes = rng.sample(SHAPES, rng.randint(2, 4))
    objects = []
    for cell in cells:
        row, col = divmod(cell, N_COLS)
        objects.append(
            Obj(
                shape=rng.choice(shapes),
                color=rng.choice(colors),
                size=rng.choice(SIZES),
                material=rng.choice(MATERIALS),
                row=row,
                col=col,
            )
        )
    return Scene(tuple(objects))
