"""A start for the tower: it learns to tell things apart before the language model reads it.

Each patch is one cell, so the tower can be trained by itself, like any image classifier: a patch
says what stands in its cell and which cell it is, the class token how many things of each kind
stand in the whole picture. That takes two minutes; through the language model, which at first looks
nowhere, it takes hours. The classifying heads are thrown away.

Counts are asked of the class token alone. Asked of the patches as well, they drown what is special
about a cell, and the language model does not learn to find one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations, product
from typing import Final

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from app.scenes.questions.queries import Description, find_all
from app.scenes.scene import ATTRIBUTES, N_CELLS, N_COLS, N_ROWS, Scene
from worker.demo.pixels import CellPixels
from worker.demo.rows import training_scene

# What is asked of every patch, and how many answers there are; 0 is "nothing here".
_PATCH_TARGETS: Final = {
    **{name: len(values) + 1 for name, values in ATTRIBUTES.items()},
    "row": N_ROWS,
    "col": N_COLS,
}
# Kinds of things, named by one attribute or by two.
_KINDS: Final = tuple(
    Description().saying(dict(zip(names, values, strict=True)))
    for n_names in (1, 2)
    for names in combinations(ATTRIBUTES, n_names)
    for values in product(*(ATTRIBUTES[name] for name in names))
)
_MAX_COUNT: Final = 6


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

    Cross-entropy of the patch targets plus four times that of the counts; AdamW, warm-up and linear
    decay. The share is that of the patch target, or of all counts, whichever is read worse.
    """
    tower = model.model.vision_tower
    width = int(tower.config.hidden_size)
    heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in _PATCH_TARGETS.items()})
    counter = nn.Linear(width, len(_KINDS) * (_MAX_COUNT + 1))
    parameters = [*tower.parameters(), *heads.parameters(), *counter.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01)
    rng = random.Random(f"demo-tower-{seed}")  # noqa: S311 - draws scenes, no secrets
    share = 0.0
    for step in range(n_steps):
        for group in optimizer.param_groups:
            warm, left = min(1.0, (step + 1) / 100), 1 - step / n_steps
            group["lr"] = learning_rate * warm * max(0.02, left)
        scenes = [training_scene(rng) for _ in range(batch_size)]
        hidden = tower(cells.of(scenes)).last_hidden_state
        losses, rights = [], []
        for name, wanted in _on_patches(scenes).items():
            logits = heads[name](hidden[:, 1:])
            losses.append(nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten()))
            rights.append((logits.argmax(-1) == wanted).float().mean())
        counts = _counts(scenes)
        logits = counter(hidden[:, 0]).view(len(scenes), len(_KINDS), _MAX_COUNT + 1)
        counted = nn.functional.cross_entropy(logits.flatten(0, 1), counts.flatten())
        rights.append((logits.argmax(-1) == counts).float().mean())
        loss = torch.stack(losses).sum() + 4 * counted
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        share = float(torch.stack(rights).min())
        on_step(step + 1, share)
    return share


def _on_patches(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Per target: int64 [scenes, N_CELLS]."""
    cells = torch.arange(N_CELLS).repeat(len(scenes), 1)
    wanted = {name: torch.zeros_like(cells) for name in ATTRIBUTES}
    for number, scene in enumerate(scenes):
        for obj in scene.objects:
            for name, values in ATTRIBUTES.items():
                wanted[name][number, obj.cell] = values.index(obj.value(name)) + 1
    return {**wanted, "row": cells // N_COLS, "col": cells % N_COLS}


def _counts(scenes: list[Scene]) -> torch.Tensor:
    """Returns the number of things of each kind: int64 [scenes, kinds]."""
    return torch.tensor([[len(find_all(scene, kind)) for kind in _KINDS] for scene in scenes])
