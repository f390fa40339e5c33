"""The model questions its own rationale: it asks a little more about the picture, and answers each
time from the picture alone and from the rationale alone. Where the two differ, people are warned.

A warning is no verdict: the rationale may be right and say nothing of what was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.kit.texts import collapse
from app.round_settings import SelfQuestioningSettings
from app.same_text import is_same_answer
from app.strategies.same_question import question_key
from app.strategies.self_questioning import Doubt
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.strategies.contract import Sampler
from worker.strategies.self_questioning.answering import answer_each
from worker.strategies.self_questioning.wording import ASKERS, USERS, answer_parts


@dataclass(frozen=True)
class Probed:
    """A rationale that is probed. key: tells it from others, whatever the installation."""

    key: tuple[str | int, ...]
    picture: Path
    question: str
    answer: str
    rationale: str


def probe(
    sampler: Sampler,
    probed: Sequence[Probed],
    settings: SelfQuestioningSettings,
    opener: str,
    *,
    seed: int,
) -> list[tuple[Doubt, ...]]:
    """Returns the doubts about each rationale: one for each question that it asked, those that ask
    the same once; none where nothing could be asked. They depend on the rationale alone."""
    questions = _ask(sampler, probed, settings, opener, seed)
    pairs = [(one, asked) for one, some in zip(probed, questions, strict=True) for asked in some]
    from_picture = answer_each(
        sampler, [Prompt(one.picture, asked, None, "") for one, asked in pairs]
    )
    from_rationale = answer_each(
        sampler,
        [Prompt(None, f"{_sentence(one.rationale)} {asked}", None, "") for one, asked in pairs],
    )
    answered = iter(zip(pairs, from_picture, from_rationale, strict=True))
    return [
        tuple(
            Doubt(
                asked=asked,
                from_picture=seen,
                from_rationale=told,
                differs=not is_same_answer(told, seen),
            )
            for (_, asked), seen, told in (next(answered) for _ in some)
            if seen is not None and told is not None
        )
        for some in questions
    ]


def _ask(
    sampler: Sampler,
    probed: Sequence[Probed],
    settings: SelfQuestioningSettings,
    opener: str,
    seed: int,
) -> list[list[str]]:
    """What is asked about each rationale, in words, each question once."""
    numbers = range(1, settings.probe_questions + 1)
    draws = [
        Draw(
            Prompt(
                one.picture,
                one.question,
                None,
                "",
                said=(*answer_parts(one.answer, one.rationale, opener), USERS, ASKERS),
            ),
            settings.temperature,
            derive_seed(seed, "probe", *one.key, number),
        )
        for one in probed
        for number in numbers
    ]
    config = SampleConfig(max_new_tokens=settings.question_tokens, top_k_share=1.0)
    made = iter(sampler(draws, config) if draws else [])
    found: list[list[str]] = []
    for _ in probed:
        some = {
            question_key(said.text): collapse(said.text)
            for said in [next(made) for _ in numbers]
            if isinstance(said, Sampled) and not said.is_cut and question_key(said.text)
        }
        found.append(list(some.values()))
    return found


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
