"""The JSON that runs and rounds leave behind, as typed values: results, progress and figures.

One model for each thing that is stored. Whoever makes it builds the model and stores what `dump`
returns; whoever needs it calls `read`, or `find` where there may be nothing yet, and then asks for
attributes. Fields have defaults where an older version may not have written them.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from app.kit.sentences import Told
from app.lifecycle import FailureKind


def _is_zero(value: object) -> bool:
    return value == 0


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: object) -> bool:
    return not value


class StoredJson(BaseModel):
    """A value that a row keeps as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Returns what a row keeps, whichever version wrote it: a key that is missing or null has
        its default, and one that nobody knows is left out."""
        return cls.model_validate({key: own for key, own in stored.items() if own is not None})

    @classmethod
    def find(cls, stored: Mapping[str, Any]) -> Self | None:
        """Returns what a row keeps; None where nothing is stored yet."""
        return cls.read(stored) if stored else None

    def dump(self) -> dict[str, Any]:
        """Returns the JSON to store."""
        return self.model_dump(mode="json")


# --- Results: one per job -------------------------------------------------------------------


class EvaluationResult(StoredJson):
    """The result of an evaluation, and of a baseline, beside their scores."""

    n_leaked_images: int = 0
    """Held-out images that the model was trained on, in another project."""
    meteor_note: Told | None = Field(default=None, exclude_if=_is_none)
    """Why METEOR is not among the scores; None where it is, or was not asked for."""


class DrawCounts(StoredJson):
    """Counts of what was drawn for the items of a round, and of what people see of it."""

    draws: int = 0
    """Those that came to a candidate."""
    cut_draws: int = 0
    """Of these, the ones whose text ended at the limit of tokens."""
    candidates: int = 0
    shown: int = 0


class MapTally(StoredJson):
    """Counts of the occlusion maps of a round, and what it took to measure them."""

    looks: int = 0
    seconds: float = 0.0
    """Of workers."""


class SamplingResult(StoredJson):
    """The result of a sampling: counts of its draws, which change no more."""

    counts: DrawCounts | None = Field(default=None, exclude_if=_is_none)
    """None where an older version sampled."""
    maps: MapTally | None = Field(default=None, exclude_if=_is_none)
    """What people were shown of where draws looked; None where nothing was measured."""


class BranchResult(StoredJson):
    """The result of a branch: nothing, its row says it all."""


class EpisodeTally(StoredJson):
    """Counts of the episodes of a shard, or of a round: how they ended, and what was asked in them.

    The first four are outcomes (app.strategies.monologue.Outcome); an episode that failed is none.
    """

    explained: int = 0
    wrong_answer: int = 0
    not_understood: int = 0
    asked_too_often: int = 0
    turns: int = 0
    repeated: int = 0
    """Of the turns, those that asked what the episode had asked before."""
    tokens: int = 0
    """Of the reasoner: its questions, answers and rationales."""

    @property
    def n_episodes(self) -> int:
        return self.explained + self.wrong_answer + self.not_understood + self.asked_too_often

    @property
    def explained_share(self) -> float | None:
        """Returns the share of the episodes that came to a rationale; None without any."""
        return self.explained / self.n_episodes if self.n_episodes else None

    @property
    def turns_per_episode(self) -> float | None:
        return self.turns / self.n_episodes if self.n_episodes else None

    @property
    def repeated_share(self) -> float | None:
        """Returns the share of the questions that were asked before; None without any."""
        return self.repeated / self.turns if self.turns else None


class BranchTally(StoredJson):
    """Counts of the branches of a round, apart from its draws: how many people asked for, and what
    it took to make them."""

    asked: int = 0
    made: int = 0
    explained: int = 0
    """Of those made, the ones that came to the item's answer and a rationale."""
    tokens: int = 0
    """Of the reasoner, sampled anew."""
    seconds: float = 0.0
    """Of workers."""


class CriticFigures(StoredJson):
    """The result of a critic's judging, over all draws, shown or not."""

    draws: int = 0
    fitting_draws: int = 0
    candidates: int = 0
    fitting_candidates: int = 0
    items: int = 0
    items_with_fit: int = 0
    faults: Mapping[str, int] = Field(default_factory=dict)
    """Draws by the fault that the critic found."""

    @property
    def fitting_share(self) -> float | None:
        """Returns the share of the draws that fit; None without any."""
        return self.fitting_draws / self.draws if self.draws else None


class ClosingResult(StoredJson):
    """The result of a closing: what was admitted, of how many items that somebody judged."""

    n_rationales: int = 0
    n_items: int = 0
    n_judged_items: int = 0


