"""Settings of how the model is trained on what was admitted."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.kit.sentences import Sentence
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import TRAINING


class TrainingSettings(SettingsModel):
    """Settings of training: what an adapter is trained on, from where it starts, and how."""

    group = TRAINING

    start: Annotated[
        Literal["continue", "restart"],
        Shown(
            Sentence("Start from"),
            choices={
                "continue": Sentence("the last adapter (ILLUME)"),
                "restart": Sentence("the base model (STaR)"),
            },
        ),
    ] = "continue"
    epochs: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(Sentence("Epochs"), Sentence("At most; validation chooses the best.")),
    ] = 5
    written: Annotated[
        bool,
        Shown(
            Sentence("Train on corrected texts too"),
            Sentence("As annotators wrote them, each once; nobody has judged these texts."),
        ),
    ] = False
    learning_rate: Annotated[float, Field(gt=0, le=1), Shown(Sentence("Learning rate"))] = 1e-3
    batch_size: Annotated[int, Field(ge=1, le=4096), Shown(Sentence("Batch size"))] = 32
    rank: Annotated[int, Field(ge=1, le=512), Shown(Sentence("LoRA rank"))] = 8
    source: Annotated[
        Literal["admitted", "gold", "prior"],
        Shown(
            Sentence("Train on"),
            choices={
                "admitted": Sentence("admitted rationales"),
                "gold": Sentence("gold rationales of the data (upper line)"),
                "prior": Sentence("the prior: imported episodes (strategy monologue)"),
            },
            is_rare=True,
        ),
    ] = "admitted"
    learns_from: Annotated[
        Literal["all", "own"],
        Shown(
            Sentence("Each of several strategies learns from"),
            choices={
                "all": Sentence("what is admitted of all of them"),
                "own": Sentence("what is admitted of its own draws"),
            },
            is_rare=True,
        ),
    ] = "all"
    alpha: Annotated[float, Field(gt=0, le=2048), Shown(Sentence("LoRA alpha"), is_rare=True)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1), Shown(Sentence("LoRA dropout"), is_rare=True)] = (
        0.05
    )
    targets: Annotated[
        str,
        # Names of modules, separated by commas.
        Shown(Sentence("LoRA targets"), Sentence("all-linear, or names."), is_rare=True),
    ] = "all-linear"
    rationale_weight: Annotated[
        float, Field(gt=0, le=100), Shown(Sentence("Rationale weight"), is_rare=True)
    ] = 1.0
    replay_ratio: Annotated[
        float,
        Field(ge=0, le=100),
        Shown(Sentence("Answer-only rows"), Sentence("Per rationale row."), is_rare=True),
    ] = 10.0
    max_balance: Annotated[
        float,
        Field(gt=0, le=1000),
        # b = answer-only rows / rationale rows.
        Shown(Sentence("Largest balance b"), is_rare=True),
    ] = 10.0
    patience: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(
            Sentence("Patience"), Sentence("Epochs without a better validation loss."), is_rare=True
        ),
    ] = 2
    warmup_share: Annotated[
        float, Field(ge=0, le=1), Shown(Sentence("Warm-up share"), is_rare=True)
    ] = 0.1
    weight_decay: Annotated[
        float, Field(ge=0, le=1), Shown(Sentence("Weight decay"), is_rare=True)
    ] = 0.0
    gradient_accumulation: Annotated[
        int, Field(ge=1, le=1024), Shown(Sentence("Gradient accumulation"), is_rare=True)
    ] = 1
    tower: Annotated[bool, Shown(Sentence("Adapt the vision tower too"), is_rare=True)] = False
    tower_rank: Annotated[
        int | None,
        Field(ge=1, le=512),
        Shown(
            Sentence("LoRA rank of the vision tower"),
            Sentence("Empty: that of the language model."),
            is_rare=True,
        ),
    ] = None
    tower_alpha: Annotated[
        float | None,
        Field(gt=0, le=2048),
        Shown(
            Sentence("LoRA alpha of the vision tower"),
            Sentence("With a rank of its own; empty: in proportion to the rank."),
            is_rare=True,
        ),
    ] = None
    projector: Annotated[bool, Shown(Sentence("Adapt the projector too"), is_rare=True)] = False
    rslora: Annotated[bool, Shown(Sentence("Rank-stabilised LoRA"), is_rare=True)] = False
    dora: Annotated[bool, Shown(Sentence("DoRA"), is_rare=True)] = False
    gradient_checkpointing: Annotated[
        bool,
        Shown(
            Sentence("Gradient checkpointing"),
            Sentence("Less memory for a third more time."),
            is_rare=True,
        ),
    ] = False
    feature_cache_mb: Annotated[
        int,
        Field(ge=0, le=1024 * 1024),
        Shown(
            Sentence("Vision cache"),
            Sentence("Of each process; 0 computes the features of an image every time."),
            unit=Sentence("MB"),
            is_rare=True,
        ),
    ] = 4096
    processes: Annotated[
        int | None,
        Field(ge=1, le=64),
        Shown(
            Sentence("Processes"),
            Sentence("That train together; empty: one per GPU."),
            is_rare=True,
        ),
    ] = None
    shard_base: Annotated[
        bool,
        Shown(
            Sentence("Spread the base over the GPUs"),
            Sentence("For a base too large for one; slower."),
            is_rare=True,
        ),
    ] = False

    @model_validator(mode="after")
    def a_rank_needs_its_tower(self) -> "TrainingSettings":
        if self.tower_rank is not None and not self.tower:
            raise ValueError(
                Sentence("the vision tower has a LoRA rank and is not adapted: choose one of both")
            )
        if self.tower_alpha is not None and self.tower_rank is None:
            raise ValueError(
                Sentence("the vision tower has a LoRA alpha and no rank of its own: give both")
            )
        return self

    @model_validator(mode="after")
    def given_rationales_stay_alone(self) -> "TrainingSettings":
        if self.source == "gold" and self.written:
            raise ValueError(
                Sentence(
                    "the upper line trains on gold rationales alone: leave corrected texts out"
                )
            )
        if self.source == "prior" and self.written:
            raise ValueError(
                Sentence("a round on the prior trains on it alone: leave corrected texts out")
            )
        return self

    @property
    def waits_for_nobody(self) -> bool:
        """Whether a round has what it trains on: it then samples nothing, and nobody judges."""
        return self.source != "admitted"
