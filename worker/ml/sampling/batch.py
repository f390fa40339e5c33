"""Draws that are decoded together, between two tokens: the state of transformers' own generation
loop, from which rows can leave and which others can join."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from transformers import GenerationConfig

from worker.ml.inputs.encode import Row, Tensors, collate
from worker.ml.inputs.frozen_tower import with_features
from worker.ml.model.loading import Vlm
from worker.ml.sampling.cache import expand
from worker.ml.sampling.shared_attention import SharedLayer, share

# What draws share. "pictures": as contexts, and prompts about one image share reading that,
# whatever they ask (pictures.py); "contexts": prompts about the same image and question share
# reading those, and the draws of a prompt one copy of its keys and values; "prefix": only the
# latter; "copies": the draws of a prompt share reading it, and get a copy each; "none": every draw
# is read by itself.
Sharing = Literal["pictures", "contexts", "prefix", "copies", "none"]


class Chooser(Protocol):
    """Says the next tokens of some draws, and which of them end with it.

    steps, numbers: (n,), the place of the token in its draw and the number of the draw; logits:
    (n, vocabulary)."""

    def __call__(
        self, steps: torch.Tensor, numbers: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True, eq=False)
class Group:
    """Draws of one row: their numbers, as the chooser knows them."""

    row: Row
    numbers: tuple[int, ...]


@dataclass(eq=False)
class Decoding:
    """All tensors have a row per draw: its number, the tokens it has, whether it has ended, its
    newest token, the logits of the next, and the place among the rows' own keys where it began.

    `state` is what the model's `prepare_inputs_for_generation` wants: the cache, and tensors with a
    column per token (attention mask, positions, token types).
    """

    model: Any
    state: dict[str, Any]
    numbers: torch.Tensor
    logits: torch.Tensor
    steps: torch.Tensor
    ended: torch.Tensor
    tokens: torch.Tensor
    began: torch.Tensor

    @classmethod
    def start(cls, vlm: Vlm, groups: Sequence[Group], room: int, sharing: Sharing) -> "Decoding":
        """Passes image and prompt of each group through the model once, and returns the decoding
        that goes on from there. room: tokens that may be written after.
        """
        rows = [group.row for group in groups]
        counts = torch.tensor([len(group.numbers) for group in groups], device=vlm.device)
        source = torch.repeat_interleave(torch.arange(len(rows), device=vlm.device), counts)
        n_contexts = len({id(row.text) for row in rows})
        if sharing in ("pictures", "contexts") and n_contexts < len(rows):
            state, logits = _prefill_by_context(vlm, rows)
        else:
            state, logits = _prefill(vlm, rows)
        copy = expand if sharing == "copies" else share
        copy(state["past_key_values"], source, room)
        nothing = torch.zeros_like(source)
        return cls(
            model=vlm.model,
            state=_select(state, source),
            numbers=torch.tensor([n for g in groups for n in g.numbers], device=vlm.device),
            logits=logits.index_select(0, source),
            steps=nothing,
            ended=nothing.bool(),
            tokens=nothing.clone(),
            began=nothing.clone(),
        )

    @property
    def n_rows(self) -> int:
        return len(self.numbers)

    def choose(self, chooser: Chooser, max_new_tokens: int) -> int:
        """Give each draw that goes on its next token; how many go on after that."""
        live = (~self.ended).nonzero().squeeze(-1)
        steps = self.steps[live]
        self.tokens[live], ended = chooser(steps, self.numbers[live], self.logits[live])
        self.steps = self.steps.index_add(0, live, torch.ones_like(live))
        self.ended[live] = ended | (steps + 1 == max_new_tokens)
        return self.n_rows - int(self.ended.sum())

    def drop_ended(self) -> None:
        stay = (~self.ended).nonzero().squeeze(-1)
        if len(stay) == self.n_rows:
            return
        self.state["past_key_values"].reorder_cache(stay)
        self.state = _select(self.state, stay)
        for name in ("numbers", "logits", "steps", "ended", "tokens", "began"):
            setattr(self, name, getattr(self, name)[stay])

    def advance(self) -> None:
        """Read the newest token of every row."""
        inputs = self.model.prepare_inputs_for_generation(
            self.tokens.unsqueeze(-1), next_sequence_length=1, **self.state
        )
        outputs = self.model(**inputs, return_dict=True)
        self.logits = outputs.logits[:, -1]
        self.state = self.model._update_model_kwargs_for_generation(
            outputs, self.state, is_encoder_decoder=False
        )

    def join(self, other: "Decoding") -> None:
        """Take in draws that have read nothing after their prompts. Both keep their prefixes.

        Their next token is written beside ours: the places before it are masked for them. Places
        that none of our rows uses any more are given up first.
        """
        ours, theirs = self.state["past_key_values"], other.state["past_key_values"]
        layer: SharedLayer = ours.layers[0]
        n_unused = int(self.began.min())
        n_own = layer.n_own - n_unused
        sizes = layer.n_shared, theirs.layers[0].n_shared
        longest = max(sizes)
        masked = _with_mask(self.state, self.n_rows)
        other_masked = _with_mask(other.state, other.n_rows)
        for mine, new in zip(ours.layers, theirs.layers, strict=True):
            mine.join(new, n_unused)
        state = dict(masked)
        for name, mine in _rowwise(masked).items():
            new = other_masked[name]
            joined = (
                _moved(mine, sizes[0], longest - sizes[0], drop=n_unused, gap=0),
                _moved(new, sizes[1], longest - sizes[1], drop=0, gap=n_own),
            )
            state[name] = torch.cat(joined, dim=_row_axis(name, mine))
        self.state = state
        self.began = torch.cat([self.began - n_unused, torch.full_like(other.began, n_own)])
        for name in ("numbers", "logits", "steps", "ended", "tokens"):
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))


def _prefill(vlm: Vlm, rows: Sequence[Row]) -> tuple[dict[str, Any], torch.Tensor]:
    """The state after reading the rows, and the logits, (rows, vocabulary), of what comes next."""
    found: list[tuple[dict[str, Any], torch.Tensor]] = []
    only_once = {"mm_encoder_outputs", *rows[0].image}

    def read(model: Any, input_ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        for name in ("logits_processor", "stopping_criteria", "generation_config"):
            kwargs.pop(name, None)
        first = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **kwargs)
        outputs = model(**first, return_dict=True)
        state = model._update_model_kwargs_for_generation(outputs, kwargs, is_encoder_decoder=False)
        state = {name: value for name, value in state.items() if name not in only_once}
        found.append((state, outputs.logits[:, -1]))
        return input_ids

    run_generate(vlm, collate(vlm, rows, pad="left"), 1, custom_generate=read)
    return found[0]


def _prefill_by_context(vlm: Vlm, rows: Sequence[Row]) -> tuple[dict[str, Any], torch.Tensor]:
    """As _prefill, but what rows begin with is read once for all that begin with the same."""
    places: dict[int, int] = {}
    contexts: list[Row] = []
    for row in rows:
        if id(row.text) not in places:
            places[id(row.text)] = len(contexts)
            contexts.append(Row(row.text, row.image, ()))
    state, logits = _prefill(vlm, contexts)
    source = torch.tensor([places[id(row.text)] for row in rows], device=vlm.device)
    state["past_key_values"].reorder_cache(source)
    state, logits = _select(_with_mask(state, len(contexts)), source), logits[source]
    longest = max(len(row.continuation) for row in rows)
    # On the left is padding, as everywhere: masked, and without a place of its own.
    shown = torch.tensor(
        [[column >= longest - len(row.continuation) for column in range(longest)] for row in rows],
        device=vlm.device,
    )
    ids = torch.tensor(
        [[0] * (longest - len(row.continuation)) + list(row.continuation) for row in rows],
        device=vlm.device,
    )
    # The state has a column for one more token; there are `longest`.
    state["attention_mask"] = torch.cat([state["attention_mask"][:, :-1], shown.long()], dim=1)
    steps = shown.long().cumsum(1) - 1
    for name, value in _rowwise(state).items():
        if name == "position_ids":
            state[name] = torch.cat([value[..., :-1], value[..., -1:] + steps], dim=-1)
        elif name != "attention_mask":
            more = value[:, -1:].expand(-1, longest, *value.shape[2:])
            state[name] = torch.cat([value[:, :-1], more], dim=1)
    inputs = vlm.model.prepare_inputs_for_generation(ids, next_sequence_length=longest, **state)
    outputs = vlm.model(**inputs, return_dict=True)
    state = vlm.model._update_model_kwargs_for_generation(outputs, state, is_encoder_decoder=False)
    has_more = shown.any(dim=1, keepdim=True)  # an empty continuation ends with its context
    return state, torch.where(has_more, outputs.logits[:, -1], logits)


def run_generate(vlm: Vlm, batch: Tensors, max_new_tokens: int, **how: Any) -> Any:
    """Calls `model.generate` without any rule of the model's own generation_config (penalties,
    beams, minimum lengths): the distribution is the model's, and the choice is ours.
    """
    model = vlm.model
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=list(vlm.memo["ends"]) or None,
        pad_token_id=vlm.tokenizer.pad_token_id,
        bos_token_id=vlm.tokenizer.bos_token_id,
    )
    # `generate` fills what is unset from the model's own, or from that of the language model where
    # it hands the work on to it (BLIP-2).
    owners = [part for part in {model, model.get_decoder()} if hasattr(part, "generation_config")]
    before = [owner.generation_config for owner in owners]
    for owner in owners:
        owner.generation_config = config
    try:
        return model.generate(**with_features(vlm, batch), generation_config=config, **how)
    finally:
        for owner, own in zip(owners, before, strict=True):
            owner.generation_config = own


def _with_mask(state: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """The state with its attention mask, which `generate` leaves out where nothing is padded. It
    has a column for the newest token, which the cache has not."""
    if state.get("attention_mask") is not None:
        return state
    cache = state["past_key_values"]
    shape = (n_rows, cache.get_seq_length() + 1)
    ones = torch.ones(shape, dtype=torch.long, device=cache.layers[0].keys.device)
    return {**state, "attention_mask": ones}


def _rowwise(state: dict[str, Any]) -> Tensors:
    return {
        name: value
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and value.ndim >= 2
    }


def _row_axis(name: str, value: torch.Tensor) -> int:
    """Position ids of multi-dimensional rotary embeddings have their rows on axis 1."""
    return 1 if name == "position_ids" and value.ndim == 3 else 0


def _select(state: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """Every per-row tensor of the state, row i being the old rows[i]."""
    chosen = {
        name: value.index_select(_row_axis(name, value), rows)
        for name, value in _rowwise(state).items()
    }
    return {**state, **chosen}


def _moved(value: torch.Tensor, n_shared: int, left: int, *, drop: int, gap: int) -> torch.Tensor:
    """Columns of tokens: `left` empty ones, the prefix, `gap` empty ones, then what follows but for
    its first `drop`. Zero is "masked" in a mask, and never read elsewhere: only the last column is.
    """
    prefix, own = value[..., :n_shared], value[..., n_shared + drop :]
    parts = [_columns(value, left), prefix, _columns(value, gap), own]
    return torch.cat(parts, dim=-1)


def _columns(value: torch.Tensor, n_columns: int) -> torch.Tensor:
    return value.new_zeros((*value.shape[:-1], n_columns))
