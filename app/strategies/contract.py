"""The declaration of a strategy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Strategy:
    """A way in which a model comes to the rationales of an item.

    `roles` are the models that it asks and trains, each with an adapter of its own. A round has one
    row of models per role, and a training run is of one role.
    """

    name: str
    roles: tuple[str, ...]
