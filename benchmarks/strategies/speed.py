"""How fast monologues are played: with this program's sampler, and with `generate` of transformers.

The episodes are played by the same code; what differs is how a turn's draws are made.

ours     worker.ml.sampling, all draws of a turn in one call
one      `generate` for each draw of each turn
batched  `generate` for up to `rows` draws of a turn at once, draws of one temperature together, the
         shorter ones padded on the left, as many copies of one prompt by num_return_sequences
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from transformers import GenerationConfig

from benchmarks.support.cells import Result
from worker.ml.inputs.encode import Row, collate, encoder_of, end_ids
from worker.ml.inputs.prompts import DEFAULT_STYLE, frame_of, prompt_text, said_tokens
from worker.ml.model.loading import Vlm
from worker.ml.sampling.choose import top_k_of
from worker.ml.sampling.generate import MIN_TEMPERATURE
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled
from worker.strategies.contract import Models, Sampler
from worker.strategies.monologue.episodes import Player, Sizes, Wanted

TEMPERATURES = (0.01, 0.1, 0.3, 0.6, 0.9)
N_SAMPLES = 5


def play_for_speed(models: Models, wanted: Sequence[Wanted], sizes: Sizes) -> Result:
    """Plays the episodes, after a few that are not counted; returns how many there are a second."""
    Player(models, sizes).play(wanted[: len(TEMPERATURES) * N_SAMPLES])
    began, cpu_began = time.perf_counter(), time.process_time()
    episodes = Player(models, sizes).play(wanted)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    right = [
        episode.answer is not None
        and (episode.wanted.is_right is None or episode.wanted.is_right(episode.answer.text))
        for episode in episodes
    ]
    return {
        "n_episodes": len(episodes),
        "episodes_per_s": len(episodes) / seconds,
        "episodes_per_cpu_s": len(episodes) / cpu_seconds,
        "tokens_per_item": sum(episode.n_tokens for episode in episodes) / len(episodes),
        "turns_per_item": sum(len(episode.turns) for episode in episodes) / len(episodes),
        "share_right": sum(right) / len(right),
    }


def by_generate(vlm: Vlm, n_rows: int) -> Sampler:
    """Returns a sampler that calls `generate` for up to `n_rows` draws at once."""

    def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        made: list[Sampled | Failed] = [Failed("not drawn", "prompt")] * len(draws)
        for temperature, n_copies, prompts in _calls(draws, n_rows):
            rows = [_row(vlm, prompt) for prompt, _ in prompts]
            texts = _generate(vlm, rows, temperature, n_copies, config)
            for (_, places), said in zip(prompts, _in_groups(texts, n_copies), strict=True):
                for place, text in zip(places, said, strict=True):
                    made[place] = text
        return made

    return draw


Wish = tuple[Prompt, list[int]]
"""A prompt and the places of its draws."""


def _calls(draws: Sequence[Draw], n_rows: int) -> Iterator[tuple[float, int, list[Wish]]]:
    """Calls of `generate`: a temperature, the copies of each prompt, and the prompts."""
    by_temperature: dict[float, dict[Prompt, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, draw in enumerate(draws):
        by_temperature[draw.temperature][draw.prompt].append(place)
    for temperature, by_prompt in by_temperature.items():
        by_count: dict[int, list[Wish]] = defaultdict(list)
        for prompt, places in by_prompt.items():
            for start in range(0, len(places), n_rows):
                some = places[start : start + n_rows]
                by_count[len(some)].append((prompt, some))
        for n_copies, wishes in by_count.items():
            wishes.sort(key=lambda wish: len(wish[0].question) + 10 * len(wish[0].said))
            size = max(1, n_rows // n_copies)
            for start in range(0, len(wishes), size):
                yield temperature, n_copies, wishes[start : start + size]


def _row(vlm: Vlm, prompt: Prompt) -> Row:
    text = prompt_text(vlm, prompt, DEFAULT_STYLE)
    return encoder_of(vlm).row(prompt.image, text, said_tokens(vlm, prompt, DEFAULT_STYLE))


@torch.no_grad()
def _generate(
    vlm: Vlm, rows: Sequence[Row], temperature: float, n_copies: int, config: SampleConfig
) -> list[Sampled]:
    vlm.model.eval()
    ends = list(_ends(vlm))
    vocabulary = vlm.model.config.get_text_config().vocab_size
    vlm.model.generation_config = how = GenerationConfig(
        do_sample=True, temperature=max(temperature, MIN_TEMPERATURE),
        top_k=top_k_of(vocabulary, config.top_k_share), num_return_sequences=n_copies,
        max_new_tokens=config.max_new_tokens, eos_token_id=ends,
        pad_token_id=vlm.tokenizer.pad_token_id, bos_token_id=vlm.tokenizer.bos_token_id,
    )  # fmt: skip
    batch = collate(vlm, rows, pad="left")
    made = vlm.model.generate(**batch, generation_config=how)
    return [_said(vlm, tokens) for tokens in made[:, batch["input_ids"].shape[1] :].tolist()]


def _ends(vlm: Vlm) -> tuple[int, ...]:
    """The tokens that end a text, as our own sampler has them."""
    found: tuple[int, ...] = end_ids(vlm, frame_of(vlm, "", DEFAULT_STYLE).end)[1]
    return found


def _said(vlm: Vlm, tokens: Sequence[int]) -> Sampled:
    ends = set(_ends(vlm))
    n = next((place for place, token in enumerate(tokens) if token in ends), None)
    words = tuple(tokens if n is None else tokens[:n])
    text = " ".join(vlm.tokenizer.decode(words, skip_special_tokens=True).split())
    return Sampled(text, len(words) + (n is not None), None, is_cut=n is None, tokens=words)


def _in_groups(texts: Sequence[Sampled], size: int) -> Iterator[Sequence[Sampled]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
