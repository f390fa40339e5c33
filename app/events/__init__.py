"""Events: what happened, as typed values that are recorded once and read for ever.

One class per event says its tag, its details and its sentence for people; `EVENTS` holds all of
them by tag. `app/services/events.py` records them, `read_event` reads a stored one.
"""

# Every area is imported, so that each of its events is known whichever is read first.
from app.events import (
    accounts,
    admission,
    dataset,
    judging,
    projects,
    quality,
    releases,
    rounds,
    runs,
)
from app.events.base import EVENTS, BaseEvent, UnknownEvent, read_event

__all__ = [
    "EVENTS",
    "BaseEvent",
    "UnknownEvent",
    "accounts",
    "admission",
    "dataset",
    "judging",
    "projects",
    "quality",
    "read_event",
    "releases",
    "rounds",
    "runs",
]
