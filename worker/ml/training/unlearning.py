"""What is to be said less: the loss of parts that people did not want.

A part of an example by the loss DROPPED is worth

    sigmoid(beta * r)   with   r = ln p(part) - ln p0(part)

p the model as it learns, p0 as the training found it, both over all tokens of the part, its end
included. It is 1/2 at first and falls as the part becomes less probable than it was, and its pull
fades with it, so that nothing is torn down that other parts need. (The term of undesirable texts of
KTO, Ethayarajh et al. 2024, arXiv 2402.01306, with 0 as the point of reference, as trl has it in
`apo_zero_unpaired`. What is wanted is learned by its own loss.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from worker.ml.model.loading import Vlm
from worker.ml.training.branches import Tree, tree_losses
from worker.ml.training.forwards import Form, Precision, cut
from worker.ml.training.losses import Losses, loss_names
from worker.ml.types import DROPPED, Example

BETA = 0.1
"""That of KTO."""


@dataclass(frozen=True)
class Unlearning:
    """before: by the number of an example, the mean loss of its dropped part, in nats per token, as
    the training found the model."""

    before: Mapping[int, float] = field(default_factory=dict)

    def weigh(self, losses: Losses, forward: Sequence[Tree], rows: Sequence[int]) -> Losses:
        """Returns losses in which those of dropped parts are what they are worth. rows: the numbers
        of the examples in the forward, in the order of the losses."""
        if DROPPED not in losses.names:
            return losses
        place = losses.names.index(DROPPED)
        means = losses.values[place]
        lengths = means.new_tensor(_lengths(forward))
        before = means.new_tensor([self.before.get(row, 0.0) for row in rows])
        worth = torch.sigmoid(BETA * lengths * (before - means)) * losses.counts[place]
        values = [*losses.values[:place], worth, *losses.values[place + 1 :]]
        return replace(losses, values=torch.stack(values))


@torch.no_grad()
def look_back(
    vlm: Vlm, model: Any, form: Form, examples: Sequence[Example], autocast: Precision
) -> Unlearning:
    """Returns what dropped parts are compared with: the model as it is now. Raises ValueError for
    an example with several of them, ImageError and PromptError as a step does."""
    dropped = [place for place, example in enumerate(examples) if DROPPED in example.losses]
    if any(examples[place].losses.count(DROPPED) > 1 for place in dropped):
        raise ValueError("an example has one dropped part at most")
    names = loss_names(examples)
    before: dict[int, float] = {}
    was_training = vlm.model.training
    vlm.model.eval()
    for forward in cut(form, examples, [[place] for place in dropped], autocast):
        with autocast():
            losses, rows = tree_losses(vlm, model, forward, names)
        before |= dict(zip(rows, losses.of(DROPPED).tolist(), strict=True))
    vlm.model.train(was_training)
    return Unlearning(before)


def _lengths(forward: Sequence[Tree]) -> list[int]:
    """How many tokens are learned of the dropped part of each example, 0 where it has none."""
    return [
        sum(
            len(tree.targets(node))
            for node in tree.nodes
            if node.piece.loss == DROPPED and path in node.paths
        )
        for tree in forward
        for path in range(len(tree.indices))
    ]
