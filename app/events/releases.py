"""Events of releases."""

from typing import ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import Sentence


class ReleaseCreated(BaseEvent):
    """A release was made; the hash says what it contains."""

    tag: ClassVar[str] = "release:created"
    release_id: int
    number: int
    content_hash: str

    def describe(self) -> str:
        return Sentence("Release %(number)s made", number=self.number)
