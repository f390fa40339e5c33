"""Rows added to the table of words: tokens that no text is ever read as, learned with an adapter.

The tokenizer stays as it is. The numbers of the added rows follow those of the model's own table,
so no text can come to mean one; whoever writes a prompt puts them in by number (prompts.py). The
model reads them and never says them, so the output layer has no rows for them.
"""

from collections.abc import Mapping
from typing import Any

import torch

_LOOKED_AT = 512


class AddedRows(torch.nn.Module):
    """Stands around an embedding: what it looks up for numbers from `first` on are its own rows."""

    def __init__(self, first: int, names: tuple[str, ...], start: torch.Tensor) -> None:
        super().__init__()
        self.first, self.names = first, names
        self.rows = torch.nn.Parameter(start)
        self._asked: torch.Tensor | None = None

    def number_of(self, name: str) -> int:
        """Returns the number by which a row is asked for. Raises ValueError where there is none."""
        return self.first + self.names.index(name)

    def before(self, ids: torch.Tensor) -> torch.Tensor:
        """Notes what is asked for and hands on numbers that the embedding knows."""
        self._asked = ids
        return ids.masked_fill(ids >= self.first, 0)

    def forward(self, made: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        """Puts the rows where they were asked for, in the number type of what was looked up."""
        del given, named
        asked = self._asked
        self._asked = None
        if asked is None or not bool((asked >= self.first).any()):
            return made
        own = self.rows[(asked - self.first).clamp(min=0)].to(made.dtype)
        return torch.where((asked >= self.first).unsqueeze(-1), own, made)


def build_rows(model: Any, place: str, options: Mapping[str, object]) -> AddedRows:
    """Returns fresh rows, one for each of the `names` in the options, spread as the words of the
    model are. Raises ValueError where the place holds no table of words. Uses torch's global
    generator."""
    table = model.get_submodule(place)
    names = options.get("names")
    if not isinstance(table, torch.nn.Embedding):
        raise ValueError(f"The module {place} is no table of words, to which rows can be added.")
    if options.keys() != {"names"} or not isinstance(names, list | tuple) or not names:
        raise ValueError(f"Added rows take names, and are given {dict(options)}.")
    n_words = table.num_embeddings
    with torch.no_grad():  # through the module: some families scale what they look up
        some = torch.arange(min(n_words, _LOOKED_AT), device=table.weight.device)
        words = table(some).float().cpu()
    start = words.mean(0) + words.std(0) * torch.randn(len(names), words.shape[1])
    return AddedRows(n_words, tuple(map(str, names)), start)
