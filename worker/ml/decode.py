"""Two ways to decode a batch, with one rule for choosing tokens.

*Shared*: the image and the prompt of an item pass through the model once, and all its draws go on
from there: over one copy of its keys and values (shared_attention.py), or over a copy each where
the model's attention cannot do that. Rows that have ended leave the batch. *Plain*: every
draw is a row of its own in `model.generate`. Both give the same texts up to floating point; which
one a model can do is found out by trying (sharing.py).
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from worker.ml.cache import expand
from worker.ml.choose import choose_tokens, top_k_of
from worker.ml.encode import Row, Tensors, collate
from worker.ml.errors import Stopped
from worker.ml.loading import Vlm
from worker.ml.shared_attention import share, understood_by

ShouldStop = Callable[[], bool]
# A batch is made smaller once this share of its rows has ended: leaving rows costs a copy.
LEAVE_SHARE = 0.25


class Chooser(Protocol):
    """Says the next tokens of the rows that are still there, and which of them end with it."""

    def __call__(
        self, step: int, rows: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(eq=False)
class SeededChooser:
    """The sampling rule. temperatures (rows,), uniforms (rows, max_new_tokens) float64, ends (end
    token ids,), all on the device that shall choose: the model's if that knows float64. Collects
    tokens (rows, max_new_tokens; -1 after the end) and the sum of their ln p."""

    temperatures: torch.Tensor
    uniforms: torch.Tensor
    ends: torch.Tensor
    top_k_share: float

    def __post_init__(self) -> None:
        self.tokens = torch.full_like(self.uniforms, -1, dtype=torch.long)
        self.log_probabilities = torch.zeros_like(self.temperatures, dtype=torch.float64)

    def __call__(
        self, step: int, rows: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device = logits.device
        rows, logits = rows.to(self.tokens.device), logits.to(self.tokens.device)
        tokens, log_p = choose_tokens(
            logits,
            self.temperatures[rows],
            self.uniforms[rows, step],
            top_k_of(logits.shape[-1], self.top_k_share),
        )
        self.tokens[rows, step] = tokens
        self.log_probabilities[rows] += log_p
        return tokens.to(device), torch.isin(tokens, self.ends).to(device)


def decode_shared(
    vlm: Vlm,
    rows: Sequence[Row],
    repeats: Sequence[int],
    choose: Chooser,
    max_new_tokens: int,
    *,
    keeps_prefix: bool = True,
    should_stop: ShouldStop | None = None,
) -> None:
    """Decodes repeats[i] draws of rows[i] with one prefill of rows[i]; `choose` is told row numbers
    0 … sum(repeats) - 1, the draws of rows[0] first. keeps_prefix: draws of a row attend to one
    copy of its keys and values, if the model's attention can; otherwise each gets its own."""
    batch = collate(vlm, rows, pad="left")
    counts = torch.tensor(repeats, device=vlm.device)
    source = torch.repeat_interleave(torch.arange(len(rows), device=vlm.device), counts)

    def loop(model: Any, input_ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        for name in ("logits_processor", "stopping_criteria", "generation_config"):
            kwargs.pop(name, None)
        first = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs)
        outputs = model(**first, return_dict=True)
        state = model._update_model_kwargs_for_generation(outputs, kwargs)
        state = {name: value for name, value in state.items() if name not in rows[0].image}
        logits = outputs.logits[:, -1].index_select(0, source)
        del outputs
        with understood_by(model) if keeps_prefix else nullcontext(False) as is_understood:
            (share if is_understood else expand)(state["past_key_values"], source, max_new_tokens)
            state = _select(state, source)
            _continue(model, state, logits, choose, max_new_tokens, should_stop=should_stop)
        return input_ids

    _generate(vlm, batch, max_new_tokens, custom_generate=loop)


