"""What a model asks about pictures: a description first, then questions that do not see each
other, near-duplicates folded and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.kit.texts import collapse
from app.round_settings import SelfQuestioningSettings
from app.strategies.same_question import question_key
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.strategies.contract import Sampler
from worker.strategies.self_questioning.wording import (
    asking_prompt,
    described,
    description_prompt,
)


@dataclass(frozen=True)
class Wanted:
    """A picture to ask about. key: tells it from others, whatever the installation; known: the
    questions that there are about it already, whoever asked them; former: those that were dropped,
    which are not asked again, but leave room for others."""

    key: str
    picture: Path
    known: Sequence[str] = ()
    former: Sequence[str] = ()


@dataclass(frozen=True)
class SelfAsked:
    """A question that the model asked. n_draws: how often, in one wording or another; seed and
    log_probability: of the draw whose wording it has, the most probable one."""

    text: str
    n_draws: int
    seed: int
    log_probability: float | None


@dataclass(frozen=True)
class AskedAbout:
    """What was asked about a picture. n_drawn: all draws; n_known: those that asked what was known;
    n_empty: those that asked nothing, or were cut; n_over: distinct questions over the limit."""

    key: str
    description: str
    questions: tuple[SelfAsked, ...] = ()
    n_drawn: int = 0
    n_known: int = 0
    n_empty: int = 0
    n_over: int = 0
    failed: Failed | None = None


@dataclass
class _Heap:
    """Draws that ask the same."""

    draws: list[tuple[Draw, Sampled]] = field(default_factory=list)


def ask_about(
    sampler: Sampler,
    wanted: Sequence[Wanted],
    settings: SelfQuestioningSettings,
    *,
    seed: int,
    round_number: int,
    top_k_share: float = 1.0,
) -> list[AskedAbout]:
    """Returns what the model asks about each picture. It depends on the picture, on what is known
    of it, on the settings and the round alone."""
    places = [one for one in wanted if len(_keys(one.known)) < settings.max_per_image]
    descriptions = _describe(sampler, places, settings, seed, round_number, top_k_share)
    draws: list[Draw] = []
    for one, made in zip(places, descriptions, strict=True):
        if isinstance(made, Sampled):
            prompt = asking_prompt(one.picture, described(made.text, made.tokens))
            draws += [
                Draw(
                    prompt,
                    settings.temperature,
                    derive_seed(seed, round_number, "ask", one.key, number),
                )
                for number in range(1, settings.n_questions + 1)
            ]
    config = SampleConfig(max_new_tokens=settings.question_tokens, top_k_share=top_k_share)
    asked = iter(zip(draws, sampler(draws, config) if draws else [], strict=True))
    found: dict[str, AskedAbout] = {}
    for one, made in zip(places, descriptions, strict=True):
        if isinstance(made, Failed):
            found[one.key] = AskedAbout(one.key, "", failed=made)
            continue
        own = [next(asked) for _ in range(settings.n_questions)]
        found[one.key] = _fold(one, made.text, own, settings.max_per_image)
    return [found.get(one.key, AskedAbout(one.key, "")) for one in wanted]


def _describe(  # noqa: PLR0917 - all that a draw depends on
    sampler: Sampler,
    wanted: Sequence[Wanted],
    settings: SelfQuestioningSettings,
    seed: int,
    round_number: int,
    top_k_share: float,
) -> list[Sampled | Failed]:
    draws = [
        Draw(
            description_prompt(one.picture),
            settings.description_temperature,
            derive_seed(seed, round_number, "describe", one.key),
        )
        for one in wanted
    ]
    config = SampleConfig(max_new_tokens=settings.description_tokens, top_k_share=top_k_share)
    return sampler(draws, config) if draws else []


def _fold(
    wanted: Wanted, description: str, draws: Sequence[tuple[Draw, Sampled | Failed]], most: int
) -> AskedAbout:
    """Near-duplicates as one question, the most drawn first, as far as the limit allows."""
    counted = _keys(wanted.known)
    known = counted | _keys(wanted.former)
    heaps: dict[tuple[str, ...], _Heap] = {}
    n_known = n_empty = 0
    failed = next((made for _, made in draws if isinstance(made, Failed)), None)
    for draw, made in draws:
        if isinstance(made, Failed):
            continue
        key = question_key(made.text)
        if not key or made.is_cut:
            n_empty += 1
        elif key in known:
            n_known += 1
        else:
            heaps.setdefault(key, _Heap()).draws.append((draw, made))
    order = sorted(heaps.values(), key=lambda heap: (-len(heap.draws), heap.draws[0][0].seed))
    room = max(0, most - len(counted))
    return AskedAbout(
        key=wanted.key,
        description=description,
        questions=tuple(map(_as_question, order[:room])),
        n_drawn=len(draws),
        n_known=n_known,
        n_empty=n_empty,
        n_over=max(0, len(order) - room),
        failed=failed,
    )


def _as_question(heap: _Heap) -> SelfAsked:
    draw, made = max(heap.draws, key=lambda one: (one[1].log_probability or 0.0, -one[0].seed))
    return SelfAsked(collapse(made.text), len(heap.draws), draw.seed, made.log_probability)


def _keys(questions: Sequence[str]) -> set[tuple[str, ...]]:
    return {question_key(question) for question in questions}
