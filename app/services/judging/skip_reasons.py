"""Reasons for skipping an item: those that are offered, and how a stored one is shown."""

from app.kit.sentences import Sentence

SKIP_REASONS = (
    Sentence("I cannot tell from the image"),
    Sentence("The question is unclear"),
    Sentence("The rationales are not readable"),
    Sentence("I would rather not judge this image"),
)
"""Stored in English as they stand, in whatever language they were chosen."""

ERASED_REASON = Sentence("the reason was erased")
"""Stored instead of the own words of a person who was erased."""


def shown_reason(given: str | None) -> str | None:
    """Returns a stored reason as a page may translate it; what people wrote stays theirs."""
    return next((known for known in (*SKIP_REASONS, ERASED_REASON) if known == given), given)
