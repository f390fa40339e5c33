"""The arms of self-questioning: each is trained and measured in a cell of its own.

All arms of a seed learn from the same scenes and are asked about the same held-out ones; they go on
from the same base with LoRA of the same size in the language model and an output layer that is
tuned whole. The tower rests: the demo model sees and describes already what it is to ask about, and
its features are then computed once.

dialogues  learned with `delta`, the share of later questions that the model asks itself (0: the
           control without the loss of questions); `in_front`: what stands in front of the
           projector, prototypes, or a residual module of as many parameters
more       learned with as many questions again: those that the model of `dialogues` asked itself
           about further scenes and the critic kept (`source` self), or as many of the data's own
           about other scenes (`source` data), each without rationale and description; in about as
           many steps as `dialogues`
probe      what the model asks about its own rationales, of `dialogues` with delta 0.5
"""

from dataclasses import dataclass

from benchmarks.support.cells import Config

DELTA = 0.5


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured: scenes to train on with three questions each, epochs,
    examples per step, learning rate, held-out scenes to ask about, questions drawn for each, and
    held-out questions of each kind."""

    n_scenes: int
    epochs: int
    batch_size: int
    learning_rate: float
    n_asked: int
    n_draws: int
    n_items: int


SCALES = {
    "full": Scale(800, 8, 32, 2e-3, n_asked=100, n_draws=8, n_items=60),
    "quick": Scale(250, 8, 16, 2e-3, n_asked=40, n_draws=4, n_items=10),
}


def plan(scale: str, seed: int) -> list[Config]:
    """Returns the cells of a seed, those that others build on first."""
    base: Config = {"scale": scale, "seed": seed, "strategy": "self_questioning"}
    cells: list[Config] = [
        base | {"arm": "dialogues", "delta": DELTA},
        base | {"arm": "dialogues", "delta": 0.0},
        base | {"arm": "probe"},
    ]
    if scale == "quick":
        return cells
    return [
        *cells,
        base | {"arm": "dialogues", "delta": DELTA, "in_front": "prototypes"},
        base | {"arm": "dialogues", "delta": DELTA, "in_front": "residual"},
        base | {"arm": "more", "source": "self"},
        base | {"arm": "more", "source": "data"},
    ]
