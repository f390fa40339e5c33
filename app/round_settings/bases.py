"""A base model as settings name it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedBase:
    """The name of a base model and the revision that is asked for; None takes the newest, once."""

    name: str
    revision: str | None = None
