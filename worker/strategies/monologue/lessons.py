"""Training examples of a monologue: the reasoner's own words, and what the observer saw.

Reasoner: one sequence per episode, without the picture; learned are its questions, its answer and
its rationale, never an observation (the released code of the paper learns those, too, and so
teaches the reasoner to make them up). Observer: one example per look, and none of an observation
that people found untrue.

Where the settings want it, both learn to say less what people did not want: questions that they
found useless, and observations that they found untrue, each in an example of its own.
"""

from collections.abc import Iterator, Sequence

from app.round_settings import MonologueSettings
from app.same_text import text_key
from app.strategies.monologue import Turn
from worker.ml.types import ANSWER, DROPPED, RATIONALE, Example, Part
from worker.strategies.contract import Lesson
from worker.strategies.monologue.wording import (
    OBSERVATION,
    QUESTION,
    instruction_of,
    question_part,
    said_part,
    turn_parts,
)


def teach_reasoner(lesson: Lesson, opener: str, settings: MonologueSettings) -> Sequence[Example]:
    """Returns the episode of a lesson, and behind it the useless questions in it. Nothing for a
    lesson without turns, which would teach the reasoner to answer without looking, unless the
    settings want it."""
    if settings.needs_a_look and not lesson.turns:
        return ()
    # Observations stand here as they were read, also where people found one untrue: what follows
    # was said after these very words, and the sequence is not made anew from others.
    parts = list(turn_parts(lesson.turns, QUESTION, but=lesson.useless))
    parts.append(said_part(lesson.answer, lesson.answer_tokens, is_first=not parts, loss=ANSWER))
    if rationale := (lesson.rationale or "").strip():
        parts.append(Part(opener, None, is_apart=True))
        parts.append(said_part(rationale, lesson.rationale_tokens, is_first=False, loss=RATIONALE))
    useless = ((*turn_parts(before), part) for before, part in _useless_questions(lesson))
    return tuple(
        Example(
            image=None,
            question=lesson.question,
            parts=tuple(said),
            weight=lesson.weight,
            instruction=instruction_of(settings),
        )
        for said in (parts, *useless)
    )


def _useless_questions(lesson: Lesson) -> Iterator[tuple[Sequence[Turn], Part]]:
    """Yields each useless question behind the turns that it followed."""
    for place in sorted(lesson.useless):
        part = question_part(lesson.turns[place], is_first=place == 0, loss=DROPPED)
        yield lesson.turns[:place], part


def teach_observer(lesson: Lesson, settings: MonologueSettings) -> Sequence[Example]:
    """Returns one example per look of a lesson: the asked question alone and what was seen, as far
    as that is to be learned, or to be said less.

    A lesson without turns is a look itself: at the item's question, with its answer."""
    return tuple(
        Example(
            image=lesson.image,
            question=asked,
            parts=(Part(observed, loss),),
            weight=lesson.weight,
        )
        for asked, observed, loss in _looks(lesson)
        if loss == OBSERVATION or settings.unwanted_weight
    )


def _looks(lesson: Lesson) -> Iterator[tuple[str, str, str]]:
    """Yields what was asked, what is said of it, and by which loss that is learned."""
    if not lesson.turns:
        yield lesson.question, lesson.answer, OBSERVATION
        return
    observations = lesson.observations or [turn.observed for turn in lesson.turns]
    for turn, observed in zip(lesson.turns, observations, strict=True):
        if turn.is_repeated:
            continue
        if observed is not None:
            yield turn.asked, observed, OBSERVATION
        if observed is None or text_key(observed) != text_key(turn.observed):
            yield turn.asked, turn.observed, DROPPED
