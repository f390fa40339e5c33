"""A quick look at answers while training: one forward pass per batch instead of generation."""

from __future__ import annotations

import random

import torch
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from app.scenes.questions.queries import Kind
from worker.demo.batches import IGNORED, make_batch
from worker.demo.pixels import CellPixels
from worker.demo.rows import Row, answer_prompt, draw_question


@torch.no_grad()
def answer_accuracy(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    cells: CellPixels,
    *,
    n_items: int,
    seed: int = 7,
    batch_size: int = 100,
) -> dict[str, float]:
    """Returns the share of held-out questions whose most probable answer is right, per kind and
    over all.

    Equal to greedy generation, since every token of the answer and its end must be the best one.
    """
    rng = random.Random(f"demo-quick-{seed}")  # noqa: S311 - draws questions, no secrets
    items = [draw_question(rng, held_out=True) for _ in range(n_items)]
    is_training = model.training
    model.train(False)
    right: dict[str, list[bool]] = {kind.value: [] for kind in Kind}
    for start in range(0, n_items, batch_size):
        part = items[start : start + batch_size]
        rows = [
            Row(scene, ((answer_prompt(question.text), False), (f" {question.answer}", True)))
            for scene, question in part
        ]
        batch = make_batch(rows, tokenizer, cells)
        logits = model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            pixel_values=batch.pixel_values,
        ).logits
        best = logits[:, :-1].argmax(-1)
        labels = batch.labels[:, 1:]
        fits = ((best == labels) | (labels == IGNORED)).all(-1).tolist()
        for (_, question), is_right in zip(part, fits, strict=True):
            right[question.query.kind.value].append(is_right)
    model.train(is_training)
    everything = [item for items_of in right.values() for item in items_of]
    figures = {kind: sum(items_of) / max(1, len(items_of)) for kind, items_of in right.items()}
    return {**figures, "all": sum(everything) / max(1, len(everything))}
