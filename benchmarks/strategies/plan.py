"""The arms of the monologue: each is trained and measured in a cell of its own.

All arms of a seed see the same questions and the same held-out ones, and go on from the same base
with LoRA of the same size.

observer   the observer after `n` observations, by kind of what is asked
single     the base itself, one look, no training
reasoner   the monologue with an observer that is never wrong: what asking can reach at most
monologue  reasoner and observer, both trained; `noise`: the share of observations that are replaced
           by another one of their kind; `shuffled`: observations of other pictures
answers    (a, b) one look, trained on answers alone, on as many items or on `times` as many
facts      (c) one look, trained to say what the looks show before the answer
caption    (d) a reader that never sees the picture, told of three things in it
blind      (f) a reader that never sees the picture and is told nothing
forced     (f) the monologue's reasoner, made to answer before its first look
hasty      the reasoner after a prior of which every third episode answers before any look;
           `needs_a_look`: whether those are left out, as the setting does (hasty.py)
speed      episodes a second, with our sampler and with `generate` (speed.py)
poor       the reasoner after a poor prior, a quarter of whose questions help; its observer, and
           that of the next two, is never wrong (second_stage.py)
more       as many more steps of that
rewarded   the second stage instead; `question_reward`: what a program's marks are worth in it
"""

from dataclasses import dataclass

from benchmarks.support.cells import Config

KINDS = (
    "attribute",
    "count",
    "existence",
    "compare counts",
    "same attribute",
    "relation",
    "neighbour",
)
"""Kinds of questions, finer than those of app/scenes/questions/queries.py."""
TWO_LOOKS = ("same attribute", "relation", "neighbour")
"""Those that the demo model cannot answer at one look."""


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured: items to train on, held-out questions of each kind of two
    looks and of each other kind, held-out looks, observations of the curve, epochs, items whose
    episodes are timed, and how many draws `generate` is given at once then; the size that suits it
    best counts."""

    n_items: int
    n_two: int
    n_one: int
    n_looks: int
    observations: tuple[int, ...]
    epochs: int
    n_speed: int
    batches: tuple[int, ...]


SCALES = {
    "full": Scale(
        4000, 600, 300, 1200, (2000, 8000, 32000), epochs=8, n_speed=60, batches=(64, 128, 256)
    ),
    "quick": Scale(1400, 40, 10, 200, (2000,), epochs=4, n_speed=10, batches=(64, 128)),
}


def plan(scale: str, seed: int) -> list[Config]:
    """Returns the cells of a seed, those that others build on first."""
    sizes = SCALES[scale]
    most = sizes.observations[-1]
    base: Config = {"scale": scale, "seed": seed}
    cells: list[Config] = [base | {"arm": "observer", "n": n} for n in sizes.observations]
    cells += [
        base | {"arm": "single"},
        base | {"arm": "monologue", "n": most},
        base | {"arm": "monologue", "n": most, "shuffled": True},
        base | {"arm": "answers", "times": 1},
        base | {"arm": "speed"},
    ]
    if scale == "quick":
        return cells
    return [
        *cells,
        base | {"arm": "reasoner"},
        base | {"arm": "answers", "times": 3},
        base | {"arm": "facts"},
        base | {"arm": "caption"},
        base | {"arm": "blind"},
        base | {"arm": "forced"},
        base | {"arm": "monologue", "n": most, "noise": 0.1},
        base | {"arm": "monologue", "n": most, "noise": 0.2},
        base | {"arm": "hasty", "needs_a_look": True},
        base | {"arm": "hasty", "needs_a_look": False},
        base | {"arm": "poor"},
        base | {"arm": "more"},
        base | {"arm": "rewarded", "question_reward": 0.0},
        base | {"arm": "rewarded", "question_reward": 0.5},
    ]
