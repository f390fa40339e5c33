"""The arms of interactive perception: each is trained and measured in a cell of its own.

All arms of a seed see the same questions, which ask for an attribute of the thing in a place, and
the same held-out ones; the base is the demo model, frozen unless an arm says else.

base        the base as it is: with the whole picture, with another picture, with its mean alone
perception  `alignment`: what the first 40 % of the steps learn: none (answers alone), captions that
            name places, or pointing (ours); `k`: distinct vectors that the language model gets of a
            picture, the basic one included; `path`: pooled is that of the released code; `lora`:
            the base learns, too
static      a resampler of as many parameters that does not know the question and fills the same
            places with `k` vectors; `times` as many steps
"""

from dataclasses import dataclass

from benchmarks.support.cells import Config

BY_PLACE = "attribute by place"


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured: questions to train on, epochs of the first stage and of the
    second, held-out questions by place, of each other kind, and those of which maps are made."""

    n_train: int
    first_epochs: int
    epochs: int
    n_test: int
    n_other: int
    n_maps: int


SCALES = {
    "full": Scale(4000, first_epochs=4, epochs=6, n_test=800, n_other=200, n_maps=200),
    "quick": Scale(1280, first_epochs=3, epochs=2, n_test=200, n_other=20, n_maps=40),
}
BATCH = 32


def plan(scale: str, seed: int) -> list[Config]:
    """Returns the cells of a seed, those that matter most first."""
    base: Config = {"scale": scale, "seed": seed, "strategy": "perception"}
    own = base | {"arm": "perception", "k": 2}
    cells: list[Config] = [
        base | {"arm": "base"},
        own | {"alignment": "pointing"},
        own | {"alignment": "none"},
    ]
    if scale == "quick":
        return cells
    static = base | {"arm": "static"}
    return [
        *cells,
        own | {"alignment": "captions"},
        static | {"k": 4, "times": 1},
        own | {"alignment": "none", "lora": True},
        own | {"alignment": "pointing", "k": 3},
        own | {"alignment": "pointing", "k": 4},
        own | {"alignment": "none", "path": "pooled"},
        static | {"k": 2, "times": 1},
        static | {"k": 4, "times": 3},
    ]
