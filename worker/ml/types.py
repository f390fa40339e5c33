"""The inputs and outputs of `worker.ml`: plain frozen values, no tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FailedFor = Literal["image", "prompt", "server"]
Turn = Literal["user", "assistant", "asker"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "4bit"]

ASKER: Turn = "asker"
"""The role in which a model asks; also the name of the row that stands for it."""

ANSWER, RATIONALE = "answer", "rationale"
"""The names of ILLUME's two losses."""

POINTING = "pointing"
"""The name of the loss by which a request learns to look into boxes."""

Box = tuple[float, float, float, float]
"""A part of a picture: left, top, right and bottom, as shares of its width and height."""

DROPPED = "dropped"
"""The name of the loss of what is to be said less (worker/ml/training/unlearning.py)."""

PROJECTOR = "the projector"
"""The place of a module of an adapter that belongs to the model's projector, whatever that is
called (sight.fit_adapter)."""

WORDS = "the words"
"""The place of a module of an adapter that belongs to the table of words that the model reads."""

FIRST = ""
"""The name of the set of LoRA at the top of an adapter's folder."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what follows a question. loss: the name of the loss by which the model learns to
    say it; None for a piece that it only reads, such as the words that open a rationale.

    The blank before a word belongs to the word, and thus to this text, except before the first part
    of an example: what stands there is the model's (prompts.Frame).

    tokens: the piece as it was sampled, without an end token; its text is then not tokenized again.
    is_apart: its tokens depend on its text alone; otherwise it is tokenized as the going on of what
    stands before it. What is sampled from turn by turn is apart, in training as in sampling.
    is_open: it was cut before its end, which therefore is not learned; of a piece with tokens.
    turn: whose turn begins here; the piece is then the model's own words for that (templates.py),
    which are only read, and has no text. ASKER is no turn of its own: it stands in the user's and
    says that the model is to ask.
    """

    text: str
    loss: str | None
    tokens: tuple[int, ...] | None = None
    is_apart: bool = False
    is_open: bool = False
    turn: Turn | None = None

    def __post_init__(self) -> None:
        if self.turn is not None and (self.text or self.loss or self.tokens):
            raise ValueError("a turn begins with the model's own words, which nobody learns")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to ask of the model.

    answer None: the model is asked for the answer. Otherwise the answer's sentence is begun with
    `answer` + `opener` (", seeing that") and the model goes on with the rationale. image None: it
    is asked without a picture. said: what stands between the question and that which is asked now,
    such as the turns of a monologue; then answer is None, since an answer is one of these parts.
    instruction: what a chat model is told before the question; plain models take no orders.
    """

    image: Path | None
    question: str
    answer: str | None
    opener: str
    said: tuple[Part, ...] = ()
    instruction: str = ""

    def __post_init__(self) -> None:
        if self.said and self.answer is not None:
            raise ValueError("an answer that follows what was said must be one of its parts")


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample to make. `seed` (see seeds.derive_seed) alone decides the random numbers."""

    prompt: Prompt
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """top_k_share: the share of the vocabulary that stays possible at each step, rounded up to
    whole tokens (0.1: ILLUME's top-k of 10 %). batch_rows: rows decoded together; None chooses by
    device and free memory."""

    max_new_tokens: int = 64
    top_k_share: float = 0.1
    batch_rows: int | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")
        if not 0.0 < self.top_k_share <= 1.0:
            raise ValueError("top_k_share must be above 0 and at most 1")
        if self.batch_rows is not None and self.batch_rows < 1:
            raise ValueError("batch_rows must be at least 1")