def _continue(
    model: Any,
    state: dict[str, Any],
    logits: torch.Tensor,
    choose: Chooser,
    max_new_tokens: int,
    *,
    should_stop: ShouldStop | None,
) -> None:
    """The loop after the prefill. logits: (rows, vocabulary) of the first new token."""
    present = torch.arange(logits.shape[0], device=logits.device)  # row numbers in the batch
    ended = torch.zeros_like(present, dtype=torch.bool)
    for step in range(max_new_tokens):
        if should_stop is not None and should_stop():
            raise Stopped
        tokens = torch.zeros_like(present)
        live = (~ended).nonzero().squeeze(-1)
        tokens[live], ended[live] = choose(step, present[live], logits[live])
        n_ended = int(ended.sum())
        if n_ended == len(present) or step == max_new_tokens - 1:
            return
        if n_ended >= LEAVE_SHARE * len(present):
            stay = (~ended).nonzero().squeeze(-1)
            state["past_key_values"].reorder_cache(stay)
            state = _select(state, stay)
            present, tokens, ended = present[stay], tokens[stay], ended[stay]
        inputs = model.prepare_inputs_for_generation(
            tokens.unsqueeze(-1), next_sequence_length=1, **state
        )
        outputs = model(**inputs, return_dict=True)
        logits = outputs.logits[:, -1]
        state = model._update_model_kwargs_for_generation(outputs, state)


def _select(state: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """Every per-row tensor of the decoding state, row i being the old rows[i]. Position ids of
    multi-dimensional rotary embeddings have their rows on axis 1."""
    return {
        name: value.index_select(1 if name == "position_ids" and value.ndim == 3 else 0, rows)
        if isinstance(value, torch.Tensor) and value.ndim >= 2
        else value
        for name, value in state.items()
    }


def decode_plain(
    vlm: Vlm,
    rows: Sequence[Row],
    choose: Chooser,
    max_new_tokens: int,
    *,
    should_stop: ShouldStop | None = None,
) -> None:
    """Decodes one draw per row with the model's own `generate`. Rows must be of equal length, so
    that nothing is padded: the reference for every family."""
    batch = collate(vlm, rows, pad="left")
    forced = _Forced(choose, len(rows), vlm.device, should_stop)
    _generate(vlm, batch, max_new_tokens, logits_processor=LogitsProcessorList([forced]))


class _Forced(LogitsProcessor):
    """Leaves `generate` no choice but ours: it hides all tokens except the chosen one."""

    def __init__(
        self, choose: Chooser, n_rows: int, device: torch.device, should_stop: ShouldStop | None
    ) -> None:
        self._choose = choose
        self._should_stop = should_stop
        self._step = 0
        self._present = torch.arange(n_rows, device=device)
        self._end_token = torch.zeros(n_rows, dtype=torch.long, device=device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        if self._should_stop is not None and self._should_stop():
            raise Stopped
        live = self._present
        tokens = self._end_token.clone()
        if len(live):
            chosen, ended = self._choose(self._step, live, scores[live])
            tokens[live] = chosen
            self._end_token[live] = chosen  # an ended row repeats its end token; `generate` pads it
            self._present = live[~ended]
        self._step += 1
        hidden = torch.full_like(scores, -torch.inf)
        return hidden.scatter(-1, tokens.unsqueeze(-1), 0.0)


def _generate(vlm: Vlm, batch: Tensors, max_new_tokens: int, **how: Any) -> Any:
    """`model.generate` without any rule of the model's own generation_config (penalties, beams,
    minimum lengths): the distribution is the model's, and the choice is ours."""
    model = vlm.model
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=list(vlm.memo["ends"]),
        pad_token_id=vlm.tokenizer.pad_token_id,
        bos_token_id=vlm.tokenizer.bos_token_id,
    )
    before = model.generation_config
    model.generation_config = config  # `generate` fills what is unset from the model's own
    try:
        with torch.no_grad():
            return model.generate(**batch, generation_config=config, **how)
    finally:
        model.generation_config = before
