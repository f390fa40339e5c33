"""Sampling texts: the same draw gives the same text, whatever it is batched with."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from worker.ml.decode import SeededChooser, ShouldStop, decode_plain, decode_shared
from worker.ml.encode import Row, encoder_of, end_ids
from worker.ml.errors import Stopped
from worker.ml.loading import Vlm
from worker.ml.memory import default_batch_rows, free_cached_memory, is_out_of_memory, too_small
from worker.ml.prompts import DEFAULT_STYLE, PromptStyle, frame_of, prompt_text
from worker.ml.seeds import uniforms
from worker.ml.sharing import Sharing, how_to_share
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled

logger = logging.getLogger(__name__)

MIN_TEMPERATURE = 1e-4  # a temperature of 0 divides by this: the most probable token
WINDOW_BYTES = 256 * 2**20  # image tensors held at once; items of a window are sorted by length

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Item:
    """One prompt and the draws (positions in the caller's list) that want it."""

    row: Row
    draws: tuple[int, ...]


def sample(
    vlm: Vlm,
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> list[Sampled]:
    """One text per draw, in the order of `draws`.

    A text depends on the weights, the prompt, the temperature and the draw's seed alone: row-wise
    random numbers come from the seed and the token's place (seeds.uniforms). Between other batch
    partners floating point may differ in the last digits (about 4e-6 in a float32 logit), which
    almost never moves a choice. Draws of one prompt share one pass over image and prompt.

    on_progress(done, total) after each batch. should_stop is asked before each token and raises
    Stopped. When memory runs out the batch is halved. Raises ImageError for an unreadable image,
    DeviceError if not even one row fits.
    """
    if "ends" not in vlm.memo:
        frame = frame_of(vlm, draws[0].prompt.question if draws else "", style)
        vlm.memo["ends"] = end_ids(vlm, frame.end)[1]
    results: list[Sampled | None] = [None] * len(draws)
    by_prompt: dict[Prompt, list[int]] = {}
    for index, draw in enumerate(draws):
        by_prompt.setdefault(draw.prompt, []).append(index)
    was_training = vlm.model.training
    vlm.model.eval()
    done = 0
    try:
        for window in _windows(vlm, by_prompt, style):
            for indices, texts in _sample_items(vlm, window, draws, config, should_stop):
                for index, text in zip(indices, texts, strict=True):
                    results[index] = text
                done += len(indices)
                if on_progress is not None:
                    on_progress(done, len(draws))
    finally:
        vlm.model.train(was_training)
    return [result for result in results if result is not None]


def _windows(
    vlm: Vlm, by_prompt: Mapping[Prompt, Sequence[int]], style: PromptStyle
) -> Iterator[list[_Item]]:
    """The prompts, encoded, as many at a time as WINDOW_BYTES allow."""
    encoder = encoder_of(vlm)
    window: list[_Item] = []
    n_bytes = 0
    for prompt, indices in by_prompt.items():
        row = encoder.row(prompt.image, prompt_text(vlm, prompt, style))
        window.append(_Item(row, tuple(indices)))
        n_bytes += row.n_bytes
        if n_bytes >= WINDOW_BYTES:
            yield window
            window, n_bytes = [], 0
    yield window


def _sample_items(
    vlm: Vlm,
    items: Sequence[_Item],
    draws: Sequence[Draw],
    config: SampleConfig,
    should_stop: ShouldStop | None,
) -> Iterator[tuple[list[int], list[Sampled]]]:
    """Batches of positions in `draws` with their texts."""
    if not items:
        return
    sharing = how_to_share(vlm, items[0].row)
    for alike in _alike(items, by_length=sharing == "none"):
        longest = max(item.row.length for item in alike)
        limit = (
            config.batch_rows
            or vlm.memo.get("batch_rows")
            or default_batch_rows(vlm, longest + config.max_new_tokens)
        )
        waiting = [(item, index) for item in alike for index in item.draws]
        while waiting:
            if should_stop is not None and should_stop():
                raise Stopped
            batch = waiting[:limit]
            try:
                texts = _decode(vlm, batch, draws, config, sharing=sharing, should_stop=should_stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                limit = _halved(vlm, len(batch))
                continue
            waiting = waiting[len(batch) :]
            yield [index for _, index in batch], texts


def _alike(items: Sequence[_Item], *, by_length: bool) -> list[list[_Item]]:
    """Items that can share a batch, each group in the order of length, so that little is padded."""
    groups: dict[object, list[_Item]] = {}
    for item in items:
        key = (item.row.signature, item.row.length if by_length else 0)
        groups.setdefault(key, []).append(item)
    return [sorted(group, key=lambda item: item.row.length) for group in groups.values()]


def _halved(vlm: Vlm, n_rows: int) -> int:
    """Half as many rows, remembered for this model. Raises DeviceError at the end of the line."""
    free_cached_memory(vlm.device)
    if n_rows == 1:
        raise too_small(vlm)
    vlm.memo["batch_rows"] = max(1, n_rows // 2)
    logger.warning("Out of memory with %d rows; going on with %d.", n_rows, n_rows // 2)
    return max(1, n_rows // 2)


def _decode(
    vlm: Vlm,
    batch: Sequence[tuple[_Item, int]],
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    sharing: Sharing,
    should_stop: ShouldStop | None,
) -> list[Sampled]:
    wanted = [draws[index] for _, index in batch]
    numbers = uniforms([draw.seed for draw in wanted], config.max_new_tokens)
    device = "cpu" if vlm.device.type == "mps" else vlm.device  # MPS has no float64
    chooser = SeededChooser(
        temperatures=torch.tensor(
            [max(draw.temperature, MIN_TEMPERATURE) for draw in wanted], device=device
        ),
        uniforms=torch.from_numpy(numbers).to(device),
        ends=torch.tensor(vlm.memo["ends"], device=device),
        top_k_share=config.top_k_share,
    )
    if sharing != "none":
        rows: list[Row] = []
        repeats: list[int] = []
        for item, _ in batch:  # draws of one item are neighbours
            if rows and rows[-1] is item.row:
                repeats[-1] += 1
            else:
                rows.append(item.row)
                repeats.append(1)
        decode_shared(
            vlm, rows, repeats, chooser, config.max_new_tokens,
            keeps_prefix=sharing == "prefix", should_stop=should_stop,
        )  # fmt: skip
    else:
        rows = [item.row for item, _ in batch]
        decode_plain(vlm, rows, chooser, config.max_new_tokens, should_stop=should_stop)
    return _texts(vlm, chooser)


def _texts(vlm: Vlm, chooser: SeededChooser) -> list[Sampled]:
    ends = set(vlm.memo["ends"])
    log_probabilities = chooser.log_probabilities.tolist()
    made: list[Sampled] = []
    for tokens, log_probability in zip(chooser.tokens.tolist(), log_probabilities, strict=True):
        sampled = [token for token in tokens if token >= 0]
        words = sampled[:-1] if sampled and sampled[-1] in ends else sampled
        text: str = vlm.tokenizer.decode(words, skip_special_tokens=True)
        made.append(Sampled(" ".join(text.split()), len(sampled), log_probability))
    return made
