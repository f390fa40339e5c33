"""Two ways to decode many draws, with one rule for choosing tokens.

*Shared*: the image and the prompt of an item pass through the model once, and all its draws go on
from there: over one copy of its keys and values (shared_attention.py), or over a copy each where
the model's attention cannot do that. Draws that have ended leave, and waiting ones enter. *Plain*:
every draw is a row of its own in `model.generate`. Both give the same texts up to floating point;
which one a model can do is found out by trying (sharing.py).
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from worker.ml.errors import Stopped
from worker.ml.inputs.encode import collate
from worker.ml.model.loading import Vlm
from worker.ml.sampling.batch import Chooser, Decoding, Group, Sharing, run_generate
from worker.ml.sampling.choose import choose_tokens, top_k_of
from worker.ml.sampling.shared_attention import keeps_prefixes, understood_by

ShouldStop = Callable[[], bool]
# Rows leave once this share of them has ended, and others enter once this share of the room is
# free: both cost a copy, and entering makes the others wait while prompts are read.
LEAVE_SHARE = 0.25
ENTER_SHARE = 0.25


@dataclass(eq=False)
class SeededChooser:
    """The sampling rule. temperatures (draws,), uniforms (draws, max_new_tokens) float64, ends (end
    token ids,), all on the device that shall choose: the model's if that knows float64. Collects
    tokens (draws, max_new_tokens; -1 after the end), the sum of their ln p, and who is done; says
    how many more are done to `on_done`."""

    temperatures: torch.Tensor
    uniforms: torch.Tensor
    ends: torch.Tensor
    top_k_share: float
    on_done: Callable[[int], None]

    def __post_init__(self) -> None:
        self.tokens = torch.full_like(self.uniforms, -1, dtype=torch.long)
        self.log_probabilities = torch.zeros_like(self.temperatures, dtype=torch.float64)
        self.is_done = torch.zeros_like(self.temperatures, dtype=torch.bool)

    def __call__(
        self, steps: torch.Tensor, numbers: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device = logits.device
        steps, numbers, logits = (part.to(self.tokens.device) for part in (steps, numbers, logits))
        tokens, log_p = choose_tokens(
            logits,
            self.temperatures[numbers],
            self.uniforms[numbers, steps],
            top_k_of(logits.shape[-1], self.top_k_share),
        )
        self.tokens[numbers, steps] = tokens
        self.log_probabilities[numbers] += log_p
        ended = torch.isin(tokens, self.ends)
        is_done = ended | (steps + 1 == self.uniforms.shape[1])
        self.is_done[numbers] = is_done
        if n_done := int(is_done.sum()):
            self.on_done(n_done)
        return tokens.to(device), ended.to(device)

    def forget_unfinished(self) -> None:
        """Draws that were cut off begin anew."""
        self.tokens[~self.is_done] = -1
        self.log_probabilities[~self.is_done] = 0.0


# Also while an adapter is trained, between two epochs: nothing is kept for a backward pass.
@torch.no_grad()
def decode_shared(
    vlm: Vlm,
    groups: Sequence[Group],
    choose: Chooser,
    max_new_tokens: int,
    *,
    limit: int,
    sharing: Sharing,
    should_stop: ShouldStop | None = None,
) -> None:
    """Decodes all draws of all groups, with one prefill of each group's row and at most `limit`
    draws at a time. Where draws share their keys and values, waiting groups enter as soon as enough
    draws have ended; where each has its own copy, the next batch waits for the end of this one."""
    waiting = deque(part for group in groups for part in _parts(group, limit))
    keeps_prefix = sharing in ("pictures", "contexts", "prefix")
    with understood_by(vlm.model) if keeps_prefix else nullcontext():
        while waiting:
            begun = _take(waiting, limit)
            # Those who enter later begin where the others already are.
            room = 2 * max_new_tokens if keeps_prefix and waiting else max_new_tokens
            batch = Decoding.start(vlm, begun, room, sharing)
            may_join = room > max_new_tokens and keeps_prefixes(batch.state["past_key_values"])
            while True:
                if should_stop is not None and should_stop():
                    raise Stopped
                n_left = batch.choose(choose, max_new_tokens)
                if n_left == 0:
                    break
                free = limit - n_left
                if may_join and free >= ENTER_SHARE * limit and (some := _take(waiting, free)):
                    batch.drop_ended()
                    entering = Decoding.start(vlm, some, room, sharing)
                    entering.choose(choose, max_new_tokens)
                    batch.join(entering)
                elif n_left <= (1 - LEAVE_SHARE) * batch.n_rows:
                    batch.drop_ended()
                batch.advance()


def _parts(group: Group, limit: int) -> list[Group]:
    """A group, in parts where it has more draws than may be decoded together."""
    starts = range(0, len(group.numbers), limit)
    return [Group(group.row, group.numbers[start : start + limit]) for start in starts]


def _take(waiting: deque[Group], free: int) -> list[Group]:
    taken = []
    while waiting and len(waiting[0].numbers) <= free:
        taken.append(waiting.popleft())
        free -= len(taken[-1].numbers)
    return taken


@torch.no_grad()
def decode_plain(
    vlm: Vlm,
    groups: Sequence[Group],
    choose: Chooser,
    max_new_tokens: int,
    *,
    should_stop: ShouldStop | None = None,
) -> None:
    """Decodes one row per draw with the model's own `generate`. The groups' rows must be of equal
    length, so that nothing is padded: the reference for every family."""
    rows = [group.row for group in groups for _ in group.numbers]
    numbers = torch.tensor([n for group in groups for n in group.numbers], device=vlm.device)
    forced = _Forced(choose, numbers, should_stop)
    processors = LogitsProcessorList([forced])
    batch = collate(vlm, rows, pad="left")
    run_generate(vlm, batch, max_new_tokens, logits_processor=processors)


class _Forced(LogitsProcessor):
    """Leaves `generate` no choice but ours: it hides all tokens except the chosen one."""

    def __init__(
        self, choose: Chooser, numbers: torch.Tensor, should_stop: ShouldStop | None
    ) -> None:
        self._choose = choose
        self._numbers = numbers
        self._should_stop = should_stop
        self._step = 0
        self._present = torch.arange(len(numbers), device=numbers.device)
        self._end_token = torch.zeros_like(self._present)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        if self._should_stop is not None and self._should_stop():
            raise Stopped
        live = self._present
        tokens = self._end_token.clone()
        if len(live):
            steps = torch.full_like(live, self._step)
            chosen, ended = self._choose(steps, self._numbers[live], scores[live])
            tokens[live] = chosen
            self._end_token[live] = chosen  # an ended row repeats its end token; `generate` pads it
            self._present = live[~ended]
        self._step += 1
        hidden = torch.full_like(scores, -torch.inf)
        return hidden.scatter(-1, tokens.unsqueeze(-1), 0.0)
