"""What a proof measures: its lines, and what they are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.ml.inputs.prompts import PromptStyle
from worker.ml.model.loading import Vlm
from worker.ml.types import LoraSettings

FALLBACK = ("yes", "it is there")  # what is proved where the model says nothing


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One thing that was measured. `figure`: the number that decided, None where there was none to
    measure; `text`: a sentence with it and, where it did not hold, what to do."""

    name: str
    holds: bool
    figure: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The lines in the order in which they were tried; the last one is the one that failed, if one
    did."""

    lines: tuple[ProofLine, ...]
    seconds: float

    @property
    def reason(self) -> str | None:
        """Why the model is refused, None if it is not."""
        return next((line.text for line in self.lines if not line.holds), None)


@dataclass(frozen=True, slots=True)
class Subject:
    """The model, with pictures and a question about each, and how it would be trained."""

    vlm: Vlm
    pairs: Sequence[tuple[Path, str]]
    opener: str
    lora: LoraSettings
    style: PromptStyle
    gradient_checkpointing: bool

    @property
    def name(self) -> str:
        return f"{self.vlm.name} ({self.vlm.model.config.model_type})"
