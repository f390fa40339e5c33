"""What self-questioning learns: dialogues about a picture, in some of whose turns the model asks.

A dialogue is a description, where there is one, and then the image's questions in a random order.
The first thing that is asked in it is never the model's own; each later question is, with the
probability delta. (SQ-LLaVA, Sun et al. 2024, arXiv 2403.11299, and the code published with it.)
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.round_settings import LoopSettings
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import DROPPED, Example, Part
from worker.strategies.contract import Lesson
from worker.strategies.self_questioning.wording import (
    ASKERS,
    DESCRIBE,
    DESCRIPTION,
    USERS,
    answer_parts,
    described,
    turn_parts,
)


def make_dialogues(lessons: Sequence[Lesson], settings: LoopSettings) -> list[tuple[int, Example]]:
    """Returns dialogues of all lessons, each with the place of one that it was made of. Which
    lessons stand together, and in what order, depends on the lessons of their image alone."""
    by_image: dict[Path, list[int]] = defaultdict(list)
    for place, lesson in enumerate(lessons):
        by_image[lesson.image].append(place)
    return [
        (together[0], _dialogue([lessons[place] for place in together], chance, settings))
        for image, places in by_image.items()
        for chance in [_chance(image, settings)]
        for together in _lots(lessons, places, chance, settings.self_questioning.dialogue_turns)
    ]


def describing(picture: Path, caption: str, weight: float = 1.0) -> Example:
    """Returns what is learned of a caption that people gave: the first stage."""
    return Example(picture, DESCRIBE, (described(caption, loss=DESCRIPTION),), weight)


def make_dropped(lessons: Sequence[Lesson]) -> list[tuple[int, Example]]:
    """Returns what is to be asked less, each with the place of the first lesson about its picture:
    the questions that were dropped, where the model asks them in a dialogue."""
    firsts: dict[Path, int] = {}
    dropped: dict[Path, dict[str, None]] = defaultdict(dict)
    for place, lesson in enumerate(lessons):
        firsts.setdefault(lesson.image, place)
        dropped[lesson.image] |= dict.fromkeys(lesson.dropped)
    return [
        (firsts[image], _asked_in_vain(lessons[firsts[image]], question))
        for image, questions in dropped.items()
        for question in questions
    ]


def _asked_in_vain(first: Lesson, question: str) -> Example:
    """A dropped question behind the description, or behind an answered one where there is none."""
    if first.description:
        opening, before = DESCRIBE, described(first.description)
    else:
        opening, before = first.question, Part(first.answer, None, is_apart=True)
    asked = Part(question, DROPPED, is_apart=True)
    return Example(first.image, opening, (before, USERS, ASKERS, asked))


def _chance(image: Path, settings: LoopSettings) -> random.Random:
    seed = derive_seed(settings.seed, "dialogues", image.name)
    return random.Random(seed)  # noqa: S311 - shuffles examples, no secrets


def _lots(
    lessons: Sequence[Lesson], places: Sequence[int], chance: random.Random, size: int
) -> Iterator[list[int]]:
    """The lessons of an image, shuffled, as many at a time as a dialogue takes, none of them twice
    about the same question."""
    left = list(places)
    chance.shuffle(left)
    while left:
        together: list[int] = []
        for place in left:
            asked = {lessons[one].question for one in together}
            if len(together) < size and lessons[place].question not in asked:
                together.append(place)
        left = [place for place in left if place not in together]
        yield together


def _dialogue(lessons: Sequence[Lesson], chance: random.Random, settings: LoopSettings) -> Example:
    opener, delta = settings.sampling.openers[0], settings.self_questioning.delta
    first, *later = lessons
    parts: list[Part] = []
    question = first.question
    if first.description:
        question, later = DESCRIBE, list(lessons)
        loss = DESCRIPTION if first.is_caption else None
        parts.append(described(first.description, loss=loss))
    else:
        parts += answer_parts(first.answer, first.rationale, opener)
    for lesson in later:
        is_own = chance.random() < delta
        parts += turn_parts(lesson.question, lesson.answer, lesson.rationale, opener, is_own=is_own)
    weight = sum(lesson.weight for lesson in lessons) / len(lessons)
    return Example(first.image, question, tuple(parts), weight)
