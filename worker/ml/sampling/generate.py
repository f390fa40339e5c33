"""Sampling texts: the same draw gives the same text, whatever it is batched with."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import count, islice

import torch

from worker.ml.errors import ImageError, ModelUnusableError, PromptError, Stopped
from worker.ml.inputs.encode import end_ids
from worker.ml.inputs.frozen_tower import encoder_for_sampling
from worker.ml.inputs.perceiving import Request, perceive
from worker.ml.inputs.places import trace_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, frame_of, prompt_text, said_tokens
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import default_batch_rows, fewer_rows, is_out_of_memory
from worker.ml.sampling.batch import Group, Sharing
from worker.ml.sampling.loop import SeededChooser, ShouldStop, decode_plain, decode_shared
from worker.ml.sampling.pictures import cut_after_pictures
from worker.ml.sampling.seeds import uniforms
from worker.ml.sampling.sharing import how_to_share
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled

MIN_TEMPERATURE = 1e-4  # a temperature of 0 divides by this: the most probable token
WINDOW_BYTES = 256 * 2**20  # image tensors held at once; items of a window are sorted by length

OnDone = Callable[[int], None]
OnRefused = Callable[[Prompt, ImageError | PromptError], None]


def sample(
    vlm: Vlm,
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    on_done: OnDone | None = None,
    should_stop: ShouldStop | None = None,
    style: PromptStyle = DEFAULT_STYLE,
    on_refused: OnRefused | None = None,
    request: Request = "own",
) -> list[Sampled]:
    """Returns one text per draw, in the order of `draws`.

    A text depends on the weights, the prompt, the temperature and the draw's seed alone: row-wise
    random numbers come from the seed and the token's place (seeds.uniforms). Between other batch
    partners floating point may differ in the last digits (about 4e-6 in a float32 logit), which
    almost never moves a choice. Draws of one prompt share one pass over image and prompt, and where
    the model asks what to see of the image, one request; the trace then says where it looked.

    on_done(n): n more draws are done. should_stop is asked before each token and raises Stopped.
    When memory runs out the batch is halved. Raises DeviceError if not even one row fits,
    ImageError for an image and PromptError for texts that cannot be given to the model; where
    `on_refused` is given it is told of these instead, and the prompt's draws are left out. request:
    for which request a model that asks is shown the image (perceiving.py).
    """
    if "ends" not in vlm.memo:
        sees = not draws or draws[0].prompt.image is not None
        frame = frame_of(vlm, draws[0].prompt.question if draws else "", style, sees=sees)
        vlm.memo["ends"] = end_ids(vlm, frame.end)[1]
    results: list[Sampled | None] = [None] * len(draws)
    by_prompt: dict[Prompt, list[int]] = {}
    for index, draw in enumerate(draws):
        by_prompt.setdefault(draw.prompt, []).append(index)
    was_training = vlm.model.training
    vlm.model.eval()
    try:
        for window in _windows(vlm, by_prompt, style, config.max_new_tokens, on_refused):
            groups, traces = _perceived(vlm, window, request)
            for numbers, texts in _sample_groups(
                vlm, groups, draws, config,
                on_done=on_done or _nobody_asks, should_stop=should_stop,
            ):  # fmt: skip
                for number, text in zip(numbers, texts, strict=True):
                    results[number] = replace(text, trace=traces.get(number))
    finally:
        vlm.model.train(was_training)
    return [result for result in results if result is not None]


def _windows(
    vlm: Vlm,
    by_prompt: Mapping[Prompt, Sequence[int]],
    style: PromptStyle,
    room: int,
    on_refused: OnRefused | None,
) -> Iterator[list[Group]]:
    """The prompts, encoded, with their draws, as many at a time as WINDOW_BYTES allow. room: tokens
    that may be written after a prompt."""
    window: list[Group] = []
    n_bytes = 0
    for prompt, numbers in by_prompt.items():
        try:
            text = prompt_text(vlm, prompt, style)
            encoder = encoder_for_sampling(vlm, prompt.image, text.context)
            said = said_tokens(vlm, prompt, style)
            row = encoder.fitting_row(prompt.image, text, said, room=room)
        except (ImageError, PromptError) as error:
            if on_refused is None:
                raise
            on_refused(prompt, error)
            continue
        window.append(Group(row, tuple(numbers)))
        n_bytes += row.n_bytes
        if n_bytes >= WINDOW_BYTES:
            yield window
            window, n_bytes = [], 0
    yield window


@torch.no_grad()
def _perceived(
    vlm: Vlm, groups: Sequence[Group], request: Request
) -> tuple[list[Group], dict[int, Mapping[str, object]]]:
    """The groups as the model is shown them, and where it looked for each draw, by its number;
    nothing for draws of a model that does not ask."""
    perceived = perceive(vlm, [group.row for group in groups], request)
    shown = [replace(group, row=row) for group, row in zip(groups, perceived.rows, strict=True)]
    traces = {
        number: trace_of(looked)
        for group, looked in zip(groups, perceived.looked, strict=True)
        if looked is not None and looked.attention is not None
        for number in group.numbers
    }
    return shown, traces


def _sample_groups(
    vlm: Vlm,
    groups: Sequence[Group],
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    on_done: OnDone,
    should_stop: ShouldStop | None,
) -> Iterator[tuple[list[int], list[Sampled]]]:
    """Numbers of draws with their texts, as they are done."""
    for alike, sharing in _lots(vlm, groups, draws):
        # The chooser numbers the draws of this call only.
        numbers = [number for group in alike for number in group.numbers]
        chooser = _chooser(vlm, [draws[number] for number in numbers], config, on_done)
        waiting = _renumbered(alike)
        limit = (
            config.batch_rows
            or vlm.memo.get("batch_rows")
            or _fitting(vlm, waiting, config, sharing)
        )
        while waiting:
            if should_stop is not None and should_stop():
                raise Stopped
            before = chooser.is_done.clone()
            batch = _first(waiting, limit) if sharing == "none" else waiting
            try:
                if sharing == "none":
                    decode_plain(
                        vlm, batch, chooser, config.max_new_tokens, should_stop=should_stop
                    )
                else:
                    decode_shared(
                        vlm, batch, chooser, config.max_new_tokens, limit=limit,
                        sharing=sharing, should_stop=should_stop,
                    )  # fmt: skip
                _refuse_standstill(vlm, batch, chooser)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                n_rows = min(limit, sum(len(group.numbers) for group in waiting))
                limit = vlm.memo["batch_rows"] = fewer_rows(vlm, n_rows)
                chooser.forget_unfinished()
            newly = (chooser.is_done & ~before).nonzero().squeeze(-1).tolist()
            waiting = _without(waiting, set(newly))
            yield [numbers[place] for place in newly], _texts(vlm, chooser, newly)


def _lots(
    vlm: Vlm, groups: Sequence[Group], draws: Sequence[Draw]
) -> Iterator[tuple[list[Group], Sharing]]:
    """Groups that can share a batch, with what their draws share."""
    seeing = [group for group in groups if group.row.image]
    blind = [group for group in groups if not group.row.image]
    for some in (seeing, blind):
        if some:
            shortest = min(some, key=lambda group: group.row.length)
            sharing = how_to_share(vlm, shortest.row)  # tries longer ones, too
            if sharing == "pictures":
                shown = [draws[group.numbers[0]].prompt.image for group in some]
                some = cut_after_pictures(vlm, some, shown)  # noqa: PLW2901
            for alike in _alike(some, by_length=sharing == "none"):
                yield alike, sharing


def _refuse_standstill(vlm: Vlm, batch: Sequence[Group], chooser: SeededChooser) -> None:
    """Raises ModelUnusableError if a pass left draws without an end: the next would do so too, and
    so on for ever."""
    numbers = [number for group in batch for number in group.numbers]
    n_ended = int(chooser.is_done[numbers].sum())
    if n_ended < len(numbers):
        raise ModelUnusableError(
            f"{vlm.name} ({vlm.model.config.model_type}) cannot be sampled from: a pass ended "
            f"{n_ended} of its {len(numbers)} draws, since the model's own `generate` does not ask "
            "which token comes next. Use another model, or another version of transformers."
        )


def _alike(groups: Sequence[Group], *, by_length: bool) -> list[list[Group]]:
    """Groups that can share a batch, each lot in the order of length, so that little is padded."""
    lots: dict[object, list[Group]] = {}
    for group in groups:
        key = (group.row.signature, group.row.length if by_length else 0)
        lots.setdefault(key, []).append(group)
    return [sorted(lot, key=lambda group: group.row.length) for lot in lots.values()]


def _renumbered(groups: Sequence[Group]) -> list[Group]:
    """Returns the draws numbered from 0 on."""
    counter = count()
    return [Group(group.row, tuple(islice(counter, len(group.numbers)))) for group in groups]


def _first(groups: Sequence[Group], limit: int) -> list[Group]:
    """The first `limit` draws."""
    chosen: list[Group] = []
    for group in groups:
        if limit <= 0:
            break
        chosen.append(Group(group.row, group.numbers[:limit]))
        limit -= len(chosen[-1].numbers)
    return chosen


def _without(groups: Sequence[Group], done: Set[int]) -> list[Group]:
    left = (Group(g.row, tuple(n for n in g.numbers if n not in done)) for g in groups)
    return [group for group in left if group.numbers]


def _fitting(vlm: Vlm, groups: Sequence[Group], config: SampleConfig, sharing: Sharing) -> int:
    """Returns how many draws to decode together."""
    longest = max(group.row.length for group in groups)
    if sharing in ("copies", "none"):
        return default_batch_rows(vlm, longest + config.max_new_tokens)
    n_draws = sum(len(group.numbers) for group in groups) / len(groups)
    # Rows that enter later need room for those that are there already.
    return default_batch_rows(vlm, longest / n_draws + 2 * config.max_new_tokens)


def _nobody_asks(n_done: int) -> None:
    pass


def _chooser(
    vlm: Vlm, draws: Sequence[Draw], config: SampleConfig, on_done: OnDone
) -> SeededChooser:
    numbers = uniforms([draw.seed for draw in draws], config.max_new_tokens)
    device = "cpu" if vlm.device.type == "mps" else vlm.device  # MPS has no float64
    return SeededChooser(
        temperatures=torch.tensor(
            [max(draw.temperature, MIN_TEMPERATURE) for draw in draws], device=device
        ),
        uniforms=torch.from_numpy(numbers).to(device),
        ends=torch.tensor(vlm.memo["ends"], device=device, dtype=torch.long),
        top_k_share=config.top_k_share,
        on_done=on_done,
    )


def _texts(vlm: Vlm, chooser: SeededChooser, places: Sequence[int]) -> list[Sampled]:
    ends = set(vlm.memo["ends"])
    control = {*vlm.tokenizer.all_special_ids, *vlm.tokenizer.added_tokens_decoder}
    chosen = torch.tensor(places, dtype=torch.long, device=chooser.tokens.device)
    rows = chooser.tokens[chosen].tolist()
    log_probabilities = chooser.log_probabilities[chosen].tolist()
    made: list[Sampled] = []
    for tokens, log_probability in zip(rows, log_probabilities, strict=True):
        sampled = [token for token in tokens if token >= 0]
        is_cut = not sampled or sampled[-1] not in ends
        words = sampled if is_cut else sampled[:-1]
        text: str = vlm.tokenizer.decode(words, skip_special_tokens=True)
        made.append(
            Sampled(
                text=" ".join(text.split()),
                n_tokens=len(sampled),
                log_probability=log_probability,
                is_cut=is_cut,
                tokens=None if control & set(words) else tuple(words),
            )
        )
    return made
