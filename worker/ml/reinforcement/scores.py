"""How probable is what was said: the log probability of every token that was sampled."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from worker.ml.inputs.encode import collate
from worker.ml.model.loading import Vlm
from worker.ml.training.losses import Encoded, asked_logits


@dataclass(frozen=True)
class Row:
    """A sequence as trl is told of it: the tokens before what was said, those from there on, an
    end token behind the last, and of each of the latter's places which part asks there for
    something that was said, counted from 0; None where nothing was said.

    Where a piece ended and something else was put behind it, the first token of that stands at a
    place that asks for the end token.
    """

    prompt: list[int]
    tokens: list[int]
    parts: list[int | None]

    @property
    def is_said(self) -> list[int]:
        return [int(part is not None) for part in self.parts]

    @classmethod
    def of(cls, encoded: Encoded | None, end: int) -> "Row":
        """Returns the row of a sequence; one that asks for nothing where there is none."""
        if encoded is None:
            return cls([end], [end], [None])
        tokens = [*encoded.row.continuation, end]
        asked = {
            _column(encoded, position): part
            for part, (_, targets) in enumerate(encoded.learned)
            for position, _ in targets
        }
        return cls(
            prompt=encoded.row.text["input_ids"][0].tolist(),
            tokens=tokens,
            parts=[asked.get(place) for place in range(len(tokens))],
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """Of every token that was said in some rows: rows and columns (tokens,), where it stands among
    the places of `Row.tokens`; log_probs and entropies (tokens,), the former with a gradient."""

    n_rows: int
    rows: torch.Tensor
    columns: torch.Tensor
    log_probs: torch.Tensor
    entropies: torch.Tensor

    def in_columns(self, width: int) -> torch.Tensor:
        """Returns the log probabilities as (rows, width), 0 where nothing is asked."""
        return self._spread(self.log_probs, width)

    def entropies_in_columns(self, width: int) -> torch.Tensor:
        """Returns the entropies as (rows, width), 0 where nothing is asked."""
        return self._spread(self.entropies, width)

    def _spread(self, values: torch.Tensor, width: int) -> torch.Tensor:
        empty = values.new_zeros(self.n_rows, width)
        return empty.index_put((self.rows, self.columns), values)


def score(
    vlm: Vlm,
    model: Any,
    rows: Sequence[Encoded | None],
    temperature: float,
    *,
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Scores:
    """Returns how probable is what was said in some rows, where it was sampled at a temperature
    from the whole vocabulary. model: that of `vlm`, or one that wraps it."""
    made: list[Scores] = []
    was_training = vlm.model.training
    vlm.model.eval()  # without dropout, as it was sampled
    try:
        for places in _alike(rows):
            known = [(place, one) for place in places if (one := rows[place]) is not None]
            with precision():
                made.append(_score_alike(vlm, model, known, temperature))
    finally:
        vlm.model.train(was_training)
    nothing = torch.zeros(0, device=vlm.device)
    none = nothing.long()
    return Scores(
        n_rows=len(rows),
        rows=torch.cat([none, *(one.rows for one in made)]),
        columns=torch.cat([none, *(one.columns for one in made)]),
        log_probs=torch.cat([nothing, *(one.log_probs for one in made)]),
        entropies=torch.cat([nothing, *(one.entropies for one in made)]),
    )


def _score_alike(
    vlm: Vlm, model: Any, rows: Sequence[tuple[int, Encoded]], temperature: float
) -> Scores:
    """The scores of rows that share a forward, each with its place among all."""
    asked = [
        (number, position, token, place, _column(one, position))
        for number, (place, one) in enumerate(rows)
        for position, token in one.targets
    ]
    batch = collate(vlm, [one.row for _, one in rows], pad="right")
    logits = asked_logits(vlm, model, batch, [(number, position) for number, position, *_ in asked])
    known = (logits.float() / temperature).log_softmax(-1)
    tokens, places, columns = (
        torch.tensor([one[number] for one in asked], device=vlm.device) for number in (2, 3, 4)
    )
    return Scores(
        n_rows=len(rows),
        rows=places,
        columns=columns,
        log_probs=known.gather(-1, tokens.unsqueeze(-1)).squeeze(-1),
        entropies=-(known.detach().exp() * known.detach()).sum(-1),
    )


def _column(encoded: Encoded, position: int) -> int:
    """The place, among the tokens after the context, of what the logits at a position ask for."""
    return position + 1 - encoded.n_context


def _alike(rows: Sequence[Encoded | None]) -> list[list[int]]:
    """The places of rows that can share a forward; those without a sequence are left out."""
    found: dict[object, list[int]] = {}
    for place, one in enumerate(rows):
        if one is not None:
            found.setdefault(one.row.signature, []).append(place)
    return list(found.values())
