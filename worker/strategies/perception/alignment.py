"""The first stage: what teaches a fresh perception to find places, before it learns from answers.

From answers alone a request learns late to look where it is asked to: what is shown of a picture
only says a little less wherever it looks. Texts that name places say where.
Captions, of people or of rendered scenes, and rationales are cut into pieces that name one place
each, and asked for piece by piece: "what is in the top left?". With pointing, which is ours and of
no paper, lessons whose question or rationale names one place, or about which people drew boxes,
lead the attention there; with both, the pieces of texts do so, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.round_settings import LoopSettings
from worker.ml.inputs.prompts import explained
from worker.ml.types import ANSWER, Box, Example, Part
from worker.strategies.captions import caption_of
from worker.strategies.contract import Lesson
from worker.strategies.perception.naming import pieces_with_places, the_place


def align(lessons: Sequence[Lesson], settings: LoopSettings) -> list[Example]:
    """Returns what is learned in the first stage; nothing where the settings want none, or no
    lesson names a place."""
    own = settings.perception
    made: list[Example] = []
    if own.points:
        made += [one for lesson in lessons for one in _pointing(lesson, settings)]
    if own.alignment in {"captions", "pointed_captions"}:
        asked = (one for lesson in lessons for one in _captions(lesson, settings))
        made += dict.fromkeys(asked)
    return made


def boxes_of(lesson: Lesson) -> tuple[Box, ...]:
    """Returns where a lesson says that one has to look: the boxes that people drew, or the place
    that its question names, or else its rationale."""
    if lesson.boxes:
        return lesson.boxes
    place = the_place((lesson.question, lesson.rationale))
    return () if place is None else (place,)


def _pointing(lesson: Lesson, settings: LoopSettings) -> Iterator[Example]:
    if boxes := boxes_of(lesson):
        example = explained(
            lesson.image,
            lesson.question,
            lesson.answer,
            lesson.rationale,
            settings.sampling.openers[0],
            weight=lesson.weight,
        )
        yield replace(example, boxes=boxes)


def _captions(lesson: Lesson, settings: LoopSettings) -> Iterator[Example]:
    told = lesson.facts or {}
    caption = lesson.description if lesson.is_caption else caption_of(told, settings.seed)
    for text in (caption, lesson.rationale):
        for place, said in pieces_with_places(text or ""):
            boxes = (place.box,) if settings.perception.points else ()
            yield Example(
                lesson.image, f"what is {place.words}?", (Part(said, ANSWER),), boxes=boxes
            )
