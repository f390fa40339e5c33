"""Rows of one item share its image, question and answer: one sequence with several ends.

    [image question answer opener] [rationale 1] [rationale 2] …

The positions of every rationale go on from the end of the shared part, and the attention mask
hides the rationales from each other, so that each sees exactly what it would see in a row of its
own, and the losses and gradients are the same up to rounding. The answer, the same in all rows,
is computed once and counts for each of them.

Models take the mask through transformers' own way in for custom masks (four dimensions, or one per
kind of layer). Which parts of a prompt see each other from both sides (PaliGemma's prompt, Gemma
3's images) is the family's business; the known rules are tried, and the one that comes closest to
the model's own logits is kept. A model for which none gives them gets a row per rationale.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from worker.ml.inputs.encode import Row, Tensors, collate
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory
from worker.ml.same_logits import difference, is_rounding
from worker.ml.training.losses import Example, Ids, RowLosses, Targets, asked_logits, mean_losses

logger = logging.getLogger(__name__)

RULE = "branch_rule"  # in vlm.memo: the name of the rule that holds for the model, None if none


@dataclass(frozen=True, eq=False)
class Branched:
    """A sequence with one end or several. starts: the position of each branch's first token, the
    first of them the length of the shared part. `rationales` and `row_indices`: one per branch."""

    row: Row
    starts: tuple[int, ...]
    answer: Targets
    rationales: tuple[Targets, ...]
    row_indices: tuple[int, ...]


def join(examples: Sequence[Example]) -> list[Branched]:
    """The sequences of some rows of one item: one if they begin alike, else one per example."""
    begun = {_begun(example) for example in examples}
    rows = {example.row_index for example in examples}
    if len(begun) > 1 or len(rows) < len(examples):
        return [_joined([example]) for example in examples]
    return [_joined(examples)]


def _begun(example: Example) -> Ids:
    """What stands between the context and the rationale."""
    tokens = example.row.continuation
    return tokens[: len(tokens) - _n_rationale(example)]


def _n_rationale(example: Example) -> int:
    return max(0, len(example.rationale) - 1)  # the last target is the end token


def _joined(examples: Sequence[Example]) -> Branched:
    first = examples[0]
    ids = _begun(first)
    shared = first.row.length - _n_rationale(first)
    starts, rationales = [], []
    for example in examples:
        start = first.row.length - len(first.row.continuation) + len(ids)
        starts.append(start)
        rationales.append(
            tuple(
                (position if position < shared else position - shared + start, token)
                for position, token in example.rationale
            )
        )
        ids += example.row.continuation[len(_begun(example)) :]
    return Branched(
        row=replace(first.row, continuation=ids),
        starts=tuple(starts),
        answer=first.answer,
        rationales=tuple(rationales),
        row_indices=tuple(example.row_index for example in examples),
    )


def branched_losses(vlm: Vlm, model: Any, group: Sequence[Branched]) -> tuple[RowLosses, list[int]]:
    """Losses of the rows of sequences of equal signature, by one forward, and the rows' indices in
    the same order. A row that needed two examples stands there twice. Differentiable."""
    asked = []
    n_rows = sum(len(branched.row_indices) for branched in group)
    row = 0
    for place, branched in enumerate(group):
        asked += [(place, at, token, n_rows + place) for at, token in branched.answer]
        for targets in branched.rationales:
            asked += [(place, at, token, row) for at, token in targets]
            row += 1
    means = mean_losses(vlm, model, branched_batch(vlm, group), asked, n_rows + len(group))
    counts = torch.tensor([len(branched.row_indices) for branched in group], device=vlm.device)
    has_answer = [bool(branched.answer) for branched in group for _ in branched.row_indices]
    has_rationale = [bool(targets) for branched in group for targets in branched.rationales]
    losses = RowLosses(
        answer=means[n_rows:].repeat_interleave(counts),
        rationale=means[:n_rows],
        has_answer=torch.tensor(has_answer, device=vlm.device),
        has_rationale=torch.tensor(has_rationale, device=vlm.device),
    )
    return losses, [index for branched in group for index in branched.row_indices]


def branched_batch(vlm: Vlm, group: Sequence[Branched]) -> dict[str, Any]:
    """The model's inputs. Without a second branch anywhere they are those of plain rows."""
    batch: dict[str, Any] = collate(vlm, [branched.row for branched in group], pad="right")
    if all(len(branched.starts) == 1 for branched in group):
        return batch
    width = batch["input_ids"].shape[1]
    segments, offsets = _segments(group, width)
    segments, offsets = segments.to(vlm.device), offsets.to(vlm.device)
    positions = vlm.model._prepare_position_ids_for_generation(batch["input_ids"], batch) - offsets
    index = torch.arange(width, device=vlm.device) - offsets
    blocks = _RULES[vlm.memo[RULE]](batch)
    return batch | {
        "position_ids": positions,
        "attention_mask": _mask(vlm, segments, index, blocks),
    }


