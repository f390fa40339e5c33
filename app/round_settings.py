"""The settings of one loop: stored with the project, frozen into each round at its start."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.kit.texts import Sentence

Temperature = Annotated[float, Field(gt=0, le=5)]
LARGEST = 2**63 - 1
"""Numbers of the database have 64 bits."""

Order = Literal["random", "fewest_first", "uncertainty"]


class Frozen(BaseModel):
    # Neither infinity nor "not a number" is a setting, and JSON has no word for them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SamplingSettings(Frozen):
    openers: tuple[str, ...] = Field(
        default=(", seeing that",),
        min_length=1,
        max_length=10,
        description="Words that continue the answer's sentence into a rationale, one prompt each.",
    )
    temperatures: tuple[Temperature, ...] = Field(
        default=(0.01, 0.1, 0.3, 0.6, 0.9), min_length=1, max_length=20
    )
    n_samples: int = Field(default=5, ge=1, le=100, description="Draws per prompt and temperature.")
    top_k_share: float = Field(
        default=0.1, gt=0, le=1, description="Share of the vocabulary that draws may choose from."
    )
    enough_distinct: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Sample an item no further once it has this many distinct texts. Draws are "
        "then made in passes, one draw per opener and temperature in each.",
    )
    max_new_tokens: int = Field(default=64, ge=1, le=1024)
    min_characters: int = Field(
        default=3, ge=1, le=100, description="Shorter texts are no candidates."
    )
    items_per_shard: int = Field(
        default=16, ge=1, le=1024, description="Items sampled and stored in one transaction."
    )

    backend: Literal["local", "server"] = Field(
        default="local",
        description="local: the worker's own engine; server: the workers' sampling server.",
    )
    server_model: str | None = Field(
        default=None,
        max_length=300,
        description="Name of the model on the sampling server; by default the only one it lists.",
    )

    @property
    def draws_per_item(self) -> int:
        return len(self.openers) * len(self.temperatures) * self.n_samples


class JudgingSettings(Frozen):
    judges: str = Field(
        default="people", description="people, or a critic: exact, rouge:0.5 …", max_length=100
    )
    control: Literal["none", "permuted"] = Field(
        default="none",
        description="permuted shuffles a critic's verdicts between candidates: a loop that learns "
        "from them must not improve.",
    )
    overlap: int = Field(default=1, ge=1, le=20, description="Annotators per item.")
    max_overlap: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Where annotators disagree one more is asked, up to this many per item; by "
        "default none is.",
    )
    max_shown: int = Field(default=8, ge=1, le=10, description="Candidates shown per item.")
    order: Order = Field(
        default="random",
        description="Which open item is handed out next: any; one that the fewest have had; or the "
        "one that people or the model's draws are least sure about.",
    )
    max_per_annotator: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST,
        description="Items that one annotator judges in a round, at most.",
    )
    max_skips: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="An item that this many skipped is set aside at once; by default when nobody "
        "is left who could judge it and the rest of the round is done.",
    )

    @property
    def most_slots(self) -> int:
        """Annotators of an item on which people go on disagreeing."""
        return max(self.overlap, self.max_overlap or 0)

    @model_validator(mode="after")
    def most_is_not_fewer(self) -> "JudgingSettings":
        if self.max_overlap is not None and self.max_overlap < self.overlap:
            raise ValueError(
                Sentence(
                    "%(n)s annotators judge each item: on disagreement it cannot be %(most)s at "
                    "most.",
                    n=self.overlap,
                    most=self.max_overlap,
                )
            )
        return self


class AdmissionSettings(Frozen):
    policy: Literal["any", "majority", "unanimous", "at_least"] = "majority"
    threshold: int = Field(default=1, ge=1, le=20, description="The t of `at_least`.")


class TrainingSettings(Frozen):
    source: Literal["admitted", "gold"] = Field(
        default="admitted",
        description="gold trains on the rationales that came with the data (the upper line).",
    )
    written: bool = Field(
        default=False,
        description="Train on written rationales too: candidates as annotators corrected them.",
    )
    start: Literal["continue", "restart"] = Field(
        default="continue", description="continue from the last adapter (ILLUME) or restart (STaR)."
    )
    epochs: int = Field(default=5, ge=1, le=100)
    batch_size: int = Field(default=32, ge=1, le=4096)
    gradient_accumulation: int = Field(default=1, ge=1, le=1024)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_share: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    rationale_weight: float = Field(default=1.0, gt=0, le=100)
    replay_ratio: float = Field(
        default=10.0, ge=0, le=100, description="Answer-only rows per rationale row."
    )
    max_balance: float = Field(
        default=10.0, gt=0, le=1000, description="Upper limit of b = answer-only / rationale rows."
    )
    patience: int = Field(
        default=2, ge=1, le=100, description="Epochs without a better validation loss."
    )
    rank: int = Field(default=8, ge=1, le=512)
    alpha: float = Field(default=16, gt=0, le=2048)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    targets: str = Field(
        default="all-linear", description="all-linear, or module names separated by commas."
    )
    tower: bool = Field(default=False, description="Adapt the vision tower too.")
    projector: bool = Field(default=False, description="Adapt the projector too.")
    rslora: bool = False
    dora: bool = False
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice instead of keeping them."
    )
    feature_cache_mb: int = Field(
        default=4096,
        ge=0,
        le=1024 * 1024,
        description="Memory of one process for vision features that are computed only once.",
    )
    processes: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Processes that train together on one machine; default: one per visible GPU.",
    )
    shard_base: bool = Field(
        default=False,
        description="Spread the base over the GPUs that train together: for one too large for one.",
    )

    @model_validator(mode="after")
    def gold_stays_alone(self) -> "TrainingSettings":
        if self.source == "gold" and self.written:
            raise ValueError(
                Sentence(
                    "the upper line trains on gold rationales alone: leave corrected texts out"
                )
            )
        return self


class EvaluationSettings(Frozen):
    critic: str = Field(
        default="rouge:0.5", description="Critic for the fit figures of held-out items."
    )
    backend: Literal["local", "server"] = Field(
        default="local",
        description="server: held-out items go to the sampling server too, whose texts are not "
        "reproducible.",
    )
    temperature: Temperature = 0.01
    test_each_round: bool = Field(
        default=True,
        description="Score the test split each round too; decisions never look at it.",
    )
    max_items: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST,
        description="Evaluate at most this many items of each split.",
    )
    blank_image: Literal["never", "baseline", "always"] = Field(
        default="baseline",
        description="Which models are also asked with a blank picture of the same size: none, the "
        "base model, or each one. What is right without the picture was never seen in it.",
    )
    meteor: bool = Field(
        default=True,
        description="METEOR beside the other scores, on workers with Java and pycocoevalcap.",
    )


class StopSettings(Frozen):
    min_progress: float = Field(
        default=0.01, ge=0, le=1, description="Newly covered share of open items that is progress."
    )
    patience: int = Field(default=1, ge=1, le=100, description="Rounds without progress.")
    accuracy_floor: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Validation answer accuracy under which the loop stops; default: 5 points "
        "under the base model.",
    )
    round_limit: int = Field(default=10, ge=1, le=1000)


class LoopSettings(Frozen):
    """Everything that a round is run with."""

    base_model: str = Field(default="demo", description="Folder, hub name, or demo.")
    revision: str | None = Field(default=None, description="Hub revision to pin.")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "4bit"] = Field(
        default="auto",
        description="Number format of the base; 4bit needs CUDA and the extra four-bit.",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    max_items: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST,
        description="At most this many train items are sampled in a round.",
    )
    rest_after: int = Field(
        default=3, ge=1, le=100, description="Admitted rationales after which an item rests."
    )
    rest_control_share: float = Field(
        default=0.05, ge=0, le=1, description="Resting items that stay sampled as a control."
    )
    auto_advance: bool = Field(
        default=True, description="Close judging, train and evaluate as soon as all is judged."
    )
    auto_continue: bool = Field(
        default=False, description="Start the next round when the decision is to continue."
    )
    sampling: SamplingSettings = SamplingSettings()
    judging: JudgingSettings = JudgingSettings()
    admission: AdmissionSettings = AdmissionSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    stop: StopSettings = StopSettings()

    @model_validator(mode="after")
    def a_packed_base_stays_whole(self) -> "LoopSettings":
        if self.dtype == "4bit" and self.training.shard_base:
            raise ValueError(
                Sentence("A base in 4 bits cannot be spread over GPUs: choose one of the two.")
            )
        return self

    @model_validator(mode="after")
    def policy_is_reachable(self) -> "LoopSettings":
        is_people = self.judging.judges == "people"
        if (
            is_people
            and self.admission.policy == "at_least"
            and self.admission.threshold > self.judging.overlap
        ):
            raise ValueError(
                Sentence(
                    "The admission policy wants %(votes)s votes, but only %(n)s people judge each "
                    "item: raise the overlap or lower it.",
                    votes=self.admission.threshold,
                    n=self.judging.overlap,
                )
            )
        return self
