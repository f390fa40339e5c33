"""The inputs and outputs of reinforcement learning: plain frozen values, no tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.ml.types import Dtype, Example


@dataclass(frozen=True, slots=True)
class Visit:
    """An item whose turn it is, with the numbers of its draws: the seeds of what is sampled derive
    from these alone. item: its place among the items; draws: as many as a group has."""

    epoch: int
    item: int
    draws: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rolled:
    """One draw that was played to its end. example: what the adapter that learns said in it, by the
    parts that have a loss, with the tokens as they were sampled, and what it read; None where it
    said nothing that could be learned. reward: what it was worth in all. outcome: how it ended, for
    the tally. n_tokens: sampled in it by the adapter that learns. earned: how much of the reward
    its first part with a loss earned by itself, its second, and so on; later ones nothing."""

    example: Example | None
    reward: float
    outcome: str
    n_tokens: int = 0
    earned: tuple[float, ...] = ()


Rollout = Callable[[Sequence[Visit]], list[Rolled]]
"""Plays the draws of some visits, visit by visit, with the weights as they are. The same visits and
the same weights give the same draws."""


@dataclass(frozen=True, slots=True)
class ReinforceConfig:
    """How to learn from rewards. items_per_step, draws_per_item: a generation is so many groups of
    so many draws, and makes one step. batch_size:
    draws per forward. temperature: of the draws, which are sampled from the whole vocabulary.
    kl_weight: what the divergence from the reference counts in the loss, in nats per token.
    save_every_s: seconds between saved states."""

    items_per_step: int = 12
    draws_per_item: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-4
    kl_weight: float = 0.02
    temperature: float = 1.0
    max_grad_norm: float = 1.0
    seed: int = 0
    dtype: Dtype = "auto"
    save_every_s: float = 30.0

    def __post_init__(self) -> None:
        if min(self.items_per_step, self.batch_size) < 1:
            raise ValueError("items_per_step and batch_size must be at least 1")
        if self.draws_per_item < 2:
            raise ValueError(
                "draws_per_item must be at least 2: a draw is compared with the others"
            )
        if self.learning_rate <= 0 or self.kl_weight < 0 or self.temperature <= 0:
            raise ValueError(
                "learning_rate and temperature must be positive, kl_weight not below 0"
            )


@dataclass(frozen=True, slots=True)
class ReinforceProgress:
    """After one step (counted from 1 over all epochs). reward: the mean over its draws; kl: from
    the reference, and entropy, in nats per sampled token. share_alike: of its groups, those whose
    draws all had the same reward, which teach nothing. outcomes: of its draws, by name. n_tokens:
    that were sampled in it by the adapter that learns."""

    epoch: int
    step: int
    n_steps: int
    reward: float
    kl: float
    entropy: float
    share_alike: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReinforceReport:
    """curve: one entry per step. n_items: that were visited in each epoch."""

    n_steps: int
    n_items: int
    resumed_from_step: int | None
    trainable_parameters: int
    curve: tuple[ReinforceProgress, ...]
    seconds: float
