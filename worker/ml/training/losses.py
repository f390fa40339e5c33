"""The loss of a training, and the token sequences that it is computed on.

    J  =  sum over the losses, by name, of  weight * mean over the parts of that name of CE(part)

CE is the mean over the tokens of a part, its end token included, given everything before it; means
over parts are weighted by the weights of their examples. ILLUME's J has two losses,

    J  =  mean of CE(answer | image, question)
        + rationale_weight * b * mean of CE(rationale | image, question, answer, opener)

with b = (#answer-only examples) / (#examples with a rationale). (ILLUME, Brack et al. 2023, arXiv
2208.08241; as in the published training script, b multiplies the mean of the rationale losses.)

A learned part is what the model says in one go, so its end is learned, too. One forward of
`question answer opener rationale` gives both losses: the logits after the last token of the answer
do not see what comes next, so there the answer's loss asks for the end token although the opener
follows. Thus an answer is learned to end, and the opener is never learned.

In shapes: places, the positions that are asked; vocabulary; names and rows, the losses and the
examples of one forward.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from worker.ml.inputs.encode import Row, RowEncoder, Tensors, continuation_ids, end_ids
from worker.ml.inputs.frozen_tower import with_features
from worker.ml.inputs.prompts import PromptStyle, PromptText, TrainText, apart_ids, train_text
from worker.ml.model.loading import Vlm
from worker.ml.types import Box, Example

Ids = tuple[int, ...]
Targets = tuple[tuple[int, int], ...]  # (position whose logits are asked, token id they should say)
Asked = tuple[int, int, int, int]  # row of the batch, position, token id, slot of the mean


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that follow each other; learned up to `end`, the end token, unless `loss` is None. A
    negative `end` is none: the piece was cut, and only its tokens are learned."""

    tokens: Ids
    loss: str | None = None
    end: int = -1

    def targets(self, start: int) -> Targets:
        """Returns what is learned of it where its first token stands at position `start`."""
        if self.loss is None:
            return ()
        said = (*self.tokens, self.end) if self.end >= 0 else self.tokens
        return tuple((start - 1 + place, token) for place, token in enumerate(said))


@dataclass(frozen=True, eq=False)
class Encoded:
    """A token sequence of an example: `row` is its context followed by the pieces' tokens. index:
    the number of the example among the caller's; boxes: where its question is to look."""

    row: Row
    pieces: tuple[Piece, ...]
    index: int
    boxes: tuple[Box, ...] = ()

    @property
    def n_context(self) -> int:
        """Returns how many tokens stand before the first piece."""
        return self.row.length - len(self.row.continuation)

    @property
    def learned(self) -> list[tuple[str, Targets]]:
        """The name of the loss and the targets of each piece that is learned, in their order."""
        made, start = [], self.n_context
        for piece in self.pieces:
            if piece.loss is not None:
                made.append((piece.loss, piece.targets(start)))
            start += len(piece.tokens)
        return made

    @property
    def targets(self) -> Targets:
        """All that is learned, in its order."""
        return tuple(target for _, targets in self.learned for target in targets)


