"""The procedure of a strategy: what the stages of a round ask of it, whichever strategy it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.kit.errors import AppError
from app.models import Image, Item
from app.queries.rounds.questions import KnownQuestions
from app.round_settings import LoopSettings
from app.services.evaluation.predictions import Said
from app.services.judging.branches import Branched
from app.services.rounds.questions import Inquiry
from app.services.rounds.sampling import Drawn
from app.services.runs.failures import Failure
from app.strategies.monologue import Turn
from worker.ml.abilities import Ability
from worker.ml.reinforcement.types import Rollout
from worker.ml.types import (
    AdapterSettings,
    Box,
    Draw,
    Example,
    Failed,
    SampleConfig,
    Sampled,
)

Sampler = Callable[[Sequence[Draw], SampleConfig], list[Sampled | Failed]]
"""Makes of every draw a text, or a reason why there is none, in the order of the draws."""

Marker = Callable[[int, Turn], tuple[float | None, float | None]]
"""Says of a turn of an item, which it knows by its place, how useful the question is and how true
the observation, each from -1 to 1; None where nobody knows."""

Models = Mapping[str, Sampler]
"""The models of a strategy, by role. None is loaded before its first draws come."""


@dataclass(frozen=True)
class Proposed:
    """The texts that were drawn for some items, and the items of which draws failed."""

    drawn: Sequence[Drawn]
    failures: Sequence[Failure]


@dataclass(frozen=True)
class Asked:
    """An item with the picture that a model is shown of it, which may be a blank one."""

    item: Item
    picture: Path


@dataclass(frozen=True)
class Answered:
    """The answers and rationales for some items, by item id, and the items that failed."""

    said: Mapping[int, Said]
    failures: Sequence[Failure]


@dataclass(frozen=True)
class Fork:
    """A draw, and what a person sees instead of what one of its turns observed (from 1 on)."""

    item: Item
    picture: Path
    opener: str
    temperature: float
    seed: int
    trace: Mapping[str, Any]
    turn: int
    observed: str


@dataclass(frozen=True)
class Lesson:
    """A question with its answer and, where there is one, a rationale, whoever made it.

    Every strategy can be taught the same lessons, or their results could not be compared: one that
    wants more than a lesson has goes without, and one that does not know its turns leaves them out.

    description: what is said of the picture before anything is asked; is_caption: people said it.
    boxes: where people drew that one has to look. dropped: questions about the picture that the
    model asked and that were dropped. facts: what came with the item.
    turns: the looks that led to the answer, where it came of a monologue. observations: what was
    observed in each of them, as far as it is to be learned, None where it is not; empty where all
    is as the turns have it. useless: the places of the turns, from 0, whose questions are not to be
    learned. answer_tokens, rationale_tokens: as they were sampled after these
    turns; None for texts that were not.
    """

    image: Path
    question: str
    answer: str
    rationale: str | None
    weight: float = 1.0
    turns: tuple[Turn, ...] = ()
    observations: tuple[str | None, ...] = ()
    useless: frozenset[int] = frozenset()
    answer_tokens: tuple[int, ...] | None = None
    rationale_tokens: tuple[int, ...] | None = None
    description: str | None = None
    is_caption: bool = False
    boxes: tuple[Box, ...] = ()
    dropped: tuple[str, ...] = ()
    facts: Mapping[str, Any] | None = None


class Procedure(ABC):
    """How a strategy asks its models, and what it teaches them."""

    needs: tuple[Ability, ...] = ()
    """What it asks of a base beyond answering about a picture."""
    may_need: tuple[Ability, ...] = ()
    """What only some of its settings ask of a base, too."""

    def needs_of(self, role: str) -> tuple[Ability, ...]:  # noqa: ARG002
        """Returns what it asks of the base of a role: all that it needs, unless a strategy has
        roles that can stand on bases of their own."""
        return self.needs

    def needed(self, settings: LoopSettings, role: str) -> tuple[Ability, ...]:  # noqa: ARG002
        """Returns what it asks of the base of a role with these settings."""
        return self.needs_of(role)

    @abstractmethod
    def propose(
        self,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        round_number: int,
    ) -> Proposed:
        """Returns candidates for train items.

        What is drawn for an item depends on the item, the settings and the round alone, and not on
        the other items of the call.
        """

    def inquire(
        self,
        models: Models,  # noqa: ARG002
        images: Sequence[tuple[Image, KnownQuestions]],  # noqa: ARG002
        settings: LoopSettings,
        round_number: int,
    ) -> Sequence[Inquiry]:
        """Returns what the strategy asks about images of itself, each given with the questions that
        are known of it. It depends on the image, on these, on the settings and the round alone."""
        del settings, round_number
        return ()

    def branch(self, models: Models, fork: Fork, settings: LoopSettings) -> Branched | Failed:  # noqa: ARG002
        """Returns how a draw goes on from a turn of which a person saw something else, or why it
        could not be played. It depends on the draw and on what they saw alone.

        Raises AppError: the draws of this strategy have no turns.
        """
        raise AppError("Draws of this strategy have no turns to go on from.")

    @abstractmethod
    def answer(self, models: Models, asked: Sequence[Asked], settings: LoopSettings) -> Answered:
        """Returns the answers and rationales for held-out items, whose own answers are not told.

        The same draws whatever the pictures are: what differs between two calls is what the
        pictures made of it.
        """

    def explain(self, models: Models, asked: Sequence[Asked], settings: LoopSettings) -> Answered:
        """Returns rationales of the items' own answers, as `answer` does of the model's. A strategy
        whose models cannot be told an answer lets them find it."""
        return self.answer(models, asked, settings)

    def adapt(
        self,
        role: str,  # noqa: ARG002
        adapter: AdapterSettings,
        settings: LoopSettings,  # noqa: ARG002
        n_words: Callable[[], int],  # noqa: ARG002
    ) -> AdapterSettings:
        """Returns what the adapter of a role holds, where the settings of the training want this.
        n_words says how large the vocabulary of the base is."""
        return adapter

    def roll(
        self,
        role: str,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        marker: Marker,
    ) -> Rollout:
        """Returns what plays the draws from which a role learns by rewards, of some train items,
        which it knows by their places. Raises NotImplementedError where the strategy's declaration
        does not say that it learns so."""
        raise NotImplementedError

    def unwanted_weight(self, settings: LoopSettings) -> float:  # noqa: ARG002
        """Returns how much the loss of what people do not want counts (training/unlearning.py); 0
        where the strategy teaches nothing of it."""
        return 0.0

    @abstractmethod
    def teach(self, role: str, lesson: Lesson, settings: LoopSettings) -> Sequence[Example]:
        """Returns what the model of a role learns of a lesson; nothing where it is not for it."""

    def teach_all(
        self, role: str, lessons: Sequence[Lesson], settings: LoopSettings
    ) -> list[tuple[int, Example]]:
        """Returns what the model of a role learns of lessons that stand together, each example with
        the place of the lesson that it is of, or of one of them."""
        return [
            (place, example)
            for place, lesson in enumerate(lessons)
            for example in self.teach(role, lesson, settings)
        ]

    def first_stage(
        self,
        role: str,  # noqa: ARG002
        lessons: Sequence[Lesson],  # noqa: ARG002
        settings: LoopSettings,  # noqa: ARG002
    ) -> Sequence[Example]:
        """Returns what a fresh adapter of a role learns before everything else; nothing where there
        is no such stage."""
        return ()

    def first_epochs(self, settings: LoopSettings, n_examples: int) -> int:  # noqa: ARG002
        """Returns how many epochs the first stage takes for so many examples."""
        return 1

    def first_adapter(self, adapter: AdapterSettings) -> AdapterSettings:
        """Returns what of an adapter learns in the first stage: all, unless a strategy says else.
        The rest begins afresh with the training itself."""
        return adapter
