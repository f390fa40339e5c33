"""The declaration of a strategy."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.kit.sentences import Sentence
from app.round_settings import LoopSettings, NamedBase


@dataclass(frozen=True)
class Mark:
    """Something that people may say of one turn of a draw: a question with its possible answers.

    `of` names what of a turn is marked, `values` are stored, each with its word for people.
    """

    of: str
    question: str
    values: Mapping[str, str]


class Trace(BaseModel, ABC):
    """How a draw came to its text, as it is stored with the draw. Each strategy has its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    @abstractmethod
    def way(self) -> Hashable:
        """Returns what tells it from others: two draws with the same came the same way."""

    @property
    @abstractmethod
    def observed(self) -> Sequence[str]:
        """Returns what was observed in each turn; people may mark as many turns as there are."""


@dataclass(frozen=True)
class Strategy:
    """A way in which a model comes to the rationales of an item.

    `roles` are the models that it asks and trains, each with an adapter of its own. A round has one
    row of models per role, and a training run is of one role. `trace` and `trace_template`: how a
    draw came to its text, and the template that shows it to people beside the text; None where
    there is nothing to show. `shows_traces`: whether people see the traces of a round with these
    settings, as they are stored. `marks`: what people may say of the turns of a draw.
    `learns_from_prior`: whether it can be trained on imported episodes, with their looks.
    `asks_about_images`: whether its models ask about images, also about those that came without a
    question. `learns_from_rewards`: whether its roles can learn from how draws of their own ended.
    `looking_role`: the role that learns what is observed, as far as people do not find it untrue;
    `asking_role`: the one that learns what is asked, from which useless questions can be kept.
    `draws_boxes`: whether people may draw where on the picture a look should have been.
    `branch_template`: shows a draw that was played on from a turn that a person corrected; None
    where draws cannot be. `own_bases`: the base models of the roles that have one of their own with
    these settings; the others stand on the base model of the settings.
    """

    name: str
    roles: tuple[str, ...]
    trace: type[Trace] | None = None
    trace_template: str | None = None
    shows_traces: Callable[[Mapping[str, Any]], bool] = lambda _settings: True
    marks: tuple[Mark, ...] = ()
    learns_from_prior: bool = False
    asks_about_images: bool = False
    learns_from_rewards: bool = False
    looking_role: str | None = None
    asking_role: str | None = None
    draws_boxes: bool = False
    branch_template: str | None = None
    own_bases: Callable[[LoopSettings], Mapping[str, NamedBase]] = lambda _settings: {}

    def base_of(self, settings: LoopSettings, role: str) -> NamedBase:
        """Returns the base model that a role stands on."""
        return self.own_bases(settings).get(role, settings.base)

    def list_bases(self, settings: LoopSettings) -> tuple[NamedBase, ...]:
        """Returns the base models that its roles stand on, each once, in the order of the roles."""
        return tuple(dict.fromkeys(self.base_of(settings, role) for role in self.roles))


USEFUL_OR_NOT = {
    "yes": Sentence("yes"),
    "no": Sentence("no"),
    "cannot_tell": Sentence("cannot tell"),
}
"""The values of a mark that is a yes or a no."""
RIGHT_OR_WRONG = {
    "right": Sentence("right"),
    "partly": Sentence("partly"),
    "wrong": Sentence("wrong"),
}
"""The values of a mark that says how far something is right."""
