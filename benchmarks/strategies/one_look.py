"""Arms of one look at the picture, or of none: what the monologue is compared with."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from app.same_text import is_same_answer
from app.scenes.monologues import SceneMonologue
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    AttributeQuery,
    CountQuery,
    Description,
    NeighbourQuery,
    Query,
)
from app.scenes.questions.words import noun, place_words
from app.scenes.scene import ATTRIBUTES
from benchmarks.strategies.bench import TEMPERATURE, Bench
from benchmarks.strategies.counting import cost_of, right_of, shares
from benchmarks.strategies.data import Asked, draw_looks, look_kind, look_text
from benchmarks.strategies.models import READING, SEEING, SEEING_AND_TALKING
from benchmarks.support.cells import Result
from worker.ml.types import ANSWER, Draw, Example, Part, Prompt

FACTS = "facts"


def measure_observer(bench: Bench) -> Result:
    """Returns how often the observer is right, by kind of what is asked, on held-out pictures."""
    trained = bench.observer(bench.config["n"])
    looks = draw_looks(f"test-looks-{bench.seed}", bench.scale.n_looks, per_scene=4, held_out=True)
    texts = [look_text(scene, query) for scene, query in looks]
    draws = [
        Draw(Prompt(bench.pictures.of(scene), asked, None, ""), 0.0, 1)
        for (scene, _), (asked, _) in zip(looks, texts, strict=True)
    ]
    said = bench.shop.say(trained.folder, draws)
    right: dict[str, list[bool]] = defaultdict(list)
    for (_, query), (_, observed), made in zip(looks, texts, said, strict=True):
        right[look_kind(query)].append(is_same_answer(made.text, observed))
    return cost_of(trained) | {"observed": shares(right)}


def measure_single(bench: Bench) -> Result:
    """Returns how often the base answers rightly at one look."""
    return _answered(bench, None, bench.test_items())


def measure_answers(bench: Bench) -> Result:
    """Returns how often a model of one look is right that learned answers."""
    times = bench.config["times"]

    def examples() -> list[Example]:
        return [
            Example(bench.pictures.of(a.scene), a.question.text, (Part(a.question.answer, ANSWER),))
            for a in bench.train_items(times)
        ]

    trained = bench.reader(f"answers-{times}", examples, SEEING)
    return cost_of(trained) | _answered(bench, trained.folder, bench.test_items())


def measure_facts(bench: Bench) -> Result:
    """Returns how often a model of one look is right that says what it sees before it answers."""

    def examples() -> list[Example]:
        return [
            Example(
                bench.pictures.of(asked.scene),
                asked.question.text,
                (
                    Part(_facts(made), FACTS, is_apart=True),
                    Part(f" {made.answer}", ANSWER, is_apart=True),
                ),
            )
            for asked, made in bench.monologues()
        ]

    trained = bench.reader("facts", examples, SEEING_AND_TALKING)
    items = bench.test_items()
    prompts = [Prompt(bench.pictures.of(a.scene), a.question.text, None, "") for a in items]
    said = bench.shop.say(trained.folder, _draws(prompts))
    answers = [one.text.rpartition(".")[2].strip() for one in said]  # it says both in one breath
    n_tokens = sum(one.n_tokens or 0 for one in said)
    return cost_of(trained) | right_of(items, answers) | {"tokens_per_item": n_tokens / len(items)}


def _facts(made: SceneMonologue) -> str:
    return " ".join(f"look: {look.asked} see: {look.observed}." for look in made.looks)


def measure_caption(bench: Bench) -> Result:
    """Returns how often a reader is right that is told of three things in the picture."""
    rng = random.Random(f"captions-{bench.seed}")

    def told(asked: Asked) -> str:
        things = rng.sample(asked.scene.objects, min(3, len(asked.scene.objects)))
        caption = " and ".join(
            f"{place_words(thing.row, thing.col)} a "
            + noun(Description(thing.size, thing.color, thing.material, thing.shape))
            for thing in things
        )
        return f"{caption}. {asked.question.text}"

    return _measure_reader(bench, "caption", told)


def measure_blind(bench: Bench) -> Result:
    """Returns how often a reader is right that is told nothing of the picture."""
    return _measure_reader(bench, "blind", lambda asked: asked.question.text)


def _measure_reader(bench: Bench, name: str, told: Callable[[Asked], str]) -> Result:
    texts = [(told(asked), asked.question.answer) for asked in bench.train_items()]
    trained = bench.reader(
        name,
        lambda: [Example(None, text, (Part(answer, ANSWER),)) for text, answer in texts],
        READING,
    )
    items = bench.test_items()
    said = bench.shop.say(
        trained.folder, _draws([Prompt(None, told(asked), None, "") for asked in items])
    )
    return cost_of(trained) | right_of(items, [one.text for one in said])


def measure_forced(bench: Bench) -> Result:
    """Returns how often the monologue's reasoner is right that may not look: its most probable
    answer is taken among all that the question can have."""
    items = bench.test_items(only_two_looks=True)
    answers = [_possible(asked.query) for asked in items]
    choices = [
        [
            Example(None, asked.question.text, (Part(answer, ANSWER, is_apart=True),))
            for answer in possible
        ]
        for asked, possible in zip(items, answers, strict=True)
    ]
    best = bench.shop.most_probable(bench.reasoner().folder, choices)
    return right_of(items, [possible[place] for possible, place in zip(answers, best, strict=True)])


def _possible(query: Query) -> tuple[str, ...]:
    if isinstance(query, AttributeQuery | NeighbourQuery):
        return tuple(ATTRIBUTES[query.attribute])
    return NUMBER_WORDS if isinstance(query, CountQuery) else ("yes", "no")


def _answered(bench: Bench, adapter: Path | None, items: Sequence[Asked]) -> Result:
    prompts = [Prompt(bench.pictures.of(a.scene), a.question.text, None, "") for a in items]
    began = time.monotonic()
    said = bench.shop.say(adapter, _draws(prompts))
    seconds = (time.monotonic() - began) / len(items)
    n_tokens = sum(one.n_tokens or 0 for one in said) / len(items)
    right = right_of(items, [one.text for one in said])
    return right | {"tokens_per_item": n_tokens, "seconds_per_item": seconds}


def _draws(prompts: Sequence[Prompt]) -> list[Draw]:
    return [Draw(prompt, TEMPERATURE, place) for place, prompt in enumerate(prompts)]
