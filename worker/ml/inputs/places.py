"""The places of a picture as people are shown them: a grid of at most nine rows and columns."""

from collections.abc import Mapping

import torch

from worker.ml.inputs.perceiving import Looked
from worker.ml.model.modules.perception import Grid

MOST = 9
"""Rows and columns of a map at most."""
_DIGITS = 5


def coarse(grid: Grid) -> tuple[int, int]:
    """Returns the rows and columns of the map of a grid."""
    return min(MOST, grid.rows), min(MOST, grid.columns)


def blocks(grid: Grid) -> torch.Tensor:
    """Returns which block of the map each place of the grid belongs to, (places,), counted row by
    row from the top left."""
    rows, columns = coarse(grid)
    down = torch.arange(grid.rows) * rows // grid.rows
    across = torch.arange(grid.columns) * columns // grid.columns
    return (down.unsqueeze(1) * columns + across.unsqueeze(0)).flatten()


def attention_of(looked: Looked) -> tuple[float, ...]:
    """Returns the attention of each place of the map, which sum to 1; of several vectors of
    evidence what the one that looks there most has. Raises ValueError where nobody looked."""
    if looked.attention is None:
        raise ValueError("no place was looked at")
    most = looked.attention.detach().float().cpu().amax(0)
    rows, columns = coarse(looked.grid)
    summed = torch.zeros(rows * columns).index_add(0, blocks(looked.grid), most / most.sum())
    return tuple(round(share, _DIGITS) for share in summed.tolist())


def trace_of(looked: Looked) -> Mapping[str, object]:
    """Returns what is stored with a draw of where its request looked
    (app/strategies/perception.py)."""
    rows, columns = coarse(looked.grid)
    return {
        "kind": "perception",
        "looks": [
            {
                "rows": rows,
                "columns": columns,
                "attention": list(attention_of(looked)),
                "occlusion": None,
            }
        ],
        "without": None,
    }
