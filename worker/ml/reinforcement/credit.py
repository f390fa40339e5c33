"""Computes the advantage of each part of a draw: how much more often it is to be said.

Where parts earned something by themselves, such as a question that somebody marked, a part answers
for what came from it on: its own, that of later parts, and how the draw ended. This is GRPO with
process supervision (Shao et al. 2024, arXiv 2402.03300, section 4.1.3), except that what came is
summed up first and compared then, so that without such parts it is GRPO as trl has it.
"""

from collections.abc import Sequence

import torch

from worker.ml.reinforcement.scores import Row
from worker.ml.reinforcement.types import Rolled

_LEAST_SPREAD = 1e-4
"""Added to standard deviations, as trl does."""


def advantages_by_part(rolled: Sequence[Rolled], n_draws: int) -> list[list[float]] | None:
    """Returns, of each draw, the advantage of its first part, its second, and so on: what came from
    there on, less the mean over its group of `n_draws` draws in a row, in standard deviations of
    the group. None where no part earned anything by itself."""
    width = max((len(one.earned) for one in rolled), default=0) + 1
    if width == 1:
        return None
    came = torch.tensor([_came_from_each_part_on(one, width) for one in rolled])
    groups = came.view(-1, n_draws, width)
    spread = groups.std(1, keepdim=True) + _LEAST_SPREAD
    advantages = (groups - groups.mean(1, keepdim=True)) / spread
    made: list[list[float]] = advantages.view(-1, width).tolist()
    return made


def _came_from_each_part_on(one: Rolled, width: int) -> list[float]:
    """Parts that earned nothing, and those a draw does not have, answer for its end alone."""
    end = one.reward - sum(one.earned)
    return [end + sum(one.earned[part:]) for part in range(width)]


def in_columns(by_part: Sequence[Sequence[float]], rows: Sequence[Row], width: int) -> torch.Tensor:
    """Returns the advantages as (rows, width), by the places of `Row.tokens`; 0 where nothing was
    said."""
    made = torch.zeros(len(rows), width)
    for number, (row, advantages) in enumerate(zip(rows, by_part, strict=True)):
        for place, part in enumerate(row.parts):
            if part is not None:
                made[number, place] = advantages[min(part, len(advantages) - 1)]
    return made