class WeighedPerson(StoredJson):
    """How a policy weighed one person: None where their votes say nothing of it."""

    user_id: int
    n_votes: int = 0
    sensitivity: float | None = None
    """The share of fitting candidates of which they say that they fit, as estimated."""
    specificity: float | None = None
    """The share of the others of which they say that they do not fit."""


class KnownBefore(StoredJson):
    """What a policy takes for granted of everybody, in right answers of so many asked."""

    fitting: tuple[float, float] = (0.0, 0.0)
    others: tuple[float, float] = (0.0, 0.0)
    share_fitting: tuple[float, float] = (0.0, 0.0)
    """Candidates that fit, of so many."""


class Weighing(StoredJson):
    """What Dawid and Skene's method estimated from the votes of a round."""

    probability: float = 0.0
    """From which on a candidate is admitted."""
    share_fitting: float = 0.0
    n_iterations: int = 0
    log_likelihood: float = 0.0
    before: KnownBefore = KnownBefore()
    n_checked: int = 0
    """People of whom results of check items were known."""
    people: tuple[WeighedPerson, ...] = ()


class ReleaseResult(StoredJson):
    """The release that a run made, or whose files it built again; None before it is made."""

    release_id: int | None = None
    number: int | None = None
    n_rows: int = 0
    content_hash: str = ""


class ImportResult(StoredJson):
    """The result of an import that stored its rows. The lists are cut, their lengths are not."""

    n_rows: int = 0
    n_added: int = 0
    n_unchanged: int = 0
    n_updated: int = 0
    n_images: int = 0
    """Images that are new in the project."""
    splits: Mapping[str, int] = Field(default_factory=dict)
    """Rows per split."""
    n_pictures: int = Field(default=0, exclude_if=_is_empty)
    """Images that came without a question, new or not."""
    n_pictures_added: int = Field(default=0, exclude_if=_is_empty)
    picture_splits: Mapping[str, int] = Field(default_factory=dict, exclude_if=_is_empty)
    changed: tuple[str, ...] = ()
    """Ids of rows that differ from their items and were left alone."""
    refused: tuple[Told, ...] = ()
    """Rows that differ but may not be rewritten, each with the reason."""
    warnings: tuple[Told, ...] = ()
    n_changed: int = 0
    n_refused: int = 0


class ImportErrors(StoredJson):
    """The result of an import that stored nothing: one line per problem."""

    errors: tuple[Told, ...] = ()


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
    n_dropped: int = Field(default=0, exclude_if=_is_empty)
    """Dropped questions that it learned to ask less."""
    n_first_rows: int = Field(default=0, exclude_if=_is_empty)
    """Rows of the first stage, where the strategy has one and the adapter began afresh."""
    are_requests_cut: bool = Field(default=False, exclude_if=_is_empty)
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


# --- Progress -------------------------------------------------------------------------------


class WorkProgress(StoredJson):
    """How far a closing, an import or a release is, in the units of its present step."""

    step: str = ""
    """English, as the table of words has it."""
    done: int = 0
    total: int = 0


class TrainingProgress(StoredJson):
    """How far a training is."""

    step: int = 0
    n_steps: int = 0
    seconds_left: float | None = None
    curve: tuple[TrainingStep, ...] = ()
    is_first_stage: bool = False
    """Whether it is at the first stage, which has steps of its own."""


class Preparation(StoredJson):
    """Names the preparation that a run is at, such as trying the model; None when that is over."""

    doing: str | None = Field(default=None, exclude_if=_is_none)


# --- Rounds ---------------------------------------------------------------------------------


class RewardedFigures(StoredJson):
    """What a round drew to learn from rewards, beside what it sampled for people.

    n_tokens: those that the roles that learned sampled. seconds: of drawing and learning.
    """

    n_draws: int = 0
    n_tokens: int = 0
    seconds: float = 0.0


class KindTally(StoredJson):
    """Questions of a kind: all, those that have an answer in their image, and in another one."""

    asked: int = 0
    grounded: int = 0
    elsewhere: int = 0


class QuestionTally(StoredJson):
    """What a round asked about images. n_drawn: all draws; n_known: those that asked what was known
    of the image; n_empty: those that asked nothing. n_proposed: distinct questions; n_over: further
    ones that were over the limit of an image. kinds: those that a critic could read.

    Of people: n_by_people: questions that they decided on; n_kept_by_people, of which n_edited in
    another wording; n_not_in_image, n_not_worth: dropped ones of which they said so; n_reviews:
    images that they decided on, in counted_ms of their time."""

    n_images: int = 0
    n_drawn: int = 0
    n_known: int = 0
    n_empty: int = 0
    n_over: int = 0
    n_proposed: int = 0
    n_kept: int = 0
    n_dropped: int = 0
    kinds: dict[str, KindTally] = Field(default_factory=dict)
    n_by_people: int = 0
    n_kept_by_people: int = 0
    n_edited: int = 0
    n_not_in_image: int = 0
    n_not_worth: int = 0
    n_reviews: int = 0
    counted_ms: int = 0

    @property
    def seconds_per_kept(self) -> float | None:
        """Returns the time of people for each question that they kept; None where they kept none,
        or no time was measured."""
        if not self.n_kept_by_people or not self.counted_ms:
            return None
        return self.counted_ms / 1000 / self.n_kept_by_people

    @property
    def n_waiting(self) -> int:
        """Returns how many nobody has decided on."""
        return self.n_proposed - self.n_kept - self.n_dropped

    @property
    def kept_share(self) -> float | None:
        """Returns the share of the decided questions that was kept; None where none was decided."""
        n_decided = self.n_kept + self.n_dropped
        return self.n_kept / n_decided if n_decided else None


