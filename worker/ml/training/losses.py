"""The loss of ILLUME, and the rows it is computed on.

    J  =  mean over all rows of  CE(answer | image, question)
        + rationale_weight * b * mean over the rows with a rationale of
              CE(rationale | image, question, answer, opener)

CE is the mean over the tokens of a row, its end token included; means over rows are weighted by
the rows' weights; b (TrainConfig.balance) is the paper's (#answer-only rows) / (#rationale rows).
(ILLUME, Brack et al. 2023, arXiv 2208.08241; as in the published training script, b multiplies
the mean of the rationale losses.)

One forward of `question answer opener rationale` gives both: the logits after the last token of
the answer do not see what comes next, so there the answer's loss asks for the end token although
the opener follows. Thus an answer is learned to end, and the opener is never learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from worker.ml.inputs.encode import Row, RowEncoder, Tensors, collate, continuation_ids, end_ids
from worker.ml.inputs.frozen_tower import with_features
from worker.ml.inputs.prompts import PromptStyle, PromptText, TrainText, train_text
from worker.ml.model.loading import Vlm
from worker.ml.types import TrainRow

Ids = tuple[int, ...]
Targets = tuple[tuple[int, int], ...]  # (position whose logits are asked, token id they should say)
Asked = tuple[int, int, int, int]  # row of the batch, position, token id, slot of the mean


@dataclass(frozen=True, eq=False)
class Example:
    """One forward row. `row_index`: the caller's row it belongs to."""

    row: Row
    answer: Targets
    rationale: Targets
    row_index: int


@dataclass(frozen=True, eq=False)
class RowLosses:
    """Token-mean losses in nats, one value per row: `answer` and `rationale` (rows,), each 0 where
    there is none; has_answer and has_rationale (rows,) bool."""

    answer: torch.Tensor
    rationale: torch.Tensor
    has_answer: torch.Tensor
    has_rationale: torch.Tensor


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the two means in J for a set of rows, so that any part of it gives an estimate.

    A batch S of n of the N rows is worth
        N/n * ( sum_S w_i * answer_i / W  +  c * sum_S' w_i * rationale_i / W' )
    with W, W' the weights of all rows and of all rows with a rationale, c = rationale_weight * b.
    The denominators belong to the whole set, not to the batch: the estimate is unbiased, splits
    into micro-batches without changing, and a batch without a rationale adds 0, never NaN.
    """

    n_rows: int
    answers: float  # 1 / W
    rationales: float  # c / W', or 0 where no row has a rationale

    @classmethod
    def of(cls, rows: Sequence[TrainRow], factor: float) -> "Scale":
        weight = sum(row.weight for row in rows)
        with_rationale = sum(row.weight for row in rows if row.rationale)
        return cls(
            n_rows=len(rows),
            answers=1.0 / weight if weight > 0 else 0.0,
            rationales=factor / with_rationale if with_rationale > 0 else 0.0,
        )

    def loss(self, losses: RowLosses, weights: torch.Tensor, batch_rows: int) -> torch.Tensor:
        """The share of these rows in the estimate of a batch of `batch_rows` rows; a scalar."""
        parts = self.answers * losses.answer + self.rationales * losses.rationale
        return (weights * parts).sum() * (self.n_rows / batch_rows)


def make_examples(
    vlm: Vlm, encoder: RowEncoder, row: TrainRow, row_index: int, style: PromptStyle
) -> list[Example]:
    """The forward rows of a training row: one, or two where the tokenizer joins the answer and the
    opener to other tokens than the answer alone."""
    text = train_text(vlm, row, style)
    end, _ = end_ids(vlm, text.end)

    def example(answer: Ids, begun: Ids, rationale: Ids) -> Example:
        encoded = encoder.fitting_row(row.image, PromptText(text.context, ""), (*begun, *rationale))
        start = encoded.length - len(begun) - len(rationale)
        return Example(
            row=encoded,
            answer=_targets(start, answer, end),
            rationale=_targets(start + len(begun), rationale, end),
            row_index=row_index,
        )

    answer, begun, rationale = row_ids(vlm.tokenizer, text)
    if text.rationale is None:
        return [example(answer, answer, ())]
    if begun[: len(answer)] == answer:
        return [example(answer, begun, rationale)]
    return [
        example(answer, answer, ()),
        example((), begun, rationale),
    ]


def row_ids(tokenizer: Any, text: TrainText) -> tuple[Ids, Ids, Ids]:
    """The tokens after the context: the answer; what the rationale follows, which is the answer and
    the opener where there is one; and the rationale."""
    answer = continuation_ids(tokenizer, text.context, text.answer)
    if text.rationale is None:
        return answer, answer, ()
    begun = continuation_ids(tokenizer, text.context, text.answer + text.opener)
    rationale = continuation_ids(
        tokenizer, text.context + text.answer + text.opener, text.rationale
    )
    return answer, begun, rationale


def _targets(start: int, tokens: Ids, end: int) -> Targets:
    """Tokens that stand from position `start` on, and the end token after them."""
    if not tokens:
        return ()
    return tuple((start - 1 + place, token) for place, token in enumerate((*tokens, end)))


def row_losses(vlm: Vlm, model: torch.nn.Module, examples: Sequence[Example]) -> RowLosses:
    """Losses of the rows that the examples belong to, in the order of their first appearance.

    `model`: vlm.model or what accelerate made of it. Examples of unequal image shapes go through
    the model one group after the other. Differentiable.
    """
    numbers = {index: place for place, index in enumerate(_row_order(examples))}
    zeros = torch.zeros(len(numbers), device=vlm.device)
    answer, rationale = zeros, zeros.clone()
    has_rationale = torch.zeros(len(numbers), dtype=torch.bool, device=vlm.device)
    groups: dict[object, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.row.signature, []).append(example)
    for group in groups.values():
        places = torch.tensor([numbers[e.row_index] for e in group], device=vlm.device)
        of_answers, of_rationales = _forward(vlm, model, group)
        answer = answer.index_add(0, places, of_answers)
        rationale = rationale.index_add(0, places, of_rationales)
        with_rationale = [numbers[e.row_index] for e in group if e.rationale]
        has_rationale[torch.tensor(with_rationale, dtype=torch.long, device=vlm.device)] = True
    return RowLosses(answer, rationale, torch.ones_like(has_rationale), has_rationale)


def _row_order(examples: Sequence[Example]) -> list[int]:
    return list(dict.fromkeys(example.row_index for example in examples))


def _forward(
    vlm: Vlm, model: torch.nn.Module, group: Sequence[Example]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(answer loss, rationale loss) of each example of one batch, both (examples,), 0 where an
    example lacks that part."""
    batch = collate(vlm, [example.row for example in group], pad="right")
    asked = [
        (place, position, token, kind * len(group) + place)
        for place, example in enumerate(group)
        for kind, targets in enumerate((example.answer, example.rationale))
        for position, token in targets
    ]
    of_answers, of_rationales = mean_losses(vlm, model, batch, asked, 2 * len(group)).chunk(2)
    return of_answers, of_rationales


