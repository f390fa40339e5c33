"""One cell of benchmarks/training.py, measured in a process of its own: model, data, one trainer.

    python -m benchmarks.training_cell '{"method": "ours", ...}'

prints one JSON line. Every method sees the same rows in the same order, in steps of the same rows,
with the same learning rates and the same LoRA weights at the start (float32, no dropout), and
descends the same loss: ILLUME's, answer and rationale, each a mean over the tokens of a row.
"""

import json
import random
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from worker.ml.encode import encoder_of
from worker.ml.loading import load_vlm
from worker.ml.losses import make_examples
from worker.ml.prompts import DEFAULT_STYLE
from worker.ml.train import train_lora
from worker.ml.types import LoraSettings, TrainConfig, TrainProgress, TrainRow

OPENER = ", seeing that"
N_WORDS = 4000
IMAGE_SIDE, PATCH = 336, 14  # 24 x 24 = 576 image tokens
LORA = LoraSettings(rank=8, alpha=16.0, dropout=0.0)
METHODS = ("trl", "plain", "features", "prefixes", "ours")


@dataclass(frozen=True)
class Cell:
    """What is measured; every field is part of the key of its result. width, layers: of the
    language model. items: with 1 to 4 rationales each. step: rows of one optimizer step; batch:
    rows that pass through the model together, at most."""

    method: str
    width: int
    layers: int
    items: int
    step: int
    batch: int
    epochs: int
    threads: int
    seed: int = 0

    @property
    def config(self) -> TrainConfig:
        return TrainConfig(
            epochs=self.epochs,
            batch_size=self.batch,
            gradient_accumulation=self.step // self.batch,
            learning_rate=1e-3,
            balance=1.0,
            seed=self.seed,
            dtype="float32",
            patience=None,
            save_every_s=1e9,
            share_prefixes=self.method in {"prefixes", "ours"},
            feature_cache_mb=4096 if self.method in {"features", "ours"} else 0,
        )


def build_model(folder: Path, cell: Cell) -> None:
    """A LLaVA with random weights and a vocabulary of made words."""
    torch.manual_seed(cell.seed)
    tokens = ["<pad>", "<unk>", "<eos>", "<image>", "Q", "A", ":", ",", "?", "seeing", "that"]
    tokens += [f"w{number}" for number in range(N_WORDS)]
    words = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=384,
            intermediate_size=1536,
            num_hidden_layers=7,
            num_attention_heads=6,
            image_size=IMAGE_SIDE,
            patch_size=PATCH,
        ),
        text_config=LlamaConfig(
            vocab_size=16000,
            hidden_size=cell.width,
            intermediate_size=cell.width * 8 // 3,
            num_hidden_layers=cell.layers,
            num_attention_heads=cell.width // 64,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=2,
        ),
        image_token_index=3,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessorPil(
            size={"shortest_edge": IMAGE_SIDE},
            crop_size={"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        ),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def make_rows(folder: Path, cell: Cell) -> list[TrainRow]:
    """Questions of 4 to 24 words, answers of 1 to 3, rationales of 5 to 60 (short ones are more
    frequent, as in people's), 1 to 4 of them per item; one image per item."""
    chance = random.Random(cell.seed)

    def words(shortest: int, longest: int) -> str:
        count = round(shortest + (longest - shortest) * chance.betavariate(1.2, 2.5))
        return " ".join(f"w{chance.randrange(N_WORDS)}" for _ in range(count))

    rows = []
    for item in range(cell.items):
        path = folder / f"{item}.png"
        noise = np.random.default_rng(cell.seed * 100_003 + item).integers(0, 256, (24, 24, 3))
        picture = Image.fromarray(noise.astype(np.uint8)).resize((IMAGE_SIDE, IMAGE_SIDE))
        picture.save(path)
        question, answer = words(4, 24) + " ?", words(1, 3)
        rows += [
            TrainRow(path, question, answer, words(5, 60), OPENER) for _ in range(1 + item % 4)
        ]
    return rows


def measure(cell: Cell) -> dict[str, Any]:
    """The figures of a cell. `memory_mb`: peak resident set; `memory_over_model_mb`: above what was
    resident with the model loaded and the libraries imported."""
    torch.set_num_threads(cell.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_model(folder / "model", cell)
        rows = make_rows(folder, cell)
        if len(rows) % cell.step or cell.step % cell.batch:
            sys.exit(
                f"{len(rows)} rows, {cell.step} of a step, {cell.batch} of a batch: no multiple."
            )
        vlm = load_vlm(str(folder / "model"), device="cpu", dtype="float32")
        encoder = encoder_of(vlm)
        lengths = [
            make_examples(vlm, encoder, row, index, DEFAULT_STYLE)[0].row.length
            for index, row in enumerate(rows)
        ]
        vlm.memo.clear()
        if cell.method == "trl":
            from benchmarks.training_trl import train
        else:
            train = train_ours
        passed = count_tokens(vlm)
        before = resident_mb()
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
        "memory_mb": round(peak_mb()),
        "memory_over_model_mb": round(peak_mb() - before),
        "non_padding": round(passed["tokens"] / passed["places"], 4),
        "losses": [round(loss, 5) for loss in losses],
    }


def steps_of(rows: list[TrainRow], cell: Cell) -> list[list[int]]:
    """The rows of each optimizer step, over all epochs."""
    from worker.ml.schedule import epoch_batches

    return [
        step
        for epoch in range(1, cell.epochs + 1)
        for step in epoch_batches(rows, cell.config, epoch)
    ]


def train_ours(
    vlm: Any, rows: list[TrainRow], cell: Cell, folder: Path
) -> tuple[list[float], list[float], list[float]]:
    """(loss of each step, wall time and processor time at the end of each step)."""
    losses: list[float] = []
    wall: list[float] = []
    cpu: list[float] = []

    def on_progress(progress: TrainProgress) -> None:
        losses.append(progress.loss)
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


def resident_mb() -> float:
    """What this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mb() -> float:
    """The most it ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    found = measure(Cell(**json.loads(sys.argv[1])))
    sys.stdout.write(json.dumps(found) + "\n")
