"""One cell of benchmarks/training.py, measured in a process of its own: model, data, one trainer.

Every method sees the same rows in the same order, in steps of the same rows,
with the same learning rates and the same LoRA weights at the start (float32, no dropout), and
descends the same loss: ILLUME's, answer and rationale, each a mean over the tokens of a row.
"""

import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.support.hardware import decoder_parameters, peak_mb, resident_mb, wait_for
from benchmarks.support.llava import save_images, saved_llava, words
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, explained
from worker.ml.model.devices import choose_device
from worker.ml.model.loading import load_vlm
from worker.ml.training.losses import encode_example
from worker.ml.training.train import train_lora
from worker.ml.types import Example, LoraSettings, TrainConfig, TrainProgress

OPENER = ", seeing that"
LORA = LoraSettings(rank=8, alpha=16.0, dropout=0.0)


@dataclass(frozen=True)
class Cell:
    """What is measured; every field is part of the key of its result. model: one of llava.SIZES.
    items: with 1 to 4 rationales each. step: rows of one optimizer step; batch: rows that pass
    through the model together, at most."""

    method: str
    model: str
    items: int
    step: int
    batch: int
    epochs: int
    threads: int
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0

    @property
    def config(self) -> TrainConfig:
        return TrainConfig(
            epochs=self.epochs,
            batch_size=self.batch,
            gradient_accumulation=self.step // self.batch,
            learning_rate=1e-3,
            warmup_share=0.05,
            seed=self.seed,
            dtype=self.dtype,
            patience=None,
            save_every_s=1e9,
            share_prefixes=self.method in {"prefixes", "ours"},
            feature_cache_mb=4096 if self.method in {"features", "ours"} else 0,
        )


def make_rows(folder: Path, cell: Cell) -> list[Example]:
    """Questions of 4 to 24 words, answers of 1 to 3, rationales of 5 to 60 (short ones are more
    frequent, as in people's), 1 to 4 of them per item; one image per item."""
    chance = random.Random(cell.seed)

    def text(shortest: int, longest: int) -> str:
        count = round(shortest + (longest - shortest) * chance.betavariate(1.2, 2.5))
        return words(count, chance.randrange(2**32))

    rows = []
    for item, path in enumerate(save_images(folder, cell.items)):
        question, answer = text(4, 24) + " ?", text(1, 3)
        rows += [
            explained(path, question, answer, text(5, 60), OPENER) for _ in range(1 + item % 4)
        ]
    return rows


def measure(cell: Cell, models_folder: Path | None = None) -> dict[str, Any]:
    """The figures of a cell. `memory_mb`: the peak; `memory_over_model_mb`: above what there was
    with the model loaded and the libraries imported. `tflops`: 4 operations per weight of the
    decoder and token that passed it: forward, and backward to the adapters through fixed weights.
    """
    choose_device(cell.device)  # refuses one that is not there, before weights are made
    torch.set_num_threads(cell.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved_llava(folder, models_folder, cell.model, cell.dtype, cell.device)
        rows = make_rows(folder, cell)
        if len(rows) % cell.step or cell.step % cell.batch:
            sys.exit(
                f"{len(rows)} rows, {cell.step} of a step, {cell.batch} of a batch: no multiple."
            )
        vlm = load_vlm(str(source), device=cell.device, dtype=cell.dtype)
        encoder = encoder_of(vlm)
        lengths = [
            encode_example(vlm, encoder, row, index, DEFAULT_STYLE)[0].row.length
            for index, row in enumerate(rows)
        ]
        vlm.memo.clear()
        if cell.method.startswith("trl"):
            from benchmarks.support.training_trl import train
        else:
            train = train_ours
        passed = count_tokens(vlm)
        n_decoder = sum(p.numel() for p in decoder_parameters(vlm))
        before = resident_mb(vlm.device)
        losses, wall, cpu = train(vlm, rows, cell, folder)
        n_parameters = sum(p.numel() for p in vlm.model.parameters())
    steps = steps_of(rows, cell)
    timed = [index for step in steps[1:] for index in step]
    seconds, cpu_seconds = wall[-1] - wall[0], cpu[-1] - cpu[0]
    return {
        "parameters": n_parameters,
        "rows": len(rows),
        "tokens_per_row": round(sum(lengths) / len(lengths), 1),
        "shortest_row": min(lengths),
        "longest_row": max(lengths),
        "steps": len(steps),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "tokens_per_s": round(sum(lengths[index] for index in timed) / seconds, 1),
        "tokens_per_cpu_s": round(sum(lengths[index] for index in timed) / cpu_seconds, 1),
        "rows_per_s": round(len(timed) / seconds, 4),
        "tflops": 4 * n_decoder * passed["tokens"] * (len(steps) - 1) / len(steps) / seconds / 1e12,
        "memory_mb": round(peak_mb(vlm.device)),
        "memory_over_model_mb": round(peak_mb(vlm.device) - before),
        "non_padding": round(passed["tokens"] / passed["places"], 4),
        "losses": [round(loss, 5) for loss in losses],
    }


def steps_of(rows: list[Example], cell: Cell) -> list[list[int]]:
    """The rows of each optimizer step, over all epochs."""
    from worker.ml.training.schedule import epoch_batches

    return [
        step
        for epoch in range(1, cell.epochs + 1)
        for step in epoch_batches(rows, cell.config, epoch)
    ]


def train_ours(
    vlm: Any, rows: list[Example], cell: Cell, folder: Path
) -> tuple[list[float], list[float], list[float]]:
    """(loss of each step, wall time and processor time at the end of each step)."""
    losses: list[float] = []
    wall: list[float] = []
    cpu: list[float] = []

    def on_progress(progress: TrainProgress) -> None:
        losses.append(progress.loss)
        wait_for(vlm.device)
        wall.append(time.perf_counter())
        cpu.append(time.process_time())

    train_lora(
        vlm,
        rows,
        [],
        cell.config,
        LORA,
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
        on_progress=on_progress,
    )
    return losses, wall, cpu


def count_tokens(vlm: Any) -> dict[str, int]:
    """Counts, from now on, what passes through the model: places of its batches, and tokens."""
    passed = {"tokens": 0, "places": 0}

    def count(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        ids = inputs["input_ids"]
        passed["tokens"] += int((ids != vlm.tokenizer.pad_token_id).sum())
        passed["places"] += ids.numel()

    vlm.model.base_model.register_forward_pre_hook(count, with_kwargs=True)
    return passed