def mean_losses(
    vlm: Vlm, model: torch.nn.Module, batch: Tensors, asked: Sequence[Asked], n_slots: int
) -> torch.Tensor:
    """The mean cross entropy of the tokens of each slot, (n_slots,) float32; 0 for an empty slot.
    `batch`: what collate made, with or without another mask and positions."""
    logits = asked_logits(vlm, model, batch, [(place, position) for place, position, _, _ in asked])
    tokens = torch.tensor([token for _, _, token, _ in asked], device=vlm.device)
    slots = torch.tensor([slot for _, _, _, slot in asked], device=vlm.device)
    per_token = functional.cross_entropy(logits.float(), tokens, reduction="none")
    sums = torch.zeros(n_slots, device=vlm.device).index_add(0, slots, per_token)
    return sums / torch.bincount(slots, minlength=n_slots).clamp(min=1)


def asked_logits(
    vlm: Vlm, model: torch.nn.Module, batch: Tensors, places: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """One forward; the logits at each (row, position), (places, vocabulary)."""
    # Logits are only computed where some row is asked: the vocabulary is the widest layer of all.
    positions = sorted({position for _, position in places})
    keep = torch.tensor(positions, device=vlm.device)
    partial = vlm.model._supports_logits_to_keep()
    inputs = with_features(vlm, batch)
    outputs = model(**inputs, use_cache=False, **({"logits_to_keep": keep} if partial else {}))
    logits = outputs.logits if partial else outputs.logits.index_select(1, keep)
    column = {position: place for place, position in enumerate(positions)}
    rows, columns = torch.tensor(
        [(row, column[position]) for row, position in places], device=vlm.device
    ).unbind(1)
    asked: torch.Tensor = logits[rows, columns]
    return asked
