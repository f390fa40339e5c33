"""Time at an item as it is counted: never more than reading it, judging it and typing may take.

What the page measured stays on the row (`active_ms`). Every figure of people's time is of
`counted_ms` (`WithCountedTime`), which follows this rule; docs/evidence.md has it in words, with
its sources.
"""

from typing import Any

READ_PER_MINUTE = 238
"""Words that adults read in a minute (Brysbaert 2019, over 190 studies)."""
TYPED_PER_MINUTE = 36
"""Words that people type in a minute on a phone, which is slower than a keyboard (Palin 2019)."""
PICTURE_MS = 10_000
TIMES = 4
"""So many times everything may be looked at and read: there, between candidates, and back."""
LEAST_MS = 60_000
"""As long may anything take."""

SKIMMED_PER_MINUTE = 600
"""Words a minute above which people do not follow a text any more (Rayner 2016)."""
MUCH_FASTER = 2
_MS = 60_000
SHORTEST_MS_PER_WORD = _MS / SKIMMED_PER_MINUTE / MUCH_FASTER
"""An answer that took less came much faster than its text can be skimmed."""


def longest_ms(*, n_words: int, n_trace_words: int = 0, n_typed: int = 0) -> int:
    """Returns how much time at an item is counted at most.

    n_words: of question, answer and candidates. n_trace_words: of the turns that led to them.
    n_typed: of the comment, better texts and corrections.
    """
    return max(LEAST_MS, int(reading_ms(n_words, n_trace_words, n_typed)))


def reading_ms(n_words: Any, n_trace_words: Any, n_typed: Any) -> Any:
    """Returns the limit without the least that always counts: of whole numbers, or of expressions
    of a statement."""
    reading = PICTURE_MS + (n_words + n_trace_words) * _MS // READ_PER_MINUTE
    return TIMES * reading + n_typed * _MS // TYPED_PER_MINUTE
