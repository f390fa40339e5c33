"""The words of a dialogue about a picture, and in what order they stand: the same in sampling and
in training.

Plain model, one turn that the model asks itself and one that somebody else asks:

    <image>Q: what is in the picture? A: a red ball and a small cube Q: ⟨asker⟩ what color is the
    ball? A: red, seeing that it looks red Q: how many cubes are there? A: one

⟨asker⟩ is the row that the adapter adds to the model's words, or the words "you ask:". A chat
model reads its own template in the place of Q and A.
"""

from pathlib import Path

from worker.ml.types import ANSWER, ASKER, RATIONALE, Part, Prompt

DESCRIBE = "what is in the picture?"
"""The first turn of a dialogue. It is always asked of the model, and never by it."""

QUESTION, DESCRIPTION = "question", "description"
"""The names of the losses of what the model asks and of what it describes."""

USERS, ASSISTANTS = Part("", None, turn="user"), Part("", None, turn="assistant")
ASKERS = Part("", None, turn=ASKER)


def description_prompt(picture: Path) -> Prompt:
    """Returns what is asked for a description."""
    return Prompt(picture, DESCRIBE, None, "")


def described(text: str, tokens: tuple[int, ...] | None = None, *, loss: str | None = None) -> Part:
    """Returns a description as the first turn of a dialogue, in its own tokens where it was
    sampled."""
    return Part(text, loss, tokens=tokens, is_apart=True)


def asking_prompt(picture: Path, description: Part) -> Prompt:
    """Returns what a model is to go on from with a question of its own."""
    return Prompt(picture, DESCRIBE, None, "", said=(description, USERS, ASKERS))


def turn_parts(
    question: str, answer: str, rationale: str | None, opener: str, *, is_own: bool
) -> tuple[Part, ...]:
    """Returns a later turn: the question, learned where the model asks it itself, and what is
    answered."""
    asked = (ASKERS, Part(question, QUESTION, is_apart=True))
    given = (Part(question, None, is_apart=True),)
    return (
        USERS,
        *(asked if is_own else given),
        ASSISTANTS,
        *answer_parts(answer, rationale, opener),
    )


def answer_parts(answer: str, rationale: str | None, opener: str) -> tuple[Part, ...]:
    """Returns an answer and, where there is one, its rationale; both are learned."""
    answered = Part(answer, ANSWER, is_apart=True)
    if not (said := (rationale or "").strip()):
        return (answered,)
    opened = Part(opener, None, is_apart=True)
    return answered, opened, Part(f" {said}", RATIONALE, is_apart=True)
