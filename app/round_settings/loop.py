"""All settings of a loop together, and the rules that concern more than one part of them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from app.kit.numbers import LARGEST
from app.kit.sentences import Sentence
from app.round_settings.bases import NamedBase
from app.round_settings.evaluation import EvaluationSettings, StopSettings
from app.round_settings.fields import SettingsModel, Shown
from app.round_settings.groups import END, MODEL, SAMPLING
from app.round_settings.judging import AdmissionSettings, JudgingSettings
from app.round_settings.mix import StrategyName, read_mix, shares_of, split_draws
from app.round_settings.monologue import MonologueSettings
from app.round_settings.perception import PerceptionSettings
from app.round_settings.reinforcement import ReinforcementSettings
from app.round_settings.sampling import SamplingSettings
from app.round_settings.self_questioning import SelfQuestioningSettings
from app.round_settings.training import TrainingSettings


class LoopSettings(SettingsModel):
    """Everything that a round is run with."""

    group = MODEL

    base_model: Annotated[
        str,
        Shown(
            Sentence("Base model"),
            Sentence("demo, a folder on the workers, or a hub name (illume model check tries it)."),
        ),
    ] = "demo"
    revision: Annotated[
        str | None,
        Shown(Sentence("Revision"), Sentence("Hub revision to pin; empty takes the newest, once.")),
    ] = None
    strategy: Annotated[
        StrategyName,
        Shown(
            Sentence("Strategy"),
            Sentence("How the model comes to rationales."),
            choices={
                "direct": Sentence("direct: it explains its answer in one breath"),
                "monologue": Sentence("monologue: it asks itself what the picture shows first"),
                "self_questioning": Sentence("self-questioning: it learns to ask, too"),
                "perception": Sentence("perception: it asks what to see of the picture"),
            },
            is_rare=True,
        ),
    ] = "direct"
    strategies: Annotated[
        tuple[str, ...],
        Field(max_length=10),
        AfterValidator(read_mix),
        Shown(
            Sentence("Several strategies"),
            Sentence(
                "In one round, judged without knowing which; each with its share of an item's "
                "draws, one per line: direct:1. Empty: the strategy above alone."
            ),
            is_rare=True,
        ),
    ] = ()
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "4bit"],
        Shown(
            Sentence("Number format"),
            choices={
                "auto": Sentence("as the device likes"),
                "4bit": Sentence("4 bits (bitsandbytes, CUDA)"),
            },
            is_rare=True,
        ),
    ] = "auto"
    seed: Annotated[
        int,
        Field(ge=0, le=2**31 - 1),
        Shown(Sentence("Seed"), Sentence("Same seed, same draws."), is_rare=True),
    ] = 0
    sampling: SamplingSettings = SamplingSettings()
    max_items: Annotated[
        int | None,
        Field(ge=1, le=LARGEST),
        Shown(Sentence("Items per round"), Sentence("At most; empty takes all."), group=SAMPLING),
    ] = None
    rest_after: Annotated[
        int,
        Field(ge=1, le=100),
        Shown(
            Sentence("Rest after"),
            Sentence("Admitted rationales after which an item rests."),
            group=SAMPLING,
            is_rare=True,
        ),
    ] = 3
    rest_control_share: Annotated[
        float,
        Field(ge=0, le=1),
        Shown(
            Sentence("Control share"),
            Sentence("Resting ones still sampled."),
            group=SAMPLING,
            is_rare=True,
        ),
    ] = 0.05
    monologue: MonologueSettings = MonologueSettings()
    self_questioning: SelfQuestioningSettings = SelfQuestioningSettings()
    perception: PerceptionSettings = PerceptionSettings()
    judging: JudgingSettings = JudgingSettings()
    admission: AdmissionSettings = AdmissionSettings()
    training: TrainingSettings = TrainingSettings()
    reinforcement: ReinforcementSettings = ReinforcementSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    stop: StopSettings = StopSettings()
    auto_advance: Annotated[
        bool, Shown(Sentence("Close judging and train when all is judged"), group=END)
    ] = True
    auto_continue: Annotated[
        bool, Shown(Sentence("Start the next round without asking"), group=END)
    ] = False

    @property
    def base(self) -> NamedBase:
        """Returns the base model, on which every role stands that has none of its own."""
        return NamedBase(self.base_model, self.revision)

    @property
    def shares(self) -> Mapping[str, float]:
        """Returns the strategies of a round, each with its share of the draws of an item."""
        return shares_of(self.strategies) if self.strategies else {self.strategy: 1.0}

    @property
    def is_mixed(self) -> bool:
        """Whether several strategies take part in a round."""
        return len(self.strategies) > 1

    def draws_of(self, strategy: str) -> int:
        """Returns how many draws of an item are a strategy's: all, unless it shares them."""
        n_draws = self.sampling.draws_per_item
        return split_draws(n_draws, self.shares).get(strategy, n_draws)

    @model_validator(mode="before")
    @classmethod
    def the_first_of_several_is_the_strategy(cls, given: Any) -> Any:
        """Whatever asks for one strategy gets one that takes part."""
        mix = given.get("strategies") if isinstance(given, Mapping) else None
        if not isinstance(mix, list | tuple) or not mix or not isinstance(mix[0], str):
            return given
        return {**given, "strategy": mix[0].partition(":")[0].strip()}

    @model_validator(mode="after")
    def each_strategy_draws(self) -> "LoopSettings":
        draws = split_draws(self.sampling.draws_per_item, self.shares)
        for name, n_draws in draws.items():
            if n_draws == 0:
                raise ValueError(
                    Sentence(
                        "Of %(n)s draws per item none is left for %(strategy)s: raise the draws, "
                        "or its share.",
                        n=self.sampling.draws_per_item,
                        strategy=name,
                    )
                )
        return self

    @model_validator(mode="after")
    def a_packed_base_stays_whole(self) -> "LoopSettings":
        if self.dtype == "4bit" and self.training.shard_base:
            raise ValueError(
                Sentence("A base in 4 bits cannot be spread over GPUs: choose one of the two.")
            )
        return self

    @model_validator(mode="after")
    def a_monologue_is_local(self) -> "LoopSettings":
        backends = {self.sampling.backend, self.evaluation.backend}
        if "monologue" in self.shares and backends != {"local"}:
            raise ValueError(
                Sentence(
                    "A monologue goes on from the very tokens that were sampled, which a server "
                    "does not take: let the workers sample and evaluate."
                )
            )
        return self

    @model_validator(mode="after")
    def a_question_is_local(self) -> "LoopSettings":
        if "self_questioning" in self.shares and self.sampling.backend != "local":
            raise ValueError(
                Sentence(
                    "Self-questioning goes on from the very tokens that were sampled, which a "
                    "server does not take: let the workers sample."
                )
            )
        return self

    @model_validator(mode="after")
    def a_request_is_local(self) -> "LoopSettings":
        backends = {self.sampling.backend, self.evaluation.backend}
        if "perception" in self.shares and backends != {"local"}:
            raise ValueError(
                Sentence(
                    "A server shows a model whole pictures and not what it asks for: let the "
                    "workers sample and evaluate."
                )
            )
        return self

    @model_validator(mode="after")
    def a_projector_learns_once(self) -> "LoopSettings":
        is_tuned = "self_questioning" in self.shares and self.self_questioning.tune_projector
        if is_tuned and self.training.projector:
            raise ValueError(
                Sentence("The projector gets LoRA and is to be tuned whole: choose one of the two.")
            )
        return self

    @model_validator(mode="after")
    def captions_teach_something(self) -> "LoopSettings":
        own = self.self_questioning
        if own.caption_epochs and not (own.prototypes or own.tune_projector):
            raise ValueError(
                Sentence(
                    "Captions teach prototypes and a projector that is tuned whole: choose one of "
                    "the two, or 0 epochs on captions."
                )
            )
        return self

    @model_validator(mode="after")
    def rewards_are_of_a_monologue(self) -> "LoopSettings":
        if self.reinforcement.epochs and "monologue" not in self.shares:
            raise ValueError(
                Sentence(
                    "Only the strategy monologue learns from rewards: choose it, or 0 epochs of "
                    "rewards."
                )
            )
        return self

    @model_validator(mode="after")
    def people_are_weighed(self) -> "LoopSettings":
        if self.admission.weighs_people and not self.judging.judges.are_people:
            raise ValueError(
                Sentence(
                    "Dawid–Skene weighs several people against each other, and a critic judges "
                    "alone: choose another admission policy."
                )
            )
        return self

    @model_validator(mode="after")
    def people_are_adjudicated(self) -> "LoopSettings":
        if self.admission.waits_for_adjudicators and not self.judging.judges.are_people:
            raise ValueError(
                Sentence(
                    "Adjudicators decide where people differ, and a critic judges alone: choose "
                    "another admission policy."
                )
            )
        return self

    @model_validator(mode="after")
    def policy_is_reachable(self) -> "LoopSettings":
        if (
            self.judging.judges.are_people
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
