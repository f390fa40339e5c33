"""The settings of a loop as fields of a form: labels, hints, groups. Rare ones are folded away."""

from dataclasses import dataclass
from typing import Literal

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
    intro: str = ""


def _integer(name: str, label: str, hint: str = "", *, is_optional: bool = False) -> SettingField:
    return SettingField(name, label, "integer", hint, is_optional=is_optional)


def _backend(name: str, label: str) -> SettingField:
    return SettingField(
        name,
        label,
        "choice",
        "Which server is for the installation to say (SAMPLING_SERVER).",
        choices=(("local", "the model worker itself"), ("server", "the sampling server")),
    )


GROUPS: tuple[SettingGroup, ...] = (
    SettingGroup(
        "Model",
        (
            SettingField(
                "base_model",
                "Base model",
                "text",
                "demo, a folder on the workers, or a hub name (illume model check tries it).",
            ),
            SettingField(
                "revision",
                "Revision",
                "text",
                "Hub revision to pin; empty takes the newest, once.",
                is_optional=True,
            ),
        ),
        (
            SettingField(
                "dtype",
                "Number format",
                "choice",
                choices=(
                    ("auto", "as the device likes"),
                    ("float32", "float32"),
                    ("bfloat16", "bfloat16"),
                    ("float16", "float16"),
                    ("4bit", "4 bits (bitsandbytes, CUDA)"),
                ),
            ),
            _integer("seed", "Seed", "Same seed, same draws."),
        ),
    ),
    SettingGroup(
        "Sampling",
        (
            SettingField(
                "sampling.openers",
                "Openers",
                "lines",
                "Words that continue the answer's sentence into a rationale; one prompt per line.",
            ),
            SettingField(
                "sampling.temperatures", "Temperatures", "numbers", "Separated by spaces."
            ),
            _integer("sampling.n_samples", "Draws", "Per opener and temperature."),
            _integer(
                "sampling.enough_distinct",
                "Enough texts",
                "Draw no further for an item with this many distinct texts; empty draws all.",
                is_optional=True,
            ),
            _integer("max_items", "Items per round", "At most; empty takes all.", is_optional=True),
        ),
        (
            _backend("sampling.backend", "Sampled by"),
            SettingField(
                "sampling.server_model",
                "Model on the server",
                "text",
                "Its name there; empty takes the only one that the server lists.",
                is_optional=True,
            ),
            SettingField("sampling.top_k_share", "Top-k share", hint="Of the vocabulary."),
            _integer("sampling.max_new_tokens", "Longest rationale", "In tokens."),
            _integer("sampling.min_characters", "Shortest rationale", "In characters."),
            _integer("sampling.items_per_shard", "Items per shard", "Stored in one transaction."),
            _integer("rest_after", "Rest after", "Admitted rationales after which an item rests."),
            SettingField("rest_control_share", "Control share", hint="Resting ones still sampled."),
        ),
    ),
    SettingGroup(
        "Judging",
        (
            SettingField(
                "judging.judges",
                "Judged by",
                "text",
                "people, or a critic: exact (rendered scenes), rouge:0.5 … rouge:0.7 is as in the "
                "paper, and accepts 2.4 % of human rationales.",
            ),
            _integer("judging.overlap", "Annotators per item"),
            _integer(
                "judging.max_overlap",
                "On disagreement up to",
                "Annotators, one more at a time while over a third sees it otherwise; empty: none.",
                is_optional=True,
            ),
            _integer("judging.max_shown", "Candidates shown", "At most, per item."),
            SettingField(
                "admission.policy",
                "Admitted when",
                "choice",
                choices=(
                    ("any", "anybody says it fits"),
                    ("majority", "most say it fits"),
                    ("unanimous", "all say it fits"),
                    ("at_least", "at least t say it fits"),
                ),
            ),
            _integer("admission.threshold", "Votes t", "Only for “at least t say it fits”."),
        ),
        (
            SettingField(
                "judging.order",
                "Queue order",
                "choice",
                "Uncertain: where people disagree first, then where the model's draws differ most.",
                choices=(
                    ("random", "random"),
                    ("fewest_first", "fewest judgements first"),
                    ("uncertainty", "most uncertain first"),
                ),
            ),
            _integer(
                "judging.max_per_annotator",
                "Items per annotator",
                "In a round, at most; empty: no limit.",
                is_optional=True,
            ),
            _integer(
                "judging.max_skips",
                "Set aside after skips",
                "Of one item; empty: when nobody is left to judge it and all else is done.",
                is_optional=True,
            ),
            SettingField(
                "judging.control",
                "Control",
                "choice",
                "Permuted shuffles a critic's verdicts: such a loop must not improve.",
                choices=(("none", "none"), ("permuted", "permuted verdicts")),
            ),
        ),
    ),
    SettingGroup(
        "Training",
        (
            SettingField(
                "training.start",
                "Start from",
                "choice",
                choices=(
                    ("continue", "the last adapter (ILLUME)"),
                    ("restart", "the base model (STaR)"),
                ),
            ),
            _integer("training.epochs", "Epochs", "At most; validation chooses the best."),
            SettingField(
                "training.written",
                "Train on corrected texts too",
                "checkbox",
                "As annotators wrote them, each once; nobody has judged these texts.",
            ),
            SettingField("training.learning_rate", "Learning rate"),
            _integer("training.batch_size", "Batch size"),
            _integer("training.rank", "LoRA rank"),
        ),
        (
            SettingField(
                "training.source",
                "Train on",
                "choice",
                choices=(
                    ("admitted", "admitted rationales"),
                    ("gold", "gold rationales of the data (upper line)"),
                ),
            ),
            SettingField("training.alpha", "LoRA alpha"),
            SettingField("training.dropout", "LoRA dropout"),
            SettingField("training.targets", "LoRA targets", "text", "all-linear, or names."),
            SettingField("training.rationale_weight", "Rationale weight"),
            SettingField("training.replay_ratio", "Answer-only rows", hint="Per rationale row."),
            SettingField("training.max_balance", "Largest balance b"),
            _integer("training.patience", "Patience", "Epochs without a better validation loss."),
            SettingField("training.warmup_share", "Warm-up share"),
            SettingField("training.weight_decay", "Weight decay"),
            _integer("training.gradient_accumulation", "Gradient accumulation"),
            SettingField("training.tower", "Adapt the vision tower too", "checkbox"),
            SettingField("training.projector", "Adapt the projector too", "checkbox"),
            SettingField("training.rslora", "Rank-stabilised LoRA", "checkbox"),
            SettingField("training.dora", "DoRA", "checkbox"),
            SettingField(
                "training.gradient_checkpointing",
                "Gradient checkpointing",
                "checkbox",
                "Less memory for a third more time.",
            ),
            _integer(
                "training.feature_cache_mb",
                "Vision cache",
                "In MB, of each process; 0 computes the features of an image every time.",
            ),
            _integer(
                "training.processes",
                "Processes",
                "That train together; empty: one per GPU.",
                is_optional=True,
            ),
            SettingField(
                "training.shard_base",
                "Spread the base over the GPUs",
                "checkbox",
                "For a base too large for one; slower.",
            ),
        ),
    ),
    SettingGroup(
        "Evaluation and end",
        (
            SettingField(
                "evaluation.critic", "Critic", "text", "Says whether held-out rationales fit."
            ),
            _integer("stop.round_limit", "Rounds", "At most."),
            SettingField("auto_advance", "Close judging and train when all is judged", "checkbox"),
            SettingField("auto_continue", "Start the next round without asking", "checkbox"),
        ),
        (
            SettingField("evaluation.test_each_round", "Score the test split too", "checkbox"),
            _backend("evaluation.backend", "Evaluated by"),
            SettingField("evaluation.temperature", "Temperature"),
            SettingField(
                "evaluation.blank_image",
                "Ask without the picture",
                "choice",
                "Shows what a model knows without looking; takes as long again.",
                choices=(
                    ("never", "no model"),
                    ("baseline", "the base model"),
                    ("always", "every model"),
                ),
            ),
            SettingField(
                "evaluation.meteor",
                "METEOR too",
                "checkbox",
                "Where workers have Java and the package pycocoevalcap.",
            ),
            _integer(
                "evaluation.max_items",
                "Items per split",
                "At most; empty takes all.",
                is_optional=True,
            ),
            SettingField("stop.min_progress", "Least progress", hint="Newly covered share."),
            _integer("stop.patience", "Rounds without progress", "Before the loop ends."),
            SettingField(
                "stop.accuracy_floor",
                "Accuracy floor",
                hint="Empty: 5 points under the base model.",
                is_optional=True,
            ),
        ),
    ),
)


def all_fields() -> list[SettingField]:
    return [field for group in GROUPS for field in (*group.fields, *group.rare)]
