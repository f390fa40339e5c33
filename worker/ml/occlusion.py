"""Maps of where a model looked: how its answer changes when a place of the picture is hidden.

What a model attends to may not matter for what it says; what it says when a place is hidden does.
Hidden means that the features of the place are the mean of those of all other places. The features
of those may still hold a little of it, since the tower lets patches see each other.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import Row, collate
from worker.ml.inputs.frozen_tower import FEATURES, encoder_for_sampling
from worker.ml.inputs.perceiving import (
    Looked,
    features_of,
    find_perception,
    grid_of,
    layers_of,
    perceive,
    with_picture,
)
from worker.ml.inputs.places import attention_of, blocks, coarse
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, train_text
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import fewer_rows, is_out_of_memory, rows_of_pass, too_small
from worker.ml.model.modules.perception import Grid
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import Encoded, asked_logits, encode_example
from worker.ml.types import ANSWER, Draw, Example, Part, Prompt, SampleConfig

_NEAR_GREEDY = 0.01
_ANSWER_TOKENS = 16
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class LookMap:
    """Where a model looked for an answer, on a grid of at most nine rows and columns, row by row.

    occlusion: how much the log-probability of the answer falls, in nats, when the place is hidden;
    below 0 where it rises. probability: of the answer, with nothing hidden. attention: sums to 1;
    None where no place was looked at (pooled path). without: what the model answers without any
    request. seconds, n_passes and n_rows: what the map took, batches that went through the language
    model, `without` among them, and the rows in these.
    """

    rows: int
    columns: int
    occlusion: tuple[float, ...]
    probability: float
    attention: tuple[float, ...] | None
    without: str
    seconds: float
    n_passes: int
    n_rows: int


def make_map(
    vlm: Vlm, picture: Path, question: str, answer: str, style: PromptStyle = DEFAULT_STYLE
) -> LookMap:
    """Returns where the model, with the adapter that is on, looked for an answer to a question.

    All hidden pictures pass through the model once for their requests and once for the answer, as
    many at a time as it holds well, and half as many where memory runs out. Raises DeviceError
    where it does so with a single one, ModelUnusableError where no perception is on or the picture
    is no grid, ImageError and PromptError for what cannot be given to the model.
    """
    if find_perception(vlm.model) is None:
        raise ModelUnusableError(
            f"{vlm.name} has no perception on, so there is nothing to see of where it looked. "
            "Choose an adapter of the strategy perception."
        )
    vlm.model.eval()
    example = Example(picture, question, (Part(answer, ANSWER),))
    try:
        return _measure(vlm, example, picture, style)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise too_small(vlm) from error
        raise


@torch.no_grad()
def _measure(vlm: Vlm, example: Example, picture: Path, style: PromptStyle) -> LookMap:
    began = time.monotonic()
    with _counted(vlm) as passes:
        encoder = encoder_for_sampling(vlm, picture, train_text(vlm, example, style).context)
        [encoded, *_] = encode_example(vlm, encoder, example, 0, style)
        features = features_of(vlm, encoded.row)
        grid = grid_of(vlm, encoded.row, len(features[FEATURES]))
        n_hidden = int(blocks(grid).max()) + 1
        rows = [
            encoded.row,
            *(with_picture(vlm, encoded.row, hide(features, grid, n)) for n in range(n_hidden)),
        ]
        scores, looked = _score(vlm, rows, encoded)
        draw = Draw(Prompt(picture, example.question, None, ""), _NEAR_GREEDY, 0)
        config = SampleConfig(max_new_tokens=_ANSWER_TOKENS, top_k_share=1.0)
        [without] = sample(vlm, [draw], config, style=style, request="none")
    n_rows, n_columns = coarse(grid)
    return LookMap(
        rows=n_rows,
        columns=n_columns,
        occlusion=tuple(round(fall, _DIGITS) for fall in (scores[0] - scores[1:]).tolist()),
        probability=min(1.0, float(scores[0].exp())),
        attention=attention_of(looked) if looked and looked.attention is not None else None,
        without=without.text,
        seconds=time.monotonic() - began,
        n_passes=passes.n,
        n_rows=passes.n_rows,
    )


def _score(vlm: Vlm, rows: Sequence[Row], encoded: Encoded) -> tuple[torch.Tensor, Looked | None]:
    """The log-probability of the answer in each row, (rows,), and where the first one looked."""
    limit = rows_of_pass(encoded.row.length)
    scores: list[torch.Tensor] = []
    looked: list[Looked | None] = []
    while waiting := rows[len(looked) :]:
        lot = waiting[:limit]
        try:
            perceived = perceive(vlm, lot)
            scores.append(_say(vlm, perceived.rows, encoded))
            looked += perceived.looked
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            limit = fewer_rows(vlm, len(lot))
    return torch.cat(scores), looked[0]


def _say(vlm: Vlm, rows: Sequence[Row], encoded: Encoded) -> torch.Tensor:
    places = [(row, at) for row in range(len(rows)) for at, _ in encoded.targets]
    batch = collate(vlm, rows, pad="right")
    logits = asked_logits(vlm, vlm.model, batch, places).float().log_softmax(-1)
    said = torch.tensor([token for _, token in encoded.targets] * len(rows), device=logits.device)
    return logits.gather(1, said.unsqueeze(1)).view(len(rows), -1).sum(1)


def hide(features: Mapping[str, torch.Tensor], grid: Grid, block: int) -> dict[str, torch.Tensor]:
    """Returns the features of a picture of which one block of the map is hidden."""
    made = {}
    for name, tensor in features.items():
        hidden = torch.zeros(grid.n_tokens, dtype=torch.bool, device=tensor.device)
        hidden[grid.n_before :] = (blocks(grid) == block).to(tensor.device)
        others = tensor[~hidden].mean(0) if not bool(hidden.all()) else torch.zeros_like(tensor[0])
        made[name] = torch.where(hidden.unsqueeze(1), others, tensor)
    return made


class _Passes:
    """Counts batches, and the rows in them."""

    def __init__(self) -> None:
        self.n = self.n_rows = 0

    def count(self, _: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.n += 1
        self.n_rows += len(inputs[0] if inputs else named["hidden_states"])


@contextmanager
def _counted(vlm: Vlm) -> Iterator[_Passes]:
    """Counts what goes into the first layer of the language model meanwhile."""
    passes = _Passes()
    hook = layers_of(vlm.model)[0].register_forward_pre_hook(passes.count, with_kwargs=True)
    try:
        yield passes
    finally:
        hook.remove()
