"""Training examples of a monologue: the reasoner's own words, and what the observer saw.

Reasoner: one sequence per episode, without the picture; learned are its questions, its answer and
its rationale, never an observation (the released code of the paper learns those, too, and so
teaches the reasoner to make them up). Observer: one example per look, and none of an observation
that people found untrue.
"""

from collections.abc import Sequence

from app.round_settings import MonologueSettings
from worker.ml.types import ANSWER, RATIONALE, Example, Part
from worker.strategies.contract import Lesson
from worker.strategies.monologue.wording import (
    OBSERVATION,
    QUESTION,
    instruction_of,
    said_part,
    turn_parts,
)


def teach_reasoner(lesson: Lesson, opener: str, settings: MonologueSettings) -> Sequence[Example]:
    """Returns the episode of a lesson. Nothing for a lesson without turns, which would teach the
    reasoner to answer without looking, unless the settings want it."""
    if settings.needs_a_look and not lesson.turns:
        return ()
    # Observations stand here as they were read, also where people found one untrue: what follows
    # was said after these very words, and the sequence is not made anew from others.
    parts = list(turn_parts(lesson.turns, QUESTION))
    parts.append(said_part(lesson.answer, lesson.answer_tokens, is_first=not parts, loss=ANSWER))
    if rationale := (lesson.rationale or "").strip():
        parts.append(Part(opener, None, is_apart=True))
        parts.append(said_part(rationale, lesson.rationale_tokens, is_first=False, loss=RATIONALE))
    example = Example(
        image=None,
        question=lesson.question,
        parts=tuple(parts),
        weight=lesson.weight,
        instruction=instruction_of(settings),
    )
    return (example,)


def teach_observer(lesson: Lesson) -> Sequence[Example]:
    """Returns one example per look of a lesson: the asked question alone and what was seen, as far
    as that is to be learned.

    A lesson without turns is a look itself: at the item's question, with its answer."""
    return tuple(
        Example(
            image=lesson.image,
            question=asked,
            parts=(Part(observed, OBSERVATION),),
            weight=lesson.weight,
        )
        for asked, observed in _looks(lesson)
    )


def _looks(lesson: Lesson) -> list[tuple[str, str]]:
    if not lesson.turns:
        return [(lesson.question, lesson.answer)]
    observations = lesson.observations or [turn.observed for turn in lesson.turns]
    return [
        (turn.asked, observed)
        for turn, observed in zip(lesson.turns, observations, strict=True)
        if observed is not None and not turn.is_repeated
    ]
