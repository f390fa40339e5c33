"""Interactive perception: what a model is shown of a picture depends on what it asks.

Of the features of a picture (tokens, width) that the model's own projector made, the model is shown
as many tokens as ever, at their places, but only a few distinct vectors: the basic ones, means of
parts of the picture, stand everywhere, and the evidence that a request found is written back to
where it was found, since a frozen base reads its places. The request is what the model's middle
layer holds of a few learned tokens behind the question (perceiving.py); of it q(request) and the
features' k(features) + p(place) come the shares

    a = softmax(q . k / sqrt(keys))      over the places, one row for each vector of evidence

and what is shown is a mixture of the features, (1 - w) basic + w evidence with w the shares
themselves and evidence = a features: it is linear in the features, so that a picture's deeper
features are mixed alike. (LMEye, Li et al. 2023, arXiv 2305.03701; docs/perception.md says what
differs.)

The pooled path is that of the code that was released with the paper, for comparison: the request
sees one mean of the picture, taken apart into five vectors, and what comes of them stands at every
place, added to the basic vectors.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

MOST_KEYS = 128
"""Of how many numbers a key is at most."""
N_APART = 5
"""The vectors into which the pooled path takes a picture apart."""
_WAVES = 4


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the tokens of a picture stand: the first `n_before` stand for all of it, then come
    rows * columns places, row by row."""

    n_before: int
    rows: int
    columns: int

    @property
    def n_places(self) -> int:
        """Returns how many tokens stand for a place."""
        return self.rows * self.columns

    @property
    def n_tokens(self) -> int:
        """Returns how many tokens a picture has."""
        return self.n_before + self.n_places

    def coordinates(self) -> torch.Tensor:
        """Returns the middle of each place, (places, 2): row and column, from 0 to 1."""
        down = (torch.arange(self.rows) + 0.5) / self.rows
        across = (torch.arange(self.columns) + 0.5) / self.columns
        return torch.cartesian_prod(down, across).view(-1, 2)


@dataclass(frozen=True, eq=False)
class Shown:
    """What a model is shown of pictures. mixture: (pictures, tokens, tokens), how each token is
    mixed of the features; added: (pictures, 1, width) to all of them, None for nothing; attention:
    (pictures, evidence, places), None where no place was looked at."""

    mixture: torch.Tensor
    added: torch.Tensor | None
    attention: torch.Tensor | None

    def of(self, features: torch.Tensor) -> torch.Tensor:
        """Returns what is shown of features, (pictures, tokens, width), in their number type."""
        made = self.mixture @ features.to(self.mixture.dtype)
        if self.added is not None:
            made = made + self.added
        return made.to(features.dtype)


