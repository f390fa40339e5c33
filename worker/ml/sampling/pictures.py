"""Reads a picture once for all questions about it: contexts are cut where they begin to differ.

A context is the picture and the first words of a prompt. Prompts that ask different things of one
picture differ behind it only, so its keys and values are the same for all of them. After the cut
the words that differ are continuations of one context, which sampling reads once.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import torch

from worker.ml.inputs.encode import Row
from worker.ml.model.loading import Vlm
from worker.ml.sampling.batch import Group


def cut_after_pictures(
    vlm: Vlm, groups: Sequence[Group], pictures: Sequence[Hashable]
) -> list[Group]:
    """Returns the groups with rows cut where that lets several share a picture. pictures: what each
    group shows, equal for equal pictures."""
    rows_of: dict[Hashable, list[Row]] = {}
    for group, picture in zip(groups, pictures, strict=True):
        rows_of.setdefault(picture, []).append(group.row)
    cut = {
        id(row): new
        for rows in rows_of.values()
        for row, new in zip(rows, _cut(vlm, rows), strict=True)
    }
    return [replace(group, row=cut[id(group.row)]) for group in groups]


def cut_row(vlm: Vlm, row: Row) -> Row | None:
    """Returns a row cut behind its picture; None where it cannot be told where that ends."""
    n = _least(vlm, row)
    return _at(row, _columns(row, n), n) if n and n < _n_context(row) else None


def _least(vlm: Vlm, row: Row) -> int:
    """How many tokens a beginning must have: those of the picture and the one behind it, from whose
    position the positions of further ones can be told; 0 where no token stands for the picture."""
    config = vlm.model.config
    names = ("image_token_id", "image_token_index")
    token = next((found for n in names if (found := getattr(config, n, None)) is not None), None)
    if token is None:
        return 0
    places = (row.text["input_ids"][0] == token).nonzero().squeeze(-1)
    return int(places[-1]) + 2 if len(places) else 0


def _cut(vlm: Vlm, rows: Sequence[Row]) -> Sequence[Row]:
    """Rows that show one picture, with one common beginning if they have one that holds it."""
    contexts = list({id(row.text): row for row in rows}.values())
    first = contexts[0]
    if len(contexts) == 1 or not all(_shows_the_same(first, row) for row in contexts[1:]):
        return rows
    n = min(_common(first, row) for row in contexts[1:])
    if not 0 < _least(vlm, first) <= n:
        return rows
    head = _columns(first, n)
    return [_at(row, head, n) for row in rows]


def _at(row: Row, head: dict[str, torch.Tensor], n: int) -> Row:
    rest = row.text["input_ids"][0, n:].tolist()
    return replace(row, text=head, continuation=(*rest, *row.continuation))


def _columns(row: Row, n: int) -> dict[str, torch.Tensor]:
    return {name: tensor[:, :n] for name, tensor in row.text.items()}


def _n_context(row: Row) -> int:
    return row.text["input_ids"].shape[1]


def _common(one: Row, other: Row) -> int:
    """How many first tokens two contexts have in common."""
    n = min(_n_context(one), _n_context(other))
    differs = one.text["input_ids"][0, :n] != other.text["input_ids"][0, :n]
    return int(differs.nonzero()[0]) if bool(differs.any()) else n


def _shows_the_same(one: Row, other: Row) -> bool:
    """Whether the picture reaches the model alike: a Q-Former that reads the question sees another
    one in each."""
    return one.image.keys() == other.image.keys() and all(
        tensor is other.image[name] or torch.equal(tensor, other.image[name])
        for name, tensor in one.image.items()
    )
