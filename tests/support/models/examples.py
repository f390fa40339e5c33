"""Training examples of answers and rationales in tests, and their losses the plain way."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from worker.ml.inputs.encode import RowEncoder, encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, explained
from worker.ml.model.loading import Vlm
from worker.ml.training.branches import join, tree_losses
from worker.ml.training.losses import Encoded, Losses, encode_example
from worker.ml.types import ANSWER, RATIONALE, Example

NAMES = (ANSWER, RATIONALE)


def answer_of(example: Example) -> str:
    """Returns the answer of an explained example."""
    return example.parts[0].text


def rationale_of(example: Example) -> str | None:
    """Returns its rationale, without the blank before it."""
    return example.parts[2].text.strip() if len(example.parts) > 1 else None


def with_rationale(example: Example, text: str | None) -> Example:
    """Returns the example with another rationale, or none."""
    opener = example.parts[1].text if len(example.parts) > 1 else ", seeing that"
    made = explained(example.image, example.question, answer_of(example), text, opener)
    return replace(made, weight=example.weight)


def encode_all(
    vlm: Vlm, examples: Sequence[Example], encoder: RowEncoder | None = None
) -> list[Encoded]:
    """Returns the token sequences of all examples, one after the other."""
    return [
        sequence
        for index, example in enumerate(examples)
        for sequence in encode_example(
            vlm, encoder or encoder_of(vlm), example, index, DEFAULT_STYLE
        )
    ]


def targets_of(sequence: Encoded, name: str) -> list[tuple[int, int]]:
    """Returns the targets of all parts with this loss."""
    return [target for loss, targets in sequence.learned if loss == name for target in targets]


def plain_losses(vlm: Vlm, sequences: Sequence[Encoded]) -> Losses:
    """Returns the losses of the examples, by their index, with a row of its own per sequence."""
    n_examples = 1 + max(sequence.index for sequence in sequences)
    values = torch.zeros(len(NAMES), n_examples)
    counts = torch.zeros(len(NAMES), n_examples)
    by_signature: dict[object, list[Encoded]] = {}
    for sequence in sequences:
        by_signature.setdefault(sequence.row.signature, []).append(sequence)
    for alike in by_signature.values():
        rows = [join([sequence]) for sequence in alike]
        losses, indices = tree_losses(vlm, vlm.model, rows, NAMES)
        values = values.index_add(1, torch.tensor(indices), losses.values)
        counts = counts.index_add(1, torch.tensor(indices), losses.counts)
    return Losses(NAMES, values, counts)
