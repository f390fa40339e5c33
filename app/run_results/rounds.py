"""The figures of a round, as they are kept with it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from app.run_results.base import StoredJson, is_empty, is_none, is_zero
from app.run_results.closing import CriticFigures
from app.run_results.runs import EpisodeTally, MapTally


class BranchTally(StoredJson):
    """Counts of the branches of a round, apart from its draws: how many people asked for, and what
    it took to make them."""

    asked: int = 0
    made: int = 0
    explained: int = 0
    """Of those made, the ones that came to the item's answer and a rationale."""
    tokens: int = 0
    """Of both roles, sampled anew; of the reasoner alone where an older version did."""
    seconds: float = 0.0
    """Of workers."""


class RewardedFigures(StoredJson):
    """The draws of a round that were rewarded in its second stage; people never see them.

    n_tokens: those that the roles that learned sampled. seconds: of drawing and learning.
    """

    n_draws: int = 0
    n_tokens: int = 0
    seconds: float = 0.0


class KindTally(StoredJson):
    """Questions of a kind: all, those that have an answer in their image, and in another one."""

    asked: int = 0
    grounded: int = 0
    elsewhere: int = 0


class QuestionTally(StoredJson):
    """What a round asked about images. n_drawn: all draws; n_known: those that asked what was known
    of the image; n_empty: those that asked nothing. n_proposed: distinct questions; n_over: further
    ones that were over the limit of an image. kinds: those that a critic could read.

    Of people: n_by_people: questions that they decided on; n_kept_by_people, of which n_edited in
    another wording; n_not_in_image, n_not_worth: dropped ones of which they said so; n_reviews:
    images that they decided on, in counted_ms of their time."""

    n_images: int = 0
    n_drawn: int = 0
    n_known: int = 0
    n_empty: int = 0
    n_over: int = 0
    n_proposed: int = 0
    n_kept: int = 0
    n_dropped: int = 0
    kinds: dict[str, KindTally] = Field(default_factory=dict)
    n_by_people: int = 0
    n_kept_by_people: int = 0
    n_edited: int = 0
    n_not_in_image: int = 0
    n_not_worth: int = 0
    n_reviews: int = 0
    counted_ms: int = 0

    @property
    def seconds_per_kept(self) -> float | None:
        """Returns the time of people for each question that they kept; None where they kept none,
        or no time was measured."""
        if not self.n_kept_by_people or not self.counted_ms:
            return None
        return self.counted_ms / 1000 / self.n_kept_by_people

    @property
    def n_waiting(self) -> int:
        """Returns how many nobody has decided on."""
        return self.n_proposed - self.n_kept - self.n_dropped

    @property
    def kept_share(self) -> float | None:
        """Returns the share of the decided questions that was kept; None where none was decided."""
        n_decided = self.n_kept + self.n_dropped
        return self.n_kept / n_decided if n_decided else None


class JudgingEffort(StoredJson):
    """How much people judged, and the counted time that it took them."""

    judgements: int = 0
    counted_ms: int = 0

    def __add__(self, other: "JudgingEffort") -> "JudgingEffort":
        return JudgingEffort(
            judgements=self.judgements + other.judgements,
            counted_ms=self.counted_ms + other.counted_ms,
        )


class MixedStrategy(StoredJson):
    """What a strategy of a mixed round comes to on held-out items, as the round was decided.

    floor: the answer accuracy under which it sits out the next round.
    """

    strategy: str
    validation_accuracy: float | None = None
    floor: float | None = None
    sat_out: bool = False
    """Whether it was not sampled in this round."""

    @property
    def is_under_floor(self) -> bool:
        """Whether its answers are right so seldom that it is not sampled in the next round."""
        if self.floor is None or self.validation_accuracy is None:
            return False
        return self.validation_accuracy < self.floor


class RoundFigures(StoredJson):
    """The figures of a round, as they were when it was decided.

    improved: train items newly covered, and measured items whose fit rose.
    regressed: measured items whose fit fell.
    """

    n_items: int = 0
    n_open: int = 0
    """Items that it sampled."""
    n_covered: int = 0
    newly_covered: int = 0
    improved: int = 0
    regressed: int = 0
    n_measured: int | None = Field(default=None, exclude_if=is_none)
    """Validation items with a verdict now and before, of which some improved or regressed; None
    where an older version decided the round."""
    validation_accuracy: float | None = None
    baseline_accuracy: float | None = None
    n_admitted: int = 0
    n_written_trained: int = 0
    n_draws_fitting: int = 0
    n_draws_judged: int = 0
    """Draws of shown candidates that were judged, in the round or before. Older versions counted
    those that were judged in the round alone."""
    episodes: EpisodeTally | None = Field(default=None, exclude_if=is_none)
    """None where no monologue was sampled."""
    rewarded: RewardedFigures | None = Field(default=None, exclude_if=is_none)
    """None where nothing was learned from rewards."""
    branches: BranchTally | None = Field(default=None, exclude_if=is_none)
    """None where nobody asked for one."""
    maps: MapTally | None = Field(default=None, exclude_if=is_none)
    """None where nothing was looked at that could be hidden."""
    questions: QuestionTally | None = Field(default=None, exclude_if=is_none)
    """None where the model asked nothing about images."""
    n_alone: int = Field(default=0, exclude_if=is_zero)
    """Train images without any question that the next round could ask about, where it asks."""
    effort: JudgingEffort | None = Field(default=None, exclude_if=is_none)
    """Of the people who judged it; None where an older version decided it."""
    strategies: tuple[MixedStrategy, ...] = Field(default=(), exclude_if=is_empty)
    """Of a round in which several took part."""
    critic: CriticFigures | None = None
    """None where people judged; stored as keys that begin with `critic_`."""

    @model_validator(mode="before")
    @classmethod
    def gather_critic(cls, stored: Any) -> Any:
        """Reads the keys of the critic's figures as one value."""
        if not isinstance(stored, Mapping):
            return stored
        start = "critic_"
        own = {key.removeprefix(start): n for key, n in stored.items() if key.startswith(start)}
        return {**stored, "critic": CriticFigures.read(own)} if own else stored

    @model_serializer(mode="wrap")
    def spread_critic(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Stores each of the critic's figures under a key of its own, beside the others."""
        stored: dict[str, Any] = dump(self)
        critic: dict[str, Any] = stored.pop("critic") or {}
        return stored | {f"critic_{name}": value for name, value in critic.items()}

    @property
    def is_complete(self) -> bool:
        """Whether all the figures are there that a decision goes by."""
        counted = {"n_items", "n_open", "n_covered", "newly_covered", "improved", "regressed"}
        return counted <= self.model_fields_set

    @property
    def is_fit_unknown(self) -> bool:
        """Returns whether no validation item has a verdict now and before, so that nobody knows
        whether one improved or regressed."""
        return self.n_measured == 0

    @property
    def covered_share(self) -> float | None:
        """Returns the share of the items that are covered; None without items."""
        return self.n_covered / self.n_items if self.n_items else None

    @property
    def fitting_share(self) -> float | None:
        """Returns the share of the judged draws that fit; None where none was judged. A critic
        judges all draws, also what was not shown."""
        if self.critic is not None:
            return self.critic.fitting_share
        return self.n_draws_fitting / self.n_draws_judged if self.n_draws_judged else None

    @property
    def n_judged(self) -> int:
        """Returns of how many draws that is the share."""
        return self.n_draws_judged if self.critic is None else self.critic.draws
