"""Whether episodes that were solved before the first look harm a reasoner that learns from them.

Every third episode of the prior answers at once and rightly, as one does that was lucky. The
setting `monologue.needs_a_look` leaves those out. The observer is a program that is never wrong, so
that what differs is whether the reasoner asks.
"""

import random
from dataclasses import replace

from benchmarks.strategies.bench import OPENER, SETTINGS, Bench, as_lesson
from benchmarks.strategies.counting import cost_of
from benchmarks.strategies.data import Asked, with_monologues
from benchmarks.strategies.models import TALKING
from benchmarks.strategies.monologue import play
from benchmarks.strategies.rewards import always_right
from benchmarks.strategies.second_stage import first_config, items_of
from benchmarks.support.cells import Result
from worker.ml.types import Example
from worker.strategies.contract import Lesson
from worker.strategies.monologue.lessons import teach_reasoner

HASTY_SHARE = 1 / 3
"""Of the prior's episodes, those that answer before any look."""


def hasty_prior(asked: list[Asked], seed: int) -> list[Lesson]:
    """Returns an episode for each question, a third of them without any look."""
    rng = random.Random(f"hasty-{seed}")
    hasty = set(rng.sample(range(len(asked)), round(HASTY_SHARE * len(asked))))
    lessons = [as_lesson(one, made) for one, made in with_monologues(f"hasty-{seed}", asked)]
    return [replace(one, turns=()) if place in hasty else one for place, one in enumerate(lessons)]


def measure_hasty(bench: Bench) -> Result:
    """Returns what the reasoner comes to with the setting on, or off."""
    is_dropped = bool(bench.config["needs_a_look"])
    settings = SETTINGS.model_copy(update={"needs_a_look": is_dropped})
    lessons = hasty_prior(items_of(bench.seed), bench.seed)

    def examples() -> list[Example]:
        return [made for one in lessons for made in teach_reasoner(one, OPENER, settings)]

    name = "hasty-dropped" if is_dropped else "hasty-learned"
    trained = bench.shop.train(name, examples, TALKING, first_config(bench.seed))
    items = bench.test_items()
    observer = always_right({bench.pictures.of(one.scene): one for one in items})
    return cost_of(trained) | play(bench, items, trained.folder, observer)
