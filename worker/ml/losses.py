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

import torch
from torch.nn import functional

from worker.ml.encode import Row, RowEncoder, collate, continuation_ids, end_ids
from worker.ml.loading import Vlm
from worker.ml.prompts import PromptStyle, PromptText, train_text
from worker.ml.types import TrainRow

Ids = tuple[int, ...]
Targets = tuple[tuple[int, int], ...]  # (position whose logits are asked, token id they should say)


@dataclass(frozen=True, eq=False)
class Example:
    """One forward row. `row_index`: the caller's row it belongs to."""

    row: Row
    answer: Targets
    rationale: Targets
    row_index: int


@dataclass(frozen=True, eq=False)
class RowLosses:
    """Token-mean losses in nats, one value per row: `answer` (rows,), `rationale` (rows,) with 0
    where there is none; has_rationale (rows,) bool."""

    answer: torch.Tensor
    rationale: torch.Tensor
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
        encoded = encoder.row(row.image, PromptText(text.context, ""), (*begun, *rationale))
        start = encoded.length - len(begun) - len(rationale)
        return Example(
            row=encoded,
            answer=_targets(start, answer, end),
            rationale=_targets(start + len(begun), rationale, end),
            row_index=row_index,
        )

    tokenizer = vlm.tokenizer
    answer = continuation_ids(tokenizer, text.context, text.answer)
    if text.rationale is None:
        return [example(answer, answer, ())]
    begun = continuation_ids(tokenizer, text.context, text.answer + text.opener)
    rationale = continuation_ids(
        tokenizer, text.context + text.answer + text.opener, text.rationale
    )
    if begun[: len(answer)] == answer:
        return [example(answer, begun, rationale)]
    return [
        example(answer, answer, ()),
        example((), begun, rationale),
    ]


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
    return RowLosses(answer, rationale, has_rationale)


def _row_order(examples: Sequence[Example]) -> list[int]:
    return list(dict.fromkeys(example.row_index for example in examples))


def _forward(
    vlm: Vlm, model: torch.nn.Module, group: Sequence[Example]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(answer loss, rationale loss) of each example of one batch, both (examples,), 0 where an
    example lacks that part."""
    batch = collate(vlm, [example.row for example in group], pad="right")
    asked = [
        (place, kind, position, token)
        for place, example in enumerate(group)
        for kind, targets in enumerate((example.answer, example.rationale))
        for position, token in targets
    ]
    # Logits are only computed where some row is asked: the vocabulary is the widest layer of all.
    positions = sorted({position for _, _, position, _ in asked})
    keep = torch.tensor(positions, device=vlm.device)
    partial = vlm.model._supports_logits_to_keep()
    outputs = model(**batch, use_cache=False, **({"logits_to_keep": keep} if partial else {}))
    logits = outputs.logits if partial else outputs.logits.index_select(1, keep)
    column = {position: place for place, position in enumerate(positions)}
    places, kinds, columns, tokens = torch.tensor(
        [(place, kind, column[position], token) for place, kind, position, token in asked],
        device=vlm.device,
    ).unbind(1)
    per_token = functional.cross_entropy(logits[places, columns].float(), tokens, reduction="none")
    slot = kinds * len(group) + places
    sums = torch.zeros(2 * len(group), device=vlm.device).index_add(0, slot, per_token)
    counts = torch.bincount(slot, minlength=2 * len(group)).clamp(min=1)
    of_answers, of_rationales = (sums / counts).chunk(2)
    return of_answers, of_rationales
