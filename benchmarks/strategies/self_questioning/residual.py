"""What prototypes are compared with: a residual module of as many parameters that knows no
centres."""

from collections.abc import Mapping
from typing import Any

import torch

from worker.ml.model.modules.kinds import KINDS, Kind, Stands

KIND = "residual"


class Residual(torch.nn.Module):
    """Adds to each patch what two linear layers make of it alone. It begins at zero, as prototypes
    do, and has as many parameters as these: four maps and the centres."""

    def __init__(self, width: int, centres: int) -> None:
        super().__init__()
        hidden = 2 * width + centres // 2
        self.first = torch.nn.Linear(width, hidden, bias=False)
        self.second = torch.nn.Linear(hidden, width, bias=False)
        torch.nn.init.zeros_(self.second.weight)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = seen + self.second(torch.nn.functional.gelu(self.first(seen)))
        return made


def _build(model: Any, place: str, options: Mapping[str, object]) -> Residual:
    del model, place
    width, centres = options["width"], options["centres"]
    assert isinstance(width, int)
    assert isinstance(centres, int)
    return Residual(width, centres)


def know_residuals() -> None:
    """Lets adapters of this process hold such a module."""
    KINDS.setdefault(KIND, Kind(_build, Stands.BEFORE))
