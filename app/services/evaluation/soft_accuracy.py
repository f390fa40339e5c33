"""How far a model's answer agrees with those that several people gave to the same question.

The score of the public VQA evaluation (Antol et al., VQA: Visual Question Answering, 2015): an
answer is fully right where at least three people gave it. Two answers are equal as everywhere
else (`app.same_text`); docs/measuring.md says where that differs from the public program.
"""

from collections.abc import Sequence

from app.same_text import is_same_answer

ENOUGH_MATCHES = 3
"""So many people who gave the answer make it fully right."""
FEWEST_ANSWERS = ENOUGH_MATCHES + 1
"""With fewer answers, no answer could be fully right once one person is left out: such an item
would measure how many people were asked."""


def soft_accuracy(given: str, answers: Sequence[str]) -> float | None:
    """Returns the mean, over all ways to leave one person out, of min(1, matches among the others
    / 3); None where too few people answered.

    >>> soft_accuracy("yes", ["yes"] * 3 + ["no"] * 7)
    0.9
    """
    n = len(answers)
    if n < FEWEST_ANSWERS:
        return None
    matches = sum(is_same_answer(given, answer) for answer in answers)
    # Who is left out is one of those who gave the answer, or one of the others.
    without_match = min(matches - 1, ENOUGH_MATCHES)
    without_other = min(matches, ENOUGH_MATCHES)
    total = matches * without_match + (n - matches) * without_other
    return total / (n * ENOUGH_MATCHES)
