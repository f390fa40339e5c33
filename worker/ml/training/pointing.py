"""The loss that leads a request to boxes: ours, and of no paper.

Of the shares a of a request's attention, one row for each vector of evidence,

    L = - log( 1 - product over the vectors of (1 - sum of a over the places in the boxes) )

so that it is enough where one of several vectors looks there.
"""

from collections.abc import Sequence

import torch

from worker.ml.inputs.perceiving import Looked
from worker.ml.model.modules.perception import Grid
from worker.ml.types import Box

_LEAST = 1e-6


def point_losses(
    looked: Sequence[Looked | None], boxes: Sequence[Sequence[Sequence[Box]]]
) -> dict[int, torch.Tensor]:
    """Returns the loss, in nats, of each example that has boxes, by its place among all examples.
    looked: where the request of each context looked; boxes: those of each of its examples."""
    found: dict[int, torch.Tensor] = {}
    number = 0
    for one, of_context in zip(looked, boxes, strict=True):
        for of_example in of_context:
            if of_example and one is not None and one.attention is not None:
                inside = places_in(one.grid, of_example).to(one.attention.device)
                missed = (one.attention * ~inside).sum(-1).prod()
                found[number] = -torch.log((1.0 - missed).clamp(min=_LEAST))
            number += 1
    return found


def places_in(grid: Grid, boxes: Sequence[Box]) -> torch.Tensor:
    """Returns which places are in one of the boxes, (places,): those that lie in it by half, or
    else the one in which the middle of the box is."""
    inside = torch.zeros(grid.rows, grid.columns, dtype=torch.bool)
    for left, top, right, bottom in boxes:
        down = _covered(grid.rows, top, bottom)
        across = _covered(grid.columns, left, right)
        covered = down.unsqueeze(1) * across.unsqueeze(0) >= 0.5
        if not bool(covered.any()):
            row = min(grid.rows - 1, int((top + bottom) / 2 * grid.rows))
            column = min(grid.columns - 1, int((left + right) / 2 * grid.columns))
            covered[row, column] = True
        inside |= covered
    return inside.flatten()


def _covered(n: int, start: float, stop: float) -> torch.Tensor:
    """How much of each of n equal parts of a side lies between start and stop, from 0 to 1."""
    begin = torch.arange(n) / n
    overlap = torch.clamp(begin + 1 / n, max=stop) - torch.clamp(begin, min=start)
    return (overlap * n).clamp(0.0, 1.0)
