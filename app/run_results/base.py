"""How typed values are kept as JSON in a row, and read whichever version wrote them."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


def is_zero(value: object) -> bool:
    return value == 0


def is_none(value: object) -> bool:
    return value is None


def is_empty(value: object) -> bool:
    return not value


class StoredJson(BaseModel):
    """A value that a row keeps as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Returns what a row keeps, whichever version wrote it: a key that is missing or null has
        its default, and one that nobody knows is left out."""
        return cls.model_validate({key: own for key, own in stored.items() if own is not None})

    @classmethod
    def find(cls, stored: Mapping[str, Any]) -> Self | None:
        """Returns what a row keeps; None where nothing is stored yet."""
        return cls.read(stored) if stored else None

    def dump(self) -> dict[str, Any]:
        """Returns the JSON to store."""
        return self.model_dump(mode="json")