@dataclass(frozen=True, slots=True)
class Sampled:
    """text: without special tokens, stripped, every run of blanks one space, cut at the first end
    token. n_tokens: sampled tokens, the end token included. log_probability: sum over those tokens
    of ln p(token) under the model at temperature 1 over the whole vocabulary (no top-k), so that
    draws of different temperatures compare. Both figures are None where a serving engine does not
    give them; trace: how such an engine was asked. is_cut: the text ended because max_new_tokens
    was reached and not by an end token; None where a serving engine does not say. tokens: those of
    the text, in their order and without the end token; None where a serving engine keeps them, or
    where a control token is among them (a picture's, say), which must not be read again."""

    text: str
    n_tokens: int | None
    log_probability: float | None
    is_cut: bool | None
    trace: Mapping[str, object] | None = None
    tokens: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A draw that could not be made, while others could. cause: its image cannot be read or
    is refused; its prompt is refused; or the serving engine had trouble."""

    reason: str
    cause: FailedFor


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to train or to validate on: a question, with its picture unless `image` is None,
    and what follows it. weight multiplies all losses of the example; instruction is as in Prompt.
    boxes: where the question is to look, of a model with a perception.
    """

    image: Path | None
    question: str
    parts: tuple[Part, ...]
    weight: float = 1.0
    instruction: str = ""
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError("an example's weight must not be negative")
        if not any(part.loss for part in self.parts):
            raise ValueError("an example must have a part that is learned")

    @property
    def losses(self) -> tuple[str, ...]:
        """The name of the loss of each part that is learned, in their order, and then that of the
        boxes."""
        of_parts = tuple(part.loss for part in self.parts if part.loss is not None)
        return (*of_parts, POINTING) if self.boxes else of_parts


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Where a set of LoRA goes and how large it is. The defaults are those of a project's settings.

    targets: "all-linear" (every linear layer of the parts that are adapted) or the last parts of
    module names ("q_proj", "v_proj"). language, tower, projector: adapt the language model, the
    vision tower, and what connects them. rslora: scaled by 1/√rank (Kalajdzievski 2023, arXiv
    2312.03732). dora: with a learned magnitude (Liu et al. 2024, arXiv 2402.09353). left_out: full
    names of modules that get none although their part is adapted.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    language: bool = True
    tower: bool = False
    projector: bool = False
    rslora: bool = False
    dora: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleSettings:
    """A module of an adapter that is no LoRA. kind: what it is, by the name that the program knows
    it by (worker/ml/model/modules/kinds.py); place: the name of the model's module that it has to
    do with, PROJECTOR or WORDS for one that is found when the adapter is made, or any other for one
    that stands beside the model; options: what the kind wants to know to build it, in what JSON can
    say."""

    kind: str
    place: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """Everything that an adapter is to hold; all of it is trained together.

    lora: the first set, which every program for LoRA can load; None for an adapter without. sets:
    further sets by name, each with a size of its own; no module of the model may be in two sets.
    modules: other modules by name.
    """

    lora: LoraSettings | None = field(default_factory=LoraSettings)
    sets: Mapping[str, LoraSettings] = field(default_factory=dict)
    modules: Mapping[str, ModuleSettings] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: "LoraSettings | AdapterSettings") -> "AdapterSettings":
        """Returns the settings themselves, or those of an adapter of one set."""
        return cls(settings) if isinstance(settings, LoraSettings) else settings

    @property
    def every_set(self) -> Mapping[str, LoraSettings]:
        """Returns all sets by name; that of the first one is FIRST."""
        first = {} if self.lora is None else {FIRST: self.lora}
        return first | {name: self.sets[name] for name in sorted(self.sets)}

    @property
    def left_out(self) -> frozenset[str]:
        """Returns the names of the modules that some set leaves out."""
        return frozenset(name for lora in self.every_set.values() for name in lora.left_out)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train. The defaults of what a project can set are those of its settings.

    batch_size: examples per forward (micro-batch); batch_size * gradient_accumulation of them make
    one optimizer step. warmup_share: share of all steps over which the learning rate rises
    linearly. loss_weights: what the mean of each loss counts in J (losses.py), by its name; 1 for
    a name that is not there. patience: validations without improvement before training ends early
    (None: never). save_every_s: seconds between saved states within an epoch; one is saved at every
    epoch end anyway. share_prefixes: examples of one item pass through the model as one sequence
    where the model can do that (branches.py). feature_cache_mb: memory of one process for the
    features of images whose tower and projector stay frozen (frozen_tower.py); 0 computes them
    every time.
    shard_base: processes that train together share the base out among them (sharding.py).
    cut_requests: whether no gradient goes through the pass in which a model asks what to see; auto
    where memory is short.
    """

    epochs: int = 5
    batch_size: int = 32
    gradient_accumulation: int = 1
    learning_rate: float = 1e-3
    warmup_share: float = 0.1
    weight_decay: float = 0.0
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    max_grad_norm: float = 1.0
    seed: int = 0
    dtype: Dtype = "auto"
    patience: int | None = 2
    schedule: Literal["linear", "cosine"] = "linear"
    save_every_s: float = 30.0
    save_every_steps: int | None = None
    gradient_checkpointing: bool = False
    share_prefixes: bool = True
    feature_cache_mb: int = 4096
    shard_base: bool = False
    cut_requests: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.gradient_accumulation) < 1:
            raise ValueError("epochs, batch_size and gradient_accumulation must be at least 1")
        if not 0.0 <= self.warmup_share <= 1.0:
            raise ValueError("warmup_share must be between 0 and 1")
        if self.learning_rate <= 0 or min(self.loss_weights.values(), default=0.0) < 0:
            raise ValueError("learning_rate must be positive, loss weights must not be negative")
        if self.feature_cache_mb < 0:
            raise ValueError("feature_cache_mb must be at least 0")


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """After one optimizer step (counted from 1 over all epochs). losses: by name, the mean over the
    step's own parts, in nats per token; a loss that no part of the step has is not there. loss is
    what was descended (J, losses.py). n_tokens: read in this step by all processes, padding not
    counted."""

    epoch: int
    step: int
    n_steps: int
    loss: float
    losses: Mapping[str, float]
    learning_rate: float
    n_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Validation:
    """After one epoch (counted from 1). score: higher is better; minus the validation loss unless
    the caller measures something else. loss: J over the validation examples, None without any;
    losses: the means that it is made of, by name, in nats per token."""

    epoch: int
    score: float
    loss: float | None
    losses: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainReport:
    """chosen_epoch: counted from 1, the one written to out_dir. n_rows: examples; n_parts: how many
    parts are learned by each loss. curve: one entry per step. are_requests_cut: of TrainConfig."""

    chosen_epoch: int
    n_steps: int
    epochs_run: int
    stopped_early: bool
    resumed_from_step: int | None
    n_rows: int
    n_parts: Mapping[str, int]
    trainable_parameters: int
    validations: tuple[Validation, ...]
    curve: tuple[TrainProgress, ...]
    seconds: float
    are_requests_cut: bool = False
