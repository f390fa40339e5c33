"""The training loop of the demo model: phases, blocks of batches, resumable state."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from worker.demo.batches import Batch, make_batch
from worker.demo.pixels import CellPixels
from worker.demo.rows import (
    Row,
    answer_row,
    caption_row,
    careful_row,
    explanation_row,
    look_row,
    pair_row,
    study_row,
)

BLOCK: Final = 8
_DRAW: Final[tuple[Callable[[random.Random], Row], ...]] = (
    look_row,
    caption_row,
    answer_row,
    explanation_row,
    study_row,
    careful_row,
    pair_row,
)


@dataclass(frozen=True, slots=True)
class Phase:
    """`mix`: of BLOCK batches, how many are of each kind of row, in the order of _DRAW: looks,
    captions, answers, explanations as found, studies, careful explanations, pairs.
    """

    name: str
    until: int
    mix: tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights besides the versions of the libraries."""

    seed: int = 0
    tower_steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 200
    decay_steps: int = 1800
    phases: tuple[Phase, ...] = field(
        default=(
            # Without a start on places alone the model is slow to look at the picture.
            Phase("look", 800, (8, 0, 0, 0, 0, 0, 0)),
            # One word of an answer teaches little; what leads to it, spelled out, teaches much.
            Phase("study", 2700, (0, 2, 2, 0, 2, 2, 0)),
            Phase("ask", 4400, (0, 1, 4, 0, 1, 2, 0)),
            Phase("pair", 5900, (0, 0, 4, 0, 0, 1, 3)),
            # The habits of explaining come last: they are quickly learned, and noisy by design.
            Phase("talk", 6900, (0, 0, 3, 4, 0, 0, 1)),
        )
    )

    @property
    def n_steps(self) -> int:
        return self.phases[-1].until

    def phase_at(self, step: int) -> Phase:
        return next(phase for phase in self.phases if step < phase.until)

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step: a warm-up, then constant, then a half cosine down to
        a twentieth.
        """
        warm = min(1.0, (step + 1) / self.warmup_steps)
        left = min(1.0, max(0, self.n_steps - step) / self.decay_steps)
        return self.learning_rate * warm * (0.05 + 0.95 * (1 - math.cos(math.pi * left)) / 2)


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    n_steps: int
    phase: str
    loss: float
    seconds_per_step: float


def rows_from(recipe: Recipe, step: int) -> Iterator[list[Row]]:
    """The rows of every step from `step` on.

    Drawn by blocks of BLOCK steps and sorted by length inside a block, which saves a quarter of
    the padding.
    """
    while step < recipe.n_steps:
        first = step - step % BLOCK
        rng = random.Random(f"demo-rows-{recipe.seed}-{first}")  # noqa: S311 - no secrets
        batches: list[list[Row]] = []
        for draw, n_batches in zip(_DRAW, recipe.phase_at(first).mix, strict=True):
            rows = [draw(rng) for _ in range(n_batches * recipe.batch_size)]
            rows.sort(key=lambda row: len(row.text))
            size = recipe.batch_size
            batches += [rows[n * size : (n + 1) * size] for n in range(n_batches)]
        rng.shuffle(batches)
        yield from batches[step - first : recipe.n_steps - first]
        step = first + BLOCK


def train(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    cells: CellPixels,
    recipe: Recipe,
    *,
    state_file: Path,
    deadline: float = math.inf,
    on_step: Callable[[Progress], None],
    save_every: int = 100,
) -> int:
    """Train in place, going on from `state_file` if it is there; returns the steps done.

    Stops early when `time.monotonic()` passes `deadline`; the state is saved then as well.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay,
        betas=(0.9, 0.98),
    )  # fmt: skip
    step = _load_state(state_file, model, optimizer, recipe)
    model.train()
    began, first = time.monotonic(), step
    for rows in rows_from(recipe, step):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step)
        loss = _one_step(model, optimizer, make_batch(rows, tokenizer, cells))
        step += 1
        now = time.monotonic()
        phase = recipe.phase_at(step - 1).name
        on_step(Progress(step, recipe.n_steps, phase, loss, (now - began) / (step - first)))
        if step % save_every == 0 or now > deadline:
            _save_state(state_file, model, optimizer, recipe, step)
        if now > deadline:
            break
    _save_state(state_file, model, optimizer, recipe, step)
    return step


def _one_step(
    model: LlavaForConditionalGeneration, optimizer: torch.optim.Optimizer, batch: Batch
) -> float:
    # bfloat16 products are nearly twice as fast on current CPUs; weights and sums stay float32.
    with torch.autocast(model.device.type, torch.bfloat16):
        loss = model(
            input_ids=batch.input_ids.to(model.device),
            attention_mask=batch.attention_mask.to(model.device),
            labels=batch.labels.to(model.device),
            pixel_values=batch.pixel_values.to(model.device),
        ).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _save_state(
    path: Path,
    model: LlavaForConditionalGeneration,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    step: int,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "seed": recipe.seed,
        "step": step,
    }
    torch.save(state, partial)
    partial.replace(path)


def _load_state(
    path: Path,
    model: LlavaForConditionalGeneration,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["seed"] != recipe.seed:
        raise ValueError(f"{path} was trained with seed {state['seed']}, not {recipe.seed}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
