"""Prototypes: a few centres that gather what the patches of a picture have in common, and give it
back to each patch, in front of the projector.

Of patches Z (patches, width) and K centres C, in the form of the paper (SQ-LLaVA, Sun et al. 2024,
arXiv 2403.11299), T times

    M = softmax(q(C) k(Z)^T)        over the patches
    C = M v(Z)

and then  Z_i + z( 1/K * sum over j of cos(C_j, Z_i) C_j ).  q, k, v and z are linear maps. The
centres begin at random, and where they begin is learned; z begins at zero, so that a fresh module
changes nothing.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

MOST_CENTRES = 256


def n_centres(n_patches: int) -> int:
    """Returns how many centres a picture of so many patches has: half as many, at most 256."""
    return min(MOST_CENTRES, n_patches // 2)


class Prototypes(torch.nn.Module):
    """Takes the patches of pictures, (pictures, patches, width), and returns them enriched."""

    def __init__(self, width: int, centres: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.centres = torch.nn.Parameter(torch.randn(centres, width))
        self.q, self.k, self.v, self.z = (
            torch.nn.Linear(width, width, bias=False) for _ in range(4)
        )
        torch.nn.init.zeros_(self.z.weight)

    def gather(self, patches: torch.Tensor) -> torch.Tensor:
        """Returns the centres of each picture after the iterations, (pictures, K, width)."""
        keys, values = self.k(patches), self.v(patches)
        centres = self.centres.expand(len(patches), -1, -1)
        for _ in range(self.iterations):
            shares = torch.softmax(self.q(centres) @ keys.transpose(1, 2), dim=-1)
            centres = shares @ values
        return centres

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Computes in its own number type and returns that of what it is given."""
        patches = seen.to(self.centres.dtype)
        centres = self.gather(patches)
        near = likeness(centres, patches)
        given_back = near.transpose(1, 2) @ centres / centres.shape[1]
        enriched: torch.Tensor = patches + self.z(given_back)
        return enriched.to(seen.dtype)


def likeness(centres: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """Returns the cosine of each centre and each patch, (pictures, K, patches)."""
    return functional.normalize(centres, dim=-1) @ functional.normalize(patches, dim=-1).transpose(
        1, 2
    )


def build_prototypes(model: Any, place: str, options: Mapping[str, object]) -> Prototypes:
    """Returns fresh prototypes. options: width, centres and iterations, whole numbers from 1 on.
    Raises ValueError for others. Uses torch's global generator."""
    del model, place
    wanted = {"width", "centres", "iterations"}
    sizes = {name: size for name, size in options.items() if isinstance(size, int) and size >= 1}
    if options.keys() != wanted or sizes.keys() != wanted:
        raise ValueError(
            f"Prototypes take {', '.join(sorted(wanted))}, each a whole number from 1 on, and are "
            f"given {dict(options)}."
        )
    return Prototypes(**sizes)
