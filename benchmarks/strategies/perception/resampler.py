"""What a perception is compared with: a resampler that never reads the question, of as many
parameters, that fills the same places with as few distinct vectors."""

from collections.abc import Mapping
from typing import Any

import torch

from worker.ml.model.modules.kinds import KINDS, Kind, Stands

KIND = "resampler"
_PARAMETERS = 86_000
"""About those of a perception of the demo model."""


class Resampler(torch.nn.Module):
    """Gathers features, (pictures, tokens, width), in k vectors, and puts a learned mixture of them
    into each place."""

    def __init__(self, width: int, tokens: int, k: int) -> None:
        super().__init__()
        hidden = (_PARAMETERS - 2 * width * width) // (2 * width)
        self.queries = torch.nn.Parameter(torch.randn(k, width))
        self.at = torch.nn.Parameter(torch.randn(tokens, width) * 0.1)
        self.key = torch.nn.Linear(width, width, bias=False)
        self.value = torch.nn.Linear(width, width, bias=False)
        self.first = torch.nn.Linear(width, hidden)
        self.second = torch.nn.Linear(hidden, width)
        self.places = torch.nn.Parameter(torch.randn(tokens, k))
        torch.nn.init.eye_(self.value.weight)
        torch.nn.init.zeros_(self.second.weight)

    def forward(self, made: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        del given, named
        keys = self.key(made + self.at)
        shares = torch.softmax(self.queries @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5, dim=-1)
        found = shares @ self.value(made)
        found = found + self.second(torch.nn.functional.gelu(self.first(found)))
        return torch.softmax(self.places, dim=-1) @ found


def _build(model: Any, place: str, options: Mapping[str, object]) -> Resampler:
    del model, place
    width, tokens, k = options["width"], options["tokens"], options["k"]
    assert isinstance(width, int)
    assert isinstance(tokens, int)
    assert isinstance(k, int)
    return Resampler(width, tokens, k)


def know_resamplers() -> None:
    """Lets adapters of this process hold such a module."""
    KINDS.setdefault(KIND, Kind(_build, Stands.BEHIND))
