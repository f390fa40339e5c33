"""Rows as padded tensors."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from worker.demo.architecture import N_IMAGE_TOKENS
from worker.demo.pixels import CellPixels
from worker.demo.rows import Row
from worker.demo.vocabulary import IMAGE

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows, padded on the right to T tokens.

    `input_ids`, `attention_mask`, `labels`: int64 [B, T]; labels are IGNORED outside the learned
    text and its end token. `pixel_values`: float32 [B, 3, TOWER_PX, TOWER_PX].
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    pixel_values: torch.Tensor


def make_batch(rows: list[Row], tokenizer: PreTrainedTokenizerFast, cells: CellPixels) -> Batch:
    head = [tokenizer.bos_token_id] + [tokenizer.convert_tokens_to_ids(IMAGE)] * N_IMAGE_TOKENS
    encoded = tokenizer(
        [row.text for row in rows], add_special_tokens=False, return_offsets_mapping=True
    )
    length = len(head) + max(len(ids) for ids in encoded["input_ids"]) + 1
    shape = (len(rows), length)
    input_ids = torch.full(shape, tokenizer.pad_token_id, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    for number, row in enumerate(rows):
        ids = [*head, *encoded["input_ids"][number], tokenizer.eos_token_id]
        ends = [end for _, end in encoded["offset_mapping"][number]]
        learned = [False] * len(head) + _learned(row, ends) + [True]
        input_ids[number, : len(ids)] = torch.tensor(ids)
        mask[number, : len(ids)] = 1
        wanted = [token if flag else IGNORED for token, flag in zip(ids, learned, strict=True)]
        labels[number, : len(ids)] = torch.tensor(wanted)
    return Batch(input_ids, mask, labels, cells.of([row.scene for row in rows]))


def _learned(row: Row, ends: list[int]) -> list[bool]:
    """Per token, by the character it ends at: is it in a learned part?"""
    limits, flags, total = [], [], 0
    for part, is_learned in row.parts:
        total += len(part)
        limits.append(total)
        flags.append(is_learned)
    return [flags[bisect_left(limits, end)] for end in ends]
