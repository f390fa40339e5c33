"""LoRA as a project's settings ask for it."""

from typing import Literal

from app.round_settings import TrainingSettings
from worker.ml.types import LoraSettings


def lora_settings(training: TrainingSettings) -> LoraSettings:
    """Returns what worker.ml wants to know of them."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    if training.targets != "all-linear":
        targets = tuple(name.strip() for name in training.targets.split(",") if name.strip())
    return LoraSettings(
        rank=training.rank,
        alpha=training.alpha,
        dropout=training.dropout,
        targets=targets,
        tower=training.tower,
        projector=training.projector,
        use_rslora=training.rslora,
        use_dora=training.dora,
    )
