"""The settings of a loop as fields of a form: labels, hints, groups. Rare ones are folded away."""

from dataclasses import dataclass
from typing import Literal

from app.kit.texts import Sentence

Kind = Literal["text", "number", "integer", "checkbox", "choice", "lines", "numbers"]


@dataclass(frozen=True)
class SettingField:
    name: str
    label: str
    kind: Kind = "number"
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    is_optional: bool = False


@dataclass(frozen=True)
class SettingGroup:
    title: str
    fields: tuple[SettingField, ...]
    rare: tuple[SettingField, ...] = ()
    more: str = ""
    """What the fold of the rare fields is called."""


def _integer(name: str, label: str, hint: str = "", *, is_optional: bool = False) -> SettingField:
    return SettingField(name, label, "integer", hint, is_optional=is_optional)


def _backend(name: str, label: str) -> SettingField:
    return SettingField(
        name,
        label,
        "choice",
        Sentence("Which server is for the installation to say (SAMPLING_SERVER)."),
        choices=(
            ("local", Sentence("the model worker itself")),
            ("server", Sentence("the sampling server")),
        ),
    )


GROUPS: tuple[SettingGroup, ...] = (
    SettingGroup(
        Sentence("Model"),
        (
            SettingField(
                "base_model",
                Sentence("Base model"),
                "text",
                Sentence(
                    "demo, a folder on the workers, or a hub name (illume model check tries it)."
                ),
            ),
            SettingField(
                "revision",
                Sentence("Revision"),
                "text",
                Sentence("Hub revision to pin; empty takes the newest, once."),
                is_optional=True,
            ),
        ),
        (
            SettingField(
                "dtype",
                Sentence("Number format"),
                "choice",
                choices=(
                    ("auto", Sentence("as the device likes")),
                    ("float32", "float32"),
                    ("bfloat16", "bfloat16"),
                    ("float16", "float16"),
                    ("4bit", Sentence("4 bits (bitsandbytes, CUDA)")),
                ),
            ),
            _integer("seed", Sentence("Seed"), Sentence("Same seed, same draws.")),
        ),
        more=Sentence("More of model"),
    ),
    SettingGroup(
        Sentence("Sampling"),
        (
            SettingField(
                "sampling.openers",
                Sentence("Openers"),
                "lines",
                Sentence(
                    "Words that continue the answer's sentence into a rationale; one prompt per "
                    "line (\\n for a line break in it)."
                ),
            ),
            SettingField(
                "sampling.temperatures",
                Sentence("Temperatures"),
                "numbers",
                Sentence("Separated by spaces."),
            ),
            _integer(
                "sampling.n_samples", Sentence("Draws"), Sentence("Per opener and temperature.")
            ),
            _integer(
                "sampling.enough_distinct",
                Sentence("Enough texts"),
                Sentence(
                    "Draw no further for an item with this many distinct texts; empty draws all."
                ),
                is_optional=True,
            ),
            _integer(
                "max_items",
                Sentence("Items per round"),
                Sentence("At most; empty takes all."),
                is_optional=True,
            ),
        ),
        (
            _backend("sampling.backend", Sentence("Sampled by")),
            SettingField(
                "sampling.server_model",
                Sentence("Model on the server"),
                "text",
                Sentence("Its name there; empty takes the only one that the server lists."),
                is_optional=True,
            ),
            SettingField(
                "sampling.top_k_share", Sentence("Top-k share"), hint=Sentence("Of the vocabulary.")
            ),
            _integer(
                "sampling.max_new_tokens", Sentence("Longest rationale"), Sentence("In tokens.")
            ),
            _integer(
                "sampling.min_characters",
                Sentence("Shortest rationale"),
                Sentence("In characters."),
            ),
            _integer(
                "sampling.items_per_shard",
                Sentence("Items per shard"),
                Sentence("Stored in one transaction."),
            ),
            _integer(
                "rest_after",
                Sentence("Rest after"),
                Sentence("Admitted rationales after which an item rests."),
            ),
            SettingField(
                "rest_control_share",
                Sentence("Control share"),
                hint=Sentence("Resting ones still sampled."),
            ),
        ),
        more=Sentence("More of sampling"),
    ),
    SettingGroup(
        Sentence("Judging"),
        (
            SettingField(
                "judging.judges",
                Sentence("Judged by"),
                "text",
                Sentence(
                    "people, or a critic: exact (rendered scenes), rouge:0.5 … rouge:0.7 is as in "
                    "the paper, and accepts 2.4 %% of human rationales."
                ),
            ),
            _integer("judging.overlap", Sentence("Annotators per item")),
            _integer(
                "judging.max_overlap",
                Sentence("On disagreement up to"),
                Sentence(
                    "Annotators, one more at a time while over a third sees it otherwise; "
                    "empty: none."
                ),
                is_optional=True,
            ),
            _integer(
                "judging.max_shown", Sentence("Candidates shown"), Sentence("At most, per item.")
            ),
            SettingField(
                "admission.policy",
                Sentence("Admitted when"),
                "choice",
                choices=(
                    ("any", Sentence("anybody says it fits")),
                    ("majority", Sentence("most say it fits")),
                    ("unanimous", Sentence("all say it fits")),
                    ("at_least", Sentence("at least t say it fits")),
                ),
            ),
            _integer(
                "admission.threshold",
                Sentence("Votes t"),
                Sentence("Only for “at least t say it fits”."),
            ),
        ),
        (
            SettingField(
                "judging.order",
                Sentence("Queue order"),
                "choice",
                Sentence(
                    "Uncertain: where people disagree first, then where the model's draws differ "
                    "most."
                ),
                choices=(
                    ("random", Sentence("random")),
                    ("fewest_first", Sentence("fewest judgements first")),
                    ("uncertainty", Sentence("most uncertain first")),
                ),
            ),
            _integer(
                "judging.max_per_annotator",
                Sentence("Items per annotator"),
                Sentence("In a round, at most; empty: no limit."),
                is_optional=True,
            ),
            _integer(
                "judging.max_skips",
                Sentence("Set aside after skips"),
                Sentence(
                    "Of one item; empty: when nobody is left to judge it and all else is done."
                ),
                is_optional=True,
            ),
            SettingField(
                "judging.control",
                Sentence("Control"),
                "choice",
                Sentence("Permuted shuffles a critic's verdicts: such a loop must not improve."),
                choices=(("none", Sentence("none")), ("permuted", Sentence("permuted verdicts"))),
            ),
        ),
        more=Sentence("More of judging"),
    ),
    SettingGroup(
        Sentence("Training"),
        (
            SettingField(
                "training.start",
                Sentence("Start from"),
                "choice",
                choices=(
                    ("continue", Sentence("the last adapter (ILLUME)")),
                    ("restart", Sentence("the base model (STaR)")),
                ),
            ),
            _integer(
                "training.epochs",
                Sentence("Epochs"),
                Sentence("At most; validation chooses the best."),
            ),
            SettingField(
                "training.written",
                Sentence("Train on corrected texts too"),
                "checkbox",
                Sentence("As annotators wrote them, each once; nobody has judged these texts."),
            ),
            SettingField("training.learning_rate", Sentence("Learning rate")),
            _integer("training.batch_size", Sentence("Batch size")),
            _integer("training.rank", Sentence("LoRA rank")),
        ),
        (
            SettingField(
                "training.source",
                Sentence("Train on"),
                "choice",
                choices=(
                    ("admitted", Sentence("admitted rationales")),
                    ("gold", Sentence("gold rationales of the data (upper line)")),
                ),
            ),
            SettingField("training.alpha", Sentence("LoRA alpha")),
            SettingField("training.dropout", Sentence("LoRA dropout")),
            SettingField(
                "training.targets",
                Sentence("LoRA targets"),
                "text",
                Sentence("all-linear, or names."),
            ),
            SettingField("training.rationale_weight", Sentence("Rationale weight")),
            SettingField(
                "training.replay_ratio",
                Sentence("Answer-only rows"),
                hint=Sentence("Per rationale row."),
            ),
            SettingField("training.max_balance", Sentence("Largest balance b")),
            _integer(
                "training.patience",
                Sentence("Patience"),
                Sentence("Epochs without a better validation loss."),
            ),
            SettingField("training.warmup_share", Sentence("Warm-up share")),
            SettingField("training.weight_decay", Sentence("Weight decay")),
            _integer("training.gradient_accumulation", Sentence("Gradient accumulation")),
            SettingField("training.tower", Sentence("Adapt the vision tower too"), "checkbox"),
            SettingField("training.projector", Sentence("Adapt the projector too"), "checkbox"),
            SettingField("training.rslora", Sentence("Rank-stabilised LoRA"), "checkbox"),
            SettingField("training.dora", Sentence("DoRA"), "checkbox"),
            SettingField(
                "training.gradient_checkpointing",
                Sentence("Gradient checkpointing"),
                "checkbox",
                Sentence("Less memory for a third more time."),
            ),
            _integer(
                "training.feature_cache_mb",
                Sentence("Vision cache"),
                Sentence("In MB, of each process; 0 computes the features of an image every time."),
            ),
            _integer(
                "training.processes",
                Sentence("Processes"),
                Sentence("That train together; empty: one per GPU."),
                is_optional=True,
            ),
            SettingField(
                "training.shard_base",
                Sentence("Spread the base over the GPUs"),
                "checkbox",
                Sentence("For a base too large for one; slower."),
            ),
        ),
        more=Sentence("More of training"),
    ),
    SettingGroup(
        Sentence("Evaluation and end"),
        (
            SettingField(
                "evaluation.critic",
                Sentence("Critic"),
                "text",
                Sentence("Says whether held-out rationales fit."),
            ),
            _integer("stop.round_limit", Sentence("Rounds"), Sentence("At most.")),
            SettingField(
                "auto_advance", Sentence("Close judging and train when all is judged"), "checkbox"
            ),
            SettingField(
                "auto_continue", Sentence("Start the next round without asking"), "checkbox"
            ),
        ),
        (
            SettingField(
                "evaluation.test_each_round", Sentence("Score the test split too"), "checkbox"
            ),
            _backend("evaluation.backend", Sentence("Evaluated by")),
            SettingField("evaluation.temperature", Sentence("Temperature")),
            SettingField(
                "evaluation.blank_image",
                Sentence("Ask without the picture"),
                "choice",
                Sentence("Shows what a model knows without looking; takes as long again."),
                choices=(
                    ("never", Sentence("no model")),
                    ("baseline", Sentence("the base model")),
                    ("always", Sentence("every model")),
                ),
            ),
            SettingField(
                "evaluation.meteor",
                Sentence("METEOR too"),
                "checkbox",
                Sentence("Where workers have Java and the package pycocoevalcap."),
            ),
            _integer(
                "evaluation.max_items",
                Sentence("Items per split"),
                Sentence("At most; empty takes all."),
                is_optional=True,
            ),
            SettingField(
                "stop.min_progress",
                Sentence("Least progress"),
                hint=Sentence("Newly covered share."),
            ),
            _integer(
                "stop.patience",
                Sentence("Rounds without progress"),
                Sentence("Before the loop ends."),
            ),
            SettingField(
                "stop.accuracy_floor",
                Sentence("Accuracy floor"),
                hint=Sentence("Empty: 5 points under the base model."),
                is_optional=True,
            ),
        ),
        more=Sentence("More of evaluation and end"),
    ),
)


def all_fields() -> list[SettingField]:
    return [field for group in GROUPS for field in (*group.fields, *group.rare)]
