"""Whether a model can share the prefill of an item among its draws: tried once, then remembered."""

import logging
from dataclasses import replace
from typing import Literal

import torch

from worker.ml.agreement import difference, is_rounding
from worker.ml.decode import decode_plain, decode_shared
from worker.ml.decoding import Group
from worker.ml.encode import Row
from worker.ml.loading import Vlm
from worker.ml.memory import is_out_of_memory, too_small
from worker.ml.shared_attention import understood_by

logger = logging.getLogger(__name__)

N_STEPS = 3


class Recorder:
    """Chooses the most probable token, or the tokens it is given, and keeps the logits by row."""

    def __init__(self, n_rows: int, given: torch.Tensor | None = None, leaves: int = -1) -> None:
        self.given = given
        self.leaves = leaves
        self.tokens: list[list[int]] = [[] for _ in range(n_rows)]
        self.logits: list[list[torch.Tensor]] = [[] for _ in range(n_rows)]

    def __call__(
        self, steps: torch.Tensor, numbers: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = logits.argmax(dim=-1) if self.given is None else self.given[numbers, steps]
        for row, token, values in zip(
            numbers.tolist(), tokens.tolist(), logits.float(), strict=True
        ):
            self.tokens[row].append(token)
            self.logits[row].append(values.cpu())
        return tokens, numbers == self.leaves


Sharing = Literal["prefix", "copies", "none"]


def how_to_share(vlm: Vlm, row: Row) -> Sharing:
    """The best way of decode_shared that gives this model the logits of its own `generate`.

    "prefix": all draws over one copy of an item's keys and values; "copies": a copy each; "none":
    the model takes every draw as a row of its own. Tried on `row` and a longer copy of it (so that
    one is padded), two draws each, with one draw leaving after the first token. A family without a
    suitable cache, with another idea of padding, or that raises on the way, gets the next way:
    slower, never different.
    """
    known: Sharing | None = vlm.memo.get("sharing")
    if known is None:
        try:
            known = vlm.memo["sharing"] = _try(vlm, row)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_small(vlm) from error
            raise
        logger.info("How model %s shares prompts among draws: %s", vlm.name, known)
    return known


def _try(vlm: Vlm, row: Row) -> Sharing:
    last = int(row.continuation[-1] if row.continuation else row.text["input_ids"][0, -1])
    longer = replace(row, continuation=(*row.continuation, last, last))
    expected: list[Recorder] = []
    for one in (row, longer):
        recorder = Recorder(1)
        decode_plain(vlm, [Group(one, (0,))], recorder, N_STEPS)
        expected.append(recorder)
    # `generate` stops at an end token, which a short answer has right away.
    n_steps = min(len(recorder.tokens[0]) for recorder in expected)
    given = torch.tensor(
        [expected[i // 2].tokens[0][:n_steps] for i in range(4)], device=vlm.device
    )
    groups = [Group(row, (0, 1)), Group(longer, (2, 3))]
    with understood_by(vlm.model) as is_understood:
        ways: tuple[Sharing, ...] = ("prefix", "copies") if is_understood else ("copies",)
    for way in ways:
        got = Recorder(4, given, leaves=0)
        try:
            keeps_prefix = way == "prefix"
            limit = 3 if keeps_prefix else 4  # with 3, the longer row enters when a draw has left
            decode_shared(vlm, groups, got, n_steps, limit=limit, keeps_prefix=keeps_prefix)
        except Exception as error:  # a family may object in any way it likes
            if is_out_of_memory(error):
                raise
            logger.info("Sharing (%s) failed with %s: %s", way, type(error).__name__, error)
            continue
        if all(
            is_rounding(
                difference(got.logits[i][step], expected[i // 2].logits[0][step]), vlm.dtype
            )
            for i in range(4)
            for step in range(1 if i == 0 else n_steps)
        ):
            return way
    return "none"
