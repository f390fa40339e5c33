"""The JSON of runs that learn from rewards: what they plan, how far they are, and their result.

As those of other runs (`run_results/`): whoever makes one stores what `dump` returns, whoever
needs it calls `read`, or `find` where there may be nothing yet.
"""

from collections.abc import Mapping

from pydantic import Field

from app.run_results import StoredJson


class ReinforcementStep(StoredJson):
    """One point of the curves of learning from rewards: a step, counted from 1 over all epochs of a
    run. The divergence is that from what was learned before, in nats per token."""

    epoch: int = 0
    step: int = 0
    n_steps: int = 0
    reward: float | None = None
    kl: float | None = None
    entropy: float | None = None
    share_alike: float | None = None
    """Of the items of the step, those whose draws were all worth the same and taught nothing."""


class RewardedEpoch(StoredJson):
    """What came of the draws of an epoch: how they ended, and what they were worth on average."""

    epoch: int = 0
    n_draws: int = 0
    reward: float | None = None
    outcomes: Mapping[str, int] = Field(default_factory=dict)
    """By `right`, or by the outcome of an episode whose answer is not."""
    n_tokens: int = 0

    @property
    def right_share(self) -> float | None:
        """Returns the share of the draws whose answer was right; None without any."""
        return self.outcomes.get("right", 0) / self.n_draws if self.n_draws else None


class ReinforcementPlan(StoredJson):
    """The parameters of a run that learns from rewards.

    epochs: their numbers, in which its role learns. reference_id: the adapter from which it should
    not go far, the one that the trainings of the round ended with.
    """

    epochs: tuple[int, ...] = ()
    reference_id: int = 0
    n_items: int = 0


class ReinforcementResult(StoredJson):
    """The result of a run that learned from rewards."""

    n_items: int = 0
    n_steps: int = 0
    n_marks: int = 0
    """Looks that people had marked and that its draws could be rewarded for."""
    epochs: tuple[RewardedEpoch, ...] = ()
    trainable_parameters: int = 0
    resumed_from_step: int | None = None
    curve: tuple[ReinforcementStep, ...] = ()
    """At most some hundred steps, evenly spread."""
    seconds: float = 0.0

    @property
    def n_draws(self) -> int:
        return sum(epoch.n_draws for epoch in self.epochs)

    @property
    def n_tokens(self) -> int:
        """Returns how many tokens the role that learned sampled."""
        return sum(epoch.n_tokens for epoch in self.epochs)


class ReinforcementProgress(StoredJson):
    """How far a run is that learns from rewards."""

    step: int = 0
    n_steps: int = 0
    seconds_left: float | None = None
    curve: tuple[ReinforcementStep, ...] = ()
