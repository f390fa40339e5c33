"""Whether a model can share the prefill of an item among its draws: tried once, then remembered."""

import logging
from dataclasses import replace

import torch

from worker.ml.inputs.encode import Row
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory, too_small
from worker.ml.same_logits import difference, is_rounding
from worker.ml.sampling.batch import Group, Sharing
from worker.ml.sampling.loop import decode_plain, decode_shared
from worker.ml.sampling.pictures import cut_row

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


def how_to_share(vlm: Vlm, row: Row) -> Sharing:
    """Returns the best way of decode_shared that gives this model the logits of its own `generate`.

    Tried on `row`, a longer copy and one without its continuation (so that some are padded), two
    draws each, with one draw leaving after the first token and, where that is possible, the last
    row entering then. A family without a suitable cache, with another idea of padding, or that
    raises on the way, gets the next way: slower, never different.
    """
    # A model that shares with pictures need not share without, nor the other way round.
    place = "sharing" if row.image else "sharing_without_image"
    known: Sharing | None = vlm.memo.get(place)
    if known is None:
        try:
            known = vlm.memo[place] = _try(vlm, row)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_small(vlm) from error
            raise
        logger.info("How model %s shares prompts among draws: %s", vlm.name, known)
    return known


def _try(vlm: Vlm, row: Row) -> Sharing:
    last = int(row.continuation[-1] if row.continuation else row.text["input_ids"][0, -1])
    longer = replace(row, continuation=(*row.continuation, last, last))
    rows = (row, longer, replace(row, continuation=()))
    expected: list[Recorder] = []
    for one in rows:
        recorder = Recorder(1)
        decode_plain(vlm, [Group(one, (0,))], recorder, N_STEPS)
        expected.append(recorder)
    # `generate` stops at an end token, which a short answer has right away.
    n_steps = min(len(recorder.tokens[0]) for recorder in expected)
    given = torch.tensor(
        [expected[i // 2].tokens[0][:n_steps] for i in range(6)], device=vlm.device
    )
    groups = [Group(one, (2 * place, 2 * place + 1)) for place, one in enumerate(rows)]

    def is_right(sharing: Sharing, limit: int) -> bool:
        got = Recorder(6, given, leaves=0)
        try:
            decode_shared(vlm, groups, got, n_steps, limit=limit, sharing=sharing)
        except Exception as error:  # a family may object in any way it likes
            if is_out_of_memory(error):
                raise
            logger.info("Sharing (%s) failed with %s: %s", sharing, type(error).__name__, error)
            return False
        return all(
            is_rounding(
                difference(got.logits[i][step], expected[i // 2].logits[0][step]), vlm.dtype
            )
            for i in range(6)
            for step in range(1 if i == 0 else n_steps)
        )

    if is_right("prefix", 5):  # the last row enters when a draw has left
        if not is_right("contexts", 6):
            return "prefix"
        cut = cut_row(vlm, replace(row, continuation=()))
        if cut is None:
            return "contexts"
        groups = [
            replace(
                group,
                row=replace(cut, continuation=(*cut.continuation, *group.row.continuation)),
            )
            for group in groups
        ]
        return "pictures" if is_right("contexts", 6) else "contexts"
    return "copies" if is_right("copies", 6) else "none"