def _segments(group: Sequence[Branched], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, width) each: 0 in the shared part, the branch's number from 1, -1 on padding; and how
    far a token stands behind the place it would have in a row of its own."""
    segments = torch.full((len(group), width), -1)
    offsets = torch.zeros((len(group), width), dtype=torch.long)
    for place, branched in enumerate(group):
        segments[place, : branched.starts[0]] = 0
        ends = (*branched.starts[1:], branched.row.length)
        for number, (start, end) in enumerate(zip(branched.starts, ends, strict=True)):
            segments[place, start:end] = number + 1
            offsets[place, start:end] = start - branched.starts[0]
    return segments, offsets


def _mask(vlm: Vlm, segments: torch.Tensor, index: torch.Tensor, blocks: torch.Tensor) -> Any:
    """The mask in the shape that the model's layers ask for: (rows, 1, width, width), or one such
    for each kind of layer."""
    asks, gives = segments.unsqueeze(2), segments.unsqueeze(1)
    distance = index.unsqueeze(2) - index.unsqueeze(1)
    same_block = (blocks.unsqueeze(2) == blocks.unsqueeze(1)) & (blocks.unsqueeze(2) >= 0)
    seen = ((distance >= 0) & ((gives == 0) | (gives == asks)) & (gives >= 0)) | same_block
    kinds, window = layer_kinds(vlm)
    masks = {}
    for kind in kinds:
        allowed = seen & (distance < window) if kind == "sliding_attention" else seen.clone()
        allowed[:, :, 0] |= segments < 0  # who sees nothing has a softmax that is no number
        masks[kind] = _as_asked(vlm, allowed.unsqueeze(1))
    return masks if len(masks) > 1 else masks[kinds[0]]


def _as_asked(vlm: Vlm, allowed: torch.Tensor) -> torch.Tensor:
    """As truth values where torch's own attention takes them, else as numbers to add."""
    if vlm.model.config._attn_implementation == "sdpa":
        return allowed
    hidden = torch.finfo(vlm.dtype).min
    return torch.zeros(allowed.shape, dtype=vlm.dtype, device=allowed.device).masked_fill(
        ~allowed, hidden
    )


def layer_kinds(vlm: Vlm) -> tuple[list[str], int]:
    """The kinds of attention layers of the language model, sorted, and its sliding window."""
    text = vlm.model.config.get_text_config(decoder=True)
    window = getattr(text, "sliding_window", None)
    by_config = "sliding_attention" if window else "full_attention"
    kinds = sorted(set(getattr(text, "layer_types", None) or [by_config]))
    return kinds, window or 0


# ----------------------------------------------------------- what sees itself from both sides
def _nothing(batch: Tensors) -> torch.Tensor:
    return torch.full_like(batch["input_ids"], -1)


def _prompt(batch: Tensors) -> torch.Tensor:
    """PaliGemma: tokens of type 0 (image and prompt) are one block."""
    block = torch.where(batch["token_type_ids"] == 0, 0, -1)
    return block.masked_fill(batch["attention_mask"] == 0, -1)


def _images(batch: Tensors) -> torch.Tensor:
    """Gemma 3: each run of tokens of type 1 (an image) is a block."""
    is_image = batch["token_type_ids"] == 1
    begins = is_image & ~torch.nn.functional.pad(is_image, (1, 0))[:, :-1]
    return torch.where(is_image, begins.cumsum(1), -1)


_RULES: dict[str, Callable[[Tensors], torch.Tensor]] = {
    "causal": _nothing,
    "two-sided prompt": _prompt,
    "two-sided images": _images,
}


def can_branch(vlm: Vlm, examples: Sequence[Example]) -> bool:
    """True if rows of one item can pass through the model as one sequence.

    Tried once on `examples` (at least two, of one item) and on a longer copy of them, so that one
    sequence is padded; then remembered.
    """
    if RULE not in vlm.memo:
        vlm.memo[RULE] = _find_rule(vlm, examples)
        logger.info("Model %s shares prompts among rationales: %s", vlm.name, vlm.memo[RULE])
    return vlm.memo[RULE] is not None


def _find_rule(vlm: Vlm, examples: Sequence[Example]) -> str | None:
    if vlm.model.config._attn_implementation not in {"sdpa", "eager"}:
        return None
    if not set(layer_kinds(vlm)[0]) <= {"full_attention", "sliding_attention"}:
        return None
    longer = [_longer(example) for example in examples]
    joined = [*join(examples), *join(longer)]
    if len(joined) != 2:
        return None
    with torch.no_grad():
        expected = torch.cat(
            [
                asked_logits(
                    vlm,
                    vlm.model,
                    collate(vlm, [example.row], pad="right"),
                    [(0, at) for at, _ in (*example.answer, *example.rationale)],
                )
                for example in (*examples, *longer)
            ]
        )
    places = [
        (place, at)
        for place, branched in enumerate(joined)
        for targets in branched.rationales
        for at, _ in (*branched.answer, *targets)
    ]
    names = _RULES if "token_type_ids" in examples[0].row.text else ["causal"]
    found = {name: _try(vlm, name, joined, places, expected) for name in names}
    best = min(found, key=lambda name: found[name])
    return best if is_rounding(found[best], vlm.dtype) else None


def _try(
    vlm: Vlm,
    rule: str,
    joined: Sequence[Branched],
    places: Sequence[tuple[int, int]],
    expected: torch.Tensor,
) -> float:
    """How far the logits are from the expected ones under a rule; infinity where it fails."""
    vlm.memo[RULE] = rule
    try:
        with torch.no_grad():
            got = asked_logits(vlm, vlm.model, branched_batch(vlm, joined), places)
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise
        logger.info("A shared prompt failed with %s: %s", type(error).__name__, error)
        return math.inf
    found = difference(got, expected)
    return found if not math.isnan(found) else math.inf


def _longer(example: Example) -> Example:
    """The same with a rationale that says its last token once more."""
    last = example.row.continuation[-1]
    (position, end) = example.rationale[-1]
    return replace(
        example,
        row=replace(example.row, continuation=(*example.row.continuation, last)),
        rationale=(*example.rationale[:-1], (position, last), (position + 1, end)),
    )
