"""The base of all events: a tag, typed details, and one sentence for people.

A row is written once and read for ever, also by versions that have changed the fields since. So
reading leaves out details that the class does not name, and a row that no class can read becomes an
`UnknownEvent`. Nothing in here raises because of a stored row.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

EVENTS: dict[str, type["BaseEvent"]] = {}
"""Every class of events by its tag; a class enters itself when it is defined."""


@dataclass(frozen=True)
class OwnWords:
    """Marks a field with words of the person whom the event is about, or who did it.

    Erasing that person takes the field out of the stored row, so it may be None.
    """


class BaseEvent(BaseModel):
    """Something that happened, which a person may later ask about. Its fields are the details.

    A class with a `tag` is an event; one without holds the fields that several events share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tag: ClassVar[str]
    """`noun:what:verb`, or `noun:verb`, for example `round:status:changed`; never changed again."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if tag := cls.__dict__.get("tag"):
            if tag in EVENTS:
                raise TypeError(f"{cls.__name__} has the tag {tag} of {EVENTS[tag].__name__}.")
            EVENTS[tag] = cls

    @abstractmethod
    def describe(self) -> str:
        """Returns the event as one sentence for people, without a full stop."""

    def details(self) -> dict[str, Any]:
        """Returns the fields as JSON, as they are stored. A field that is None is left out."""
        fields = self.model_dump(mode="json")
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def own_words(cls) -> tuple[str, ...]:
        """Returns the names of the fields that go when their author is erased."""
        fields = cls.model_fields.items()
        return tuple(name for name, field in fields if OwnWords() in field.metadata)


@dataclass(frozen=True)
class UnknownEvent:
    """A stored event that no class of this version can read: its tag or a detail is another's."""

    tag: str
    found: Mapping[str, Any]

    def describe(self) -> str:
        """Returns the words of the tag, in English as they are: nothing better is known."""
        words = self.tag.replace(":", " ").replace("_", " ").replace("-", " ")
        return words[:1].upper() + words[1:]


def read_event(tag: str, details: Mapping[str, Any]) -> BaseEvent | UnknownEvent:
    """Returns a stored event as its class reads it, whichever version stored it."""
    kind = EVENTS.get(tag)
    if kind is None:
        return UnknownEvent(tag, details)
    try:
        return kind.model_validate(
            {name: value for name, value in details.items() if name in kind.model_fields}
        )
    except ValidationError:
        return UnknownEvent(tag, details)