class Perception(torch.nn.Module):
    """Mixes features by a request. Computes in its own number type."""

    def __init__(  # noqa: PLR0917 - all of them are sizes
        self,
        width: int,
        layer: int,
        requests: int,
        evidence: int,
        basic: int,
        path: Literal["patches", "pooled"],
    ) -> None:
        super().__init__()
        self.layer, self.requests, self.evidence, self.basic = layer, requests, evidence, basic
        self.path = path
        keys = min(width, MOST_KEYS)
        n_queries = evidence if path == "patches" else 1
        self.of_request = torch.nn.LayerNorm(requests * width)
        self.q = torch.nn.Linear(requests * width, n_queries * keys)
        self.of_features = torch.nn.LayerNorm(width)
        if path == "patches":
            self.k = torch.nn.Linear(width, keys, bias=False)
            self.p = torch.nn.Linear(4 * _WAVES, keys, bias=False)
        else:
            self.apart = torch.nn.Linear(width, N_APART * keys)
            self.back = torch.nn.Linear(keys, width, bias=False)
            torch.nn.init.zeros_(self.back.weight)

    def basics(self, grid: Grid) -> torch.Tensor:
        """Returns how the basic vectors are mixed of the features, (tokens, tokens): each token is
        the mean of its part of the picture. One part is the whole picture, all its tokens."""
        n, device = grid.n_tokens, self.q.weight.device
        if self.basic == 1:
            return torch.full((n, n), 1.0 / n, device=device)
        parts = torch.arange(grid.n_places, device=device) * self.basic // grid.n_places
        same = (parts.unsqueeze(0) == parts.unsqueeze(1)).float()
        mixed = torch.full((n, n), 1.0 / n, device=device)
        mixed[grid.n_before :] = 0.0
        mixed[grid.n_before :, grid.n_before :] = same / same.sum(1, keepdim=True)
        return mixed

    def show(self, features: torch.Tensor, request: torch.Tensor | None, grid: Grid) -> Shown:
        """Returns what is shown of some pictures, (pictures, tokens, width), for the request of
        each, (pictures, requests, width); for None the basic perception alone."""
        basics = self.basics(grid).expand(len(features), -1, -1)
        if request is None:
            return Shown(basics, None, None)
        features = features.to(self.q.weight.dtype)
        query = self.q(self.of_request(request.to(features.dtype).flatten(1)))
        if self.path == "pooled":
            return Shown(basics, self._pooled(features, query), None)
        places = self.of_features(features[:, grid.n_before :])
        keys = self.k(places) + self.p(_waves(grid).to(features.device))
        queries = query.view(len(features), self.evidence, -1)
        scores = queries @ keys.transpose(1, 2) / math.sqrt(keys.shape[-1])
        attention = torch.softmax(scores, dim=-1)
        return Shown(_written(basics, attention, grid), None, attention)

    def _pooled(self, features: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        apart = self.apart(self.of_features(features.mean(1))).view(len(features), N_APART, -1)
        scores = (apart @ query.unsqueeze(-1)).squeeze(-1) / math.sqrt(apart.shape[-1])
        found = (torch.softmax(scores, dim=-1).unsqueeze(1) @ apart).squeeze(1) + query
        made: torch.Tensor = self.back(torch.nn.functional.gelu(found)).unsqueeze(1)
        return made


def _written(basics: torch.Tensor, attention: torch.Tensor, grid: Grid) -> torch.Tensor:
    """The basic vectors with the evidence in the places where it was found. Where several vectors
    of evidence were found at one place, they share it."""
    taken = attention.sum(1, keepdim=True).clamp(min=1.0)
    shares = (attention / taken).transpose(1, 2)  # (pictures, places, evidence)
    evidence = shares @ attention  # (pictures, places, places)
    kept = 1.0 - shares.sum(-1, keepdim=True)
    before = basics[:, : grid.n_before]
    at_places = kept * basics[:, grid.n_before :]
    at_places = at_places + torch.nn.functional.pad(evidence, (grid.n_before, 0))
    return torch.cat([before, at_places], dim=1)


def _waves(grid: Grid) -> torch.Tensor:
    """Each place in waves, (places, 4 * _WAVES), which tell near and far places apart."""
    at = grid.coordinates().unsqueeze(-1) * (2.0 ** torch.arange(_WAVES)) * math.pi
    return torch.cat([at.sin(), at.cos()], dim=-1).flatten(1)


def build_perception(model: Any, place: str, options: Mapping[str, object]) -> Perception:
    """Returns a fresh perception. options: width, layer, requests, evidence and basic, whole
    numbers from 1 on, and the path. Raises ValueError for others. Uses torch's global generator."""
    del model, place
    sizes = {name: size for name, size in options.items() if isinstance(size, int) and size >= 1}
    path = options.get("path")
    wanted = {"width", "layer", "requests", "evidence", "basic"}
    if options.keys() != {*wanted, "path"} or sizes.keys() != wanted:
        raise ValueError(
            f"A perception takes {', '.join(sorted(wanted))}, each a whole number from 1 on, and a "
            f"path, and is given {dict(options)}."
        )
    if path not in {"patches", "pooled"}:
        raise ValueError(f"A perception has the path patches or pooled, and not {path}.")
    return Perception(**sizes, path=path)
