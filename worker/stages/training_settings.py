"""A training as a project's settings ask for it, in the words of worker.ml.

What has one name on both sides is handed on by that name, so a new setting of the training is a
field of TrainingSettings and one of TrainConfig or LoraSettings.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

from app.round_settings import LoopSettings, TrainingSettings
from worker.ml.reinforcement.types import ReinforceConfig
from worker.ml.types import (
    ANSWER,
    DROPPED,
    POINTING,
    RATIONALE,
    AdapterSettings,
    LoraSettings,
    TrainConfig,
)

TOWER = "tower"
"""The name of the set of LoRA of a vision tower that has a rank of its own."""


def train_config(
    settings: LoopSettings, *, balance: float, unwanted_weight: float = 0.0
) -> TrainConfig:
    """Returns how to train. balance: the b of the run (worker/ml/training/losses.py);
    unwanted_weight: of what people do not want, as the run's strategy has it."""
    return TrainConfig(
        **_shared(TrainConfig, settings.training),
        seed=settings.seed,
        dtype=settings.dtype,
        loss_weights=loss_weights(settings, balance, unwanted_weight),
        cut_requests=settings.perception.detach,
    )


def reinforce_config(settings: LoopSettings) -> ReinforceConfig:
    """Returns how to learn from rewards."""
    wanted = settings.reinforcement
    return ReinforceConfig(
        items_per_step=wanted.items_per_step,
        draws_per_item=wanted.draws_per_item,
        batch_size=settings.training.batch_size,
        learning_rate=wanted.learning_rate,
        kl_weight=wanted.kl_weight,
        temperature=wanted.temperature,
        seed=settings.seed,
        dtype=settings.dtype,
    )


def loss_weights(
    settings: LoopSettings, balance: float, unwanted_weight: float
) -> Mapping[str, float]:
    """Returns what each loss counts, by its name: ILLUME's two, that of boxes, and that of what is
    to be said less where there is such."""
    return {
        ANSWER: 1.0,
        RATIONALE: settings.training.rationale_weight * balance,
        POINTING: settings.perception.pointing_weight,
        **({DROPPED: unwanted_weight} if unwanted_weight else {}),
    }


def lora_settings(training: TrainingSettings) -> LoraSettings:
    """Returns where LoRA goes and how large it is."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    if training.targets != "all-linear":
        targets = tuple(name.strip() for name in training.targets.split(",") if name.strip())
    return LoraSettings(**_shared(LoraSettings, training) | {"targets": targets})


def adapter_settings(training: TrainingSettings) -> AdapterSettings:
    """Returns what an adapter is to hold: one set of LoRA, or a second one for the vision tower
    where that has a rank of its own."""
    lora = lora_settings(training)
    if not training.tower or training.tower_rank is None:
        return AdapterSettings(lora)
    alpha = training.tower_alpha or lora.alpha / lora.rank * training.tower_rank
    of_tower = replace(lora, rank=training.tower_rank, alpha=alpha, language=False, projector=False)
    return AdapterSettings(replace(lora, tower=False), {TOWER: of_tower})


def without_dropout(adapter: AdapterSettings) -> AdapterSettings:
    """Returns the same with no dropout in any set."""
    return replace(
        adapter,
        lora=replace(adapter.lora, dropout=0.0) if adapter.lora else None,
        sets={name: replace(lora, dropout=0.0) for name, lora in adapter.sets.items()},
    )


def _shared(kind: type[TrainConfig | LoraSettings], training: TrainingSettings) -> dict[str, Any]:
    """The settings that are fields of `kind`, too."""
    names = {field.name for field in fields(kind)} & set(TrainingSettings.model_fields)
    return {name: getattr(training, name) for name in names}
