"""The arms of the comparison: one strategy each, and the base without any training.

All arms of a seed are taught the same lessons: a question of each of seven kinds with its answer, a
rationale that fits, what is to be seen first and a true caption of the picture. A strategy leaves
out what it does not know. Each is set up as the demo sets it up. The roles of a strategy together
train as many parameters as `direct` does, or a little fewer: the rank of their LoRA is chosen so.
Each role goes through its own examples equally often.
"""

from dataclasses import dataclass

from app.strategies import STRATEGIES
from benchmarks.support.cells import Config

NAME = "side_by_side"
BASE = "base"


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured: questions of each kind to learn, to answer and to draw
    rationales for, the rank of `direct`, epochs, and draws at each of two temperatures."""

    n_lessons: int
    n_answered: int
    n_drawn: int
    rank: int
    epochs: int
    n_samples: int


SCALES = {
    "full": Scale(300, 100, 20, rank=32, epochs=8, n_samples=8),
    "quick": Scale(20, 5, 2, rank=16, epochs=2, n_samples=2),
}


def plan(scale: str, seed: int) -> list[Config]:
    """Returns the cells of a seed."""
    base: Config = {"scale": scale, "seed": seed, "strategy": NAME}
    return [base | {"arm": arm} for arm in (BASE, *STRATEGIES)]
