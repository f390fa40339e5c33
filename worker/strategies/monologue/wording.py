"""The words of a monologue, and how they are read: the same in sampling and in training.

The reasoner reads, plain model and two looks:

    Q: is the cone the same size as the ball? A: look: what size is the cone? see: small. look: is
    there a small ball? see: no. no, seeing that the cone is small and there is no small ball

Each of `look: …?`, the answer and the rationale is said in one go and ends with the end token, as
in training (losses.py); what follows it is put there, read and never learned.
"""

import re
from collections.abc import Collection, Iterable

from app.round_settings import MonologueSettings
from app.strategies.monologue import Turn
from worker.ml.types import Part

QUESTION, OBSERVATION = "question", "observation"
"""The names of the losses of what a reasoner asks and of what an observer sees."""

_ASKS = "look:"
_SEES = " see: {observed}."
_ASKED = re.compile(rf"\s*{re.escape(_ASKS)}\s*(?P<asked>\S.*?)\s*", re.DOTALL)

INSTRUCTION = (
    "Answer the question about a picture that you cannot see. To have something in it looked at, "
    f"write “{_ASKS}” and one short question. You are told what is seen. As soon as you know "
    "enough, give the short answer alone."
)
"""What a chat model is told before the question, unless the settings say that it should learn from
examples alone; plain models do anyway."""


def instruction_of(settings: MonologueSettings) -> str:
    """Returns what the reasoner is told."""
    return INSTRUCTION if settings.instruct else ""


def read_question(text: str) -> str | None:
    """Returns what a reasoner asks with these words, None where they are no question of its own."""
    found = _ASKED.fullmatch(text)
    return found["asked"] if found else None


def question_part(turn: Turn, *, is_first: bool, loss: str | None = None) -> Part:
    """Returns the reasoner's question of a turn, as it was sampled where it was."""
    blank = "" if is_first else " "
    return Part(f"{blank}{_ASKS} {turn.asked}", loss, tokens=turn.asked_tokens, is_apart=True)


def observation_part(turn: Turn) -> Part:
    """Returns what the reasoner reads of a turn's observation."""
    return Part(_SEES.format(observed=turn.observed.rstrip(". ")), None, is_apart=True)


def turn_parts(
    turns: Iterable[Turn], loss: str | None = None, but: Collection[int] = ()
) -> tuple[Part, ...]:
    """Returns the parts of some turns in their order; the questions are learned by `loss`, but for
    those of the turns at some places, from 0."""
    parts: list[Part] = []
    for place, turn in enumerate(turns):
        learned = None if place in but else loss
        parts += [question_part(turn, is_first=not parts, loss=learned), observation_part(turn)]
    return tuple(parts)


def said_part(
    text: str, tokens: tuple[int, ...] | None, *, is_first: bool, loss: str | None = None
) -> Part:
    """Returns an answer or a rationale that follows what was said before it."""
    return Part(text if is_first else f" {text}", loss, tokens=tokens, is_apart=True)
