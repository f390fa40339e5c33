"""What a training leaves behind: its curve, what it was validated with, and what it left out."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from app.kit.sentences import Told
from app.lifecycle import FailureKind
from app.run_results.base import StoredJson, is_empty


class TrainingStep(StoredJson):
    """One point of the curve of a training: a step, counted from 1 over all epochs."""

    epoch: int = 0
    step: int = 0
    n_steps: int = 0
    loss: float | None = None
    losses: Mapping[str, float] = Field(default_factory=dict)
    """By name, in nats per token; a loss that no part of the step has is not there."""
    learning_rate: float | None = None
    n_tokens: int = 0

    @model_validator(mode="before")
    @classmethod
    def name_losses(cls, stored: Any) -> Any:
        """Reads a step of before losses had names: two of them, each in a field of its own."""
        if not isinstance(stored, Mapping) or "losses" in stored:
            return stored
        old = {"answer": stored.get("answer_loss"), "rationale": stored.get("rationale_loss")}
        return {**stored, "losses": {name: loss for name, loss in old.items() if loss is not None}}


class Validated(StoredJson):
    """A look at the validation items after an epoch; the loss is None where there are none."""

    epoch: int = 0
    score: float | None = None
    loss: float | None = None
    losses: Mapping[str, float] = Field(default_factory=dict)


class LeftOutItem(StoredJson):
    """An item that a training had to do without, and why."""

    item_id: int
    external_id: str
    kind: FailureKind = FailureKind.IMAGE
    """Older trainings knew no other."""
    reason: Told = ""
    n_rows: int = 0


class TrainingResult(StoredJson):
    """The result of a training: what it was made of, and how it went."""

    chosen_epoch: int = 0
    epochs_run: int = 0
    n_steps: int = 0
    n_rows: int = 0
    n_rationale_rows: int = 0
    n_written_rows: int = 0
    """Rows whose rationale a person wrote."""
    n_prior_rows: int = 0
    """Rows of imported episodes."""
    n_boxes: int = Field(default=0, exclude_if=is_empty)
    """Boxes that people drew, to which the attention was led."""
    n_untaught_looks: int = Field(default=0, exclude_if=is_empty)
    """Looks whose observations the observer did not learn, since people found them untrue."""
    n_corrected_looks: int = Field(default=0, exclude_if=is_empty)
    """Of these, those of which it learned what people saw instead."""
    n_useless_questions: int = Field(default=0, exclude_if=is_empty)
    """Questions that the reasoner did not learn, since people found them useless."""
    n_dropped: int = Field(default=0, exclude_if=is_empty)
    """Texts that it learned to say less: dropped questions, or looks that people did not want."""
    n_first_rows: int = Field(default=0, exclude_if=is_empty)
    """Rows of the first stage, where the strategy has one and the adapter began afresh."""
    are_requests_cut: bool = Field(default=False, exclude_if=is_empty)
    """Whether no gradient went through the pass in which the model asks what to see."""
    n_unreadable: int = 0
    """Rows of the items that were left out, of which the first are named."""
    n_left_out: int = 0
    left_out: tuple[LeftOutItem, ...] = ()
    trainable_parameters: int = 0
    resumed_from_step: int | None = None
    validations: tuple[Validated, ...] = ()
    curve: tuple[TrainingStep, ...] = ()
    """At most some hundred steps, evenly spread."""
    seconds: float = 0.0

    @property
    def steps_per_epoch(self) -> float:
        """Returns the length of an epoch in steps, for a curve that counts steps only."""
        return self.n_steps / max(1, self.epochs_run)


class TrainingProgress(StoredJson):
    """How far a training is."""

    step: int = 0
    n_steps: int = 0
    seconds_left: float | None = None
    curve: tuple[TrainingStep, ...] = ()
    is_first_stage: bool = False
    """Whether it is at the first stage, which has steps of its own."""