class JudgingEffort(StoredJson):
    """How much people judged, and the counted time that it took them."""

    judgements: int = 0
    counted_ms: int = 0

    def __add__(self, other: "JudgingEffort") -> "JudgingEffort":
        return JudgingEffort(
            judgements=self.judgements + other.judgements,
            counted_ms=self.counted_ms + other.counted_ms,
        )


class MixedStrategy(StoredJson):
    """What a strategy of a mixed round comes to on held-out items, as the round was decided.

    floor: the answer accuracy under which it sits out the next round.
    """

    strategy: str
    validation_accuracy: float | None = None
    floor: float | None = None
    sat_out: bool = False
    """Whether it was not sampled in this round."""

    @property
    def is_under_floor(self) -> bool:
        """Whether its answers are right so seldom that it is not sampled in the next round."""
        if self.floor is None or self.validation_accuracy is None:
            return False
        return self.validation_accuracy < self.floor


class RoundFigures(StoredJson):
    """The figures of a round, as they were when it was decided.

    improved: train items newly covered, and measured items whose fit rose.
    regressed: measured items whose fit fell.
    """

    n_items: int = 0
    n_open: int = 0
    """Items that it sampled."""
    n_covered: int = 0
    newly_covered: int = 0
    improved: int = 0
    regressed: int = 0
    validation_accuracy: float | None = None
    baseline_accuracy: float | None = None
    n_admitted: int = 0
    n_written_trained: int = 0
    n_draws_fitting: int = 0
    n_draws_judged: int = 0
    episodes: EpisodeTally | None = Field(default=None, exclude_if=_is_none)
    """None where no monologue was sampled."""
    rewarded: RewardedFigures | None = Field(default=None, exclude_if=_is_none)
    """None where nothing was learned from rewards."""
    branches: BranchTally | None = Field(default=None, exclude_if=_is_none)
    """None where nobody asked for one."""
    maps: MapTally | None = Field(default=None, exclude_if=_is_none)
    """None where nothing was looked at that could be hidden."""
    questions: QuestionTally | None = Field(default=None, exclude_if=_is_none)
    """None where the model asked nothing about images."""
    n_alone: int = Field(default=0, exclude_if=_is_zero)
    """Train images without any question that the next round could ask about, where it asks."""
    effort: JudgingEffort | None = Field(default=None, exclude_if=_is_none)
    """Of the people who judged it; None where an older version decided it."""
    strategies: tuple[MixedStrategy, ...] = Field(default=(), exclude_if=_is_empty)
    """Of a round in which several took part."""
    critic: CriticFigures | None = None
    """None where people judged; stored as keys that begin with `critic_`."""

    @model_validator(mode="before")
    @classmethod
    def gather_critic(cls, stored: Any) -> Any:
        """Reads the keys of the critic's figures as one value."""
        if not isinstance(stored, Mapping):
            return stored
        start = "critic_"
        own = {key.removeprefix(start): n for key, n in stored.items() if key.startswith(start)}
        return {**stored, "critic": CriticFigures.read(own)} if own else stored

    @model_serializer(mode="wrap")
    def spread_critic(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Stores each of the critic's figures under a key of its own, beside the others."""
        stored: dict[str, Any] = dump(self)
        critic: dict[str, Any] = stored.pop("critic") or {}
        return stored | {f"critic_{name}": value for name, value in critic.items()}

    @property
    def is_complete(self) -> bool:
        """Whether all the figures are there that a decision goes by."""
        counted = {"n_items", "n_open", "n_covered", "newly_covered", "improved", "regressed"}
        return counted <= self.model_fields_set

    @property
    def covered_share(self) -> float | None:
        """Returns the share of the items that are covered; None without items."""
        return self.n_covered / self.n_items if self.n_items else None

    @property
    def fitting_share(self) -> float | None:
        """Returns the share of the judged draws that fit; None where none was judged."""
        return self.n_draws_fitting / self.n_draws_judged if self.n_draws_judged else None
