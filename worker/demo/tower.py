"""A start for the tower: it learns to tell things apart before the language model reads it.

Each patch is one cell, so the tower can be trained by itself, like any image classifier: what
stands in the cell, which cell it is, and how many things of each kind stand in the whole picture.
That takes two minutes; through the language model, which at first looks nowhere, it takes hours.
The classifying heads are thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from app.scenes.scene import ATTRIBUTES, N_CELLS, N_COLS, N_ROWS, Scene
from worker.demo.pixels import CellPixels
from worker.demo.rows import training_scene

_VALUES: Final = tuple((name, value) for name, values in ATTRIBUTES.items() for value in values)
# What is asked of every patch, and how many answers there are; 0 is "nothing here".
_TARGETS: Final = {
    **{name: len(values) + 1 for name, values in ATTRIBUTES.items()},
    "row": N_ROWS,
    "col": N_COLS,
    **{f"number of {value}": N_CELLS + 1 for _, value in _VALUES},
}


def train_tower(
    model: LlavaForConditionalGeneration,
    cells: CellPixels,
    *,
    seed: int,
    n_steps: int,
    on_step: Callable[[int, float], None],
    batch_size: int = 64,
    learning_rate: float = 1e-3,
) -> float:
    """Train `model`'s vision tower in place; returns the share of right answers at the end.

    Cross-entropy per patch, summed over the targets, AdamW with warm-up and linear decay. The share
    is that of the target which is worst read.
    """
    tower = model.model.vision_tower
    width = int(tower.config.hidden_size)
    heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in _TARGETS.items()})
    parameters = [*tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01)
    rng = random.Random(f"demo-tower-{seed}")  # noqa: S311 - draws scenes, no secrets
    share = 0.0
    for step in range(n_steps):
        for group in optimizer.param_groups:
            warm, left = min(1.0, (step + 1) / 100), 1 - step / n_steps
            group["lr"] = learning_rate * warm * max(0.05, left)
        scenes = [training_scene(rng) for _ in range(batch_size)]
        patches = tower(cells.of(scenes)).last_hidden_state[:, 1:]
        losses, rights = [], []
        for name, wanted in _wanted(scenes).items():
            logits = heads[name](patches)
            losses.append(nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten()))
            rights.append((logits.argmax(-1) == wanted).float().mean())
        loss = torch.stack(losses).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        share = float(torch.stack(rights).min())
        on_step(step + 1, share)
    return share


def _wanted(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Per target: int64 [scenes, N_CELLS]."""
    cells = torch.arange(N_CELLS).repeat(len(scenes), 1)
    wanted = {name: torch.zeros_like(cells) for name in ATTRIBUTES}
    for number, scene in enumerate(scenes):
        for obj in scene.objects:
            for name, values in ATTRIBUTES.items():
                wanted[name][number, obj.cell] = values.index(obj.value(name)) + 1
    numbers = {
        f"number of {value}": torch.tensor(
            [sum(obj.value(name) == value for obj in scene.objects) for scene in scenes]
        )[:, None].expand_as(cells)
        for name, value in _VALUES
    }
    return {**wanted, "row": cells // N_COLS, "col": cells % N_COLS, **numbers}