@dataclass(frozen=True, eq=False)
class Losses:
    """Token-mean losses in nats of some examples: values (names, rows), 0 where an example has no
    such part, their sum where it has several; counts (names, rows), how many it has."""

    names: tuple[str, ...]
    values: torch.Tensor
    counts: torch.Tensor

    def of(self, name: str) -> torch.Tensor:
        """Returns the values of one loss, (rows,)."""
        return self.values[self.names.index(name)]


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the means in J for a set of examples, so that any part of it gives an estimate.

    A batch S of n of the N examples is worth
        N/n * sum over the names of  c * sum_S w_i * (the example's losses of that name) / W
    with c the weight of the loss in J, and W the sum of w_i over all parts of that name in the set.
    The denominators belong to the whole set, not to the batch: the estimate is unbiased, splits
    into micro-batches without changing, and a batch without a part of a name adds 0, never NaN.
    """

    n_examples: int
    factors: Mapping[str, float]
    """By the name of the loss, in the order of their first appearance: c / W, 0 where W is."""

    @classmethod
    def of(cls, examples: Sequence[Example], weights: Mapping[str, float]) -> "Scale":
        """Returns the scale of a set. weights: TrainConfig.loss_weights."""
        sums = dict.fromkeys(loss_names(examples), 0.0)
        for example in examples:
            for name in example.losses:
                sums[name] += example.weight
        return cls(
            n_examples=len(examples),
            factors={
                name: weights.get(name, 1.0) / total if total > 0 else 0.0
                for name, total in sums.items()
            },
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The losses of the set, in the order of their first appearance."""
        return tuple(self.factors)

    def loss(self, losses: Losses, weights: torch.Tensor, n_batch: int) -> torch.Tensor:
        """Returns the share of these examples, with their weights (rows,), in the estimate of a
        batch of `n_batch` examples; a scalar."""
        parts = [self.factors[name] * losses.of(name) for name in losses.names]
        return (weights * sum(parts[1:], start=parts[0])).sum() * (self.n_examples / n_batch)


def loss_names(examples: Iterable[Example]) -> tuple[str, ...]:
    """Returns the names of the losses of some examples, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for example in examples for name in example.losses))


def count_parts(examples: Iterable[Example]) -> dict[str, int]:
    """Returns how many parts are learned by each loss."""
    return dict(Counter(name for example in examples for name in example.losses))


def encode_example(
    vlm: Vlm, encoder: RowEncoder, example: Example, index: int, style: PromptStyle
) -> list[Encoded]:
    """Returns the token sequences of an example: one, and a further one for each learned part whose
    last token the tokenizer joins to what follows ("red," for "red" and ", seeing that"): that part
    is learned in a sequence of its own.

    Raises ImageError and PromptError where the example cannot be given to the model.
    """
    text = train_text(vlm, example, style)
    context = PromptText(text.context, "")

    def encoded(pieces: tuple[Piece, ...]) -> Encoded:
        tokens = [token for piece in pieces for token in piece.tokens]
        return Encoded(encoder.fitting_row(example.image, context, tokens), pieces, index)

    end, _ = end_ids(vlm, text.end)
    first, *others = [encoded(pieces) for pieces in cut_pieces(vlm.tokenizer, text, end)]
    return [replace(first, boxes=example.boxes), *others]


def cut_pieces(tokenizer: Any, text: TrainText, end: int) -> list[tuple[Piece, ...]]:
    """Returns the tokens after the context, a tuple of pieces for each sequence that is needed."""
    if any(part.is_apart or part.tokens is not None for part in text.parts):
        return [
            tuple(
                Piece(
                    apart_ids(tokenizer, part),
                    part.loss,
                    -1 if part.loss is None or part.is_open else end,
                )
                for part in text.parts
            )
        ]
    made: list[tuple[Piece, ...]] = []
    pieces: list[Piece] = []
    before = text.context
    runs = _runs(text)
    for number, (words, name, more) in enumerate(runs):
        own = continuation_ids(tokenizer, before, words)
        if name is not None and own:
            pieces.append(Piece(own, name, end))
        if number + 1 < len(runs):
            begun = continuation_ids(tokenizer, before, words + more)
            if begun[: len(own)] != own:
                made.append(tuple(pieces))
                pieces = [replace(piece, loss=None) for piece in pieces[:-1]]
                own = ()
            if given := begun[len(own) :]:
                pieces.append(Piece(given))
        before += words + more
    made.append(tuple(pieces))
    return [sequence for sequence in made if any(piece.loss for piece in sequence)]


def _runs(text: TrainText) -> list[tuple[str, str | None, str]]:
    """The parts as (what is learned, its loss, what is only read after it); what is read before the
    first of them follows an empty one. What follows the last of them teaches nothing."""
    runs: list[tuple[str, str | None, str]] = []
    for part in text.parts:
        if part.loss is not None:
            runs.append((part.text, part.loss, ""))
        elif runs:
            words, name, more = runs[-1]
            runs[-1] = words, name, more + part.text
        else:
            runs.append(("", None, part.text))
    return runs


def mean_losses(
    vlm: Vlm, model: torch.nn.Module, batch: Tensors, asked: Sequence[Asked], n_slots: int
) -> torch.Tensor:
    """Returns the mean cross entropy of the tokens of each slot in nats, (n_slots,) float32; 0 for
    an empty slot. `batch`: what collate made, with or without another mask and positions.
    """
    logits = asked_logits(vlm, model, batch, [(place, position) for place, position, _, _ in asked])
    tokens = torch.tensor([token for _, _, token, _ in asked], device=vlm.device)
    slots = torch.tensor([slot for _, _, _, slot in asked], device=vlm.device)
    per_token = functional.cross_entropy(logits.float(), tokens, reduction="none")
    sums = torch.zeros(n_slots, device=vlm.device).index_add(0, slots, per_token)
    return sums / torch.bincount(slots, minlength=n_slots).clamp(min=1)


def asked_logits(
    vlm: Vlm, model: torch.nn.Module, batch: Tensors, places: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Passes a batch through the model once and returns the logits at each (row, position),
    (places, vocabulary).
    """
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
