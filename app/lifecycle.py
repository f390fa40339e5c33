"""Statuses and the changes allowed between them, and what there is to choose from, as data.

Pure: no session, no time.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, assert_never


class RoundStatus(StrEnum):
    DRAFT = "draft"
    GENERATING = "generating"
    JUDGING = "judging"
    CLOSING = "closing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ShardStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(StrEnum):
    """The kinds of work a run executes."""

    BASELINE = "baseline"
    GENERATE = "generate"
    JUDGE = "judge"
    BRANCH = "branch"
    CLOSE = "close"
    TRAIN = "train"
    REINFORCE = "reinforce"
    EVALUATE = "evaluate"
    IMPORT = "import"
    RELEASE = "release"
    ASSESS = "assess"
    COMPARE = "compare"
    TRY = "try"


class RoundItemState(StrEnum):
    """How far an item of a round is. A check item is `standing` for everybody: it never settles."""

    WAITING = "waiting"
    OPEN = "open"
    STANDING = "standing"
    DONE = "done"
    RESTING = "resting"
    SET_ASIDE = "set_aside"


class JudgementStatus(StrEnum):
    LEASED = "leased"
    DRAFT = "draft"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    """An admin set it apart: it does not count, and others are asked instead."""


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class QuestionState(StrEnum):
    """What became of a question that a model asked about an image."""

    PROPOSED = "proposed"
    KEPT = "kept"
    DROPPED = "dropped"


class Purpose(StrEnum):
    """Why an item is in a round; only `training` can be admitted."""

    TRAINING = "training"
    MEASURE = "measure"
    CHECK = "check"
    PRACTICE = "practice"
    ANCHOR = "anchor"
    COMPARISON = "comparison"


class Role(StrEnum):
    ANNOTATOR = "annotator"
    ADMIN = "admin"


class PracticeMode(StrEnum):
    """Whether annotators may or must practise first; no effect without practice items."""

    OFF = "off"
    OFFERED = "offered"
    REQUIRED = "required"
    """Nobody gets a first item to judge before they have passed."""


class UserKind(StrEnum):
    PERSON = "person"
    CRITIC = "critic"


class AuthorKind(StrEnum):
    MODEL = "model"
    PERSON = "person"
    GOLD = "gold"


class FailureKind(StrEnum):
    """Why an item of a run brought nothing, or too little."""

    IMAGE = "image"
    """Its image cannot be read, or the model refuses it: the item is set aside."""
    PROMPT = "prompt"
    """The model or the serving engine refuses what it is asked: the item is set aside."""
    SERVER = "server"
    """The serving engine gave no answer for it: a later round asks again."""


class DataFormat(StrEnum):
    """Layouts of data files; `auto` goes by the name's ending."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    ZIP = "zip"
    PARQUET = "parquet"
    VQA_X = "vqa-x"
    A_OKVQA = "a-okvqa"
    ACT_X = "act-x"
    CLEVR_X = "clevr-x"


class ReleaseFormat(StrEnum):
    """Layouts of the files of a release."""

    JSONL = "jsonl"
    HUGGINGFACE = "huggingface"
    PARQUET = "parquet"
    LLAVA = "llava"
    PREFERENCE = "preference"
    KTO = "kto"


class DecidedBy(StrEnum):
    """Whose word says, in preference pairs and labels, which text is the better one."""

    JUDGEMENT = "judgement"
    AGREED = "agreed"
    POLICY = "policy"


TOKEN_DAYS = 365
"""How long an API token lasts where nobody says how long."""
MAX_TOKEN_DAYS = 3650


class Decision(StrEnum):
    """The decision at the end of a round; every value but `continue` ends the loop."""

    CONTINUE = "continue"
    ALL_COVERED = "all_covered"
    NO_PROGRESS = "no_progress"
    UNDER_FLOOR = "under_floor"
    ROUND_LIMIT = "round_limit"


ROUND_TRANSITIONS: dict[RoundStatus, frozenset[RoundStatus]] = {
    # A round on gold rationales has nothing to sample or to judge: it trains at once.
    RoundStatus.DRAFT: frozenset(
        {RoundStatus.GENERATING, RoundStatus.TRAINING, RoundStatus.CANCELLED}
    ),
    RoundStatus.GENERATING: frozenset({RoundStatus.JUDGING, RoundStatus.CANCELLED}),
    RoundStatus.JUDGING: frozenset({RoundStatus.CLOSING, RoundStatus.CANCELLED}),
    # A round may close without anything to train on: then it is decided as it is.
    RoundStatus.CLOSING: frozenset(
        {RoundStatus.TRAINING, RoundStatus.COMPLETED, RoundStatus.CANCELLED}
    ),
    RoundStatus.TRAINING: frozenset({RoundStatus.EVALUATING, RoundStatus.CANCELLED}),
    RoundStatus.EVALUATING: frozenset({RoundStatus.COMPLETED, RoundStatus.CANCELLED}),
    RoundStatus.COMPLETED: frozenset(),
    RoundStatus.CANCELLED: frozenset(),
}

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.FAILED}),
    # Back to queued when its worker died and the run is handed to another.
    RunStatus.RUNNING: frozenset(
        {RunStatus.QUEUED, RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}
    ),
    RunStatus.SUCCEEDED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}

JUDGEMENT_TRANSITIONS: dict[JudgementStatus, frozenset[JudgementStatus]] = {
    JudgementStatus.LEASED: frozenset(
        {
            JudgementStatus.DRAFT,
            JudgementStatus.SUBMITTED,
            JudgementStatus.SKIPPED,
            JudgementStatus.RELEASED,
        }
    ),
    JudgementStatus.DRAFT: frozenset(
        {JudgementStatus.SUBMITTED, JudgementStatus.SKIPPED, JudgementStatus.RELEASED}
    ),
    # Taking back keeps the slot and turns the answer into a draft again.
    JudgementStatus.SUBMITTED: frozenset({JudgementStatus.DRAFT, JudgementStatus.WITHDRAWN}),
    JudgementStatus.SKIPPED: frozenset({JudgementStatus.LEASED, JudgementStatus.DRAFT}),
    JudgementStatus.RELEASED: frozenset({JudgementStatus.LEASED, JudgementStatus.DRAFT}),
    JudgementStatus.WITHDRAWN: frozenset({JudgementStatus.SUBMITTED}),
}

LIVE_RUN = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
LIVE_JUDGEMENT = frozenset(
    {JudgementStatus.LEASED, JudgementStatus.DRAFT, JudgementStatus.SUBMITTED}
)
# People can be handed an item in these states, and go on with it.
JUDGEABLE_ITEM = frozenset({RoundItemState.OPEN, RoundItemState.STANDING})
CLOSED_ROUND = frozenset({RoundStatus.COMPLETED, RoundStatus.CANCELLED})
# Judging goes on while later shards are still being sampled.
JUDGEABLE_ROUND = frozenset({RoundStatus.GENERATING, RoundStatus.JUDGING})


@dataclass(frozen=True)
class Phase:
    """The jobs whose runs a round waits for in one status, and the status that follows.

    Several runs of a job can belong to a phase, one for each strategy and role. The phase is over
    when none of them is queued or running, and none has failed without having been retried.
    """

    jobs: frozenset[Job]
    following: RoundStatus


PHASES: dict[RoundStatus, Phase] = {
    RoundStatus.GENERATING: Phase(frozenset({Job.GENERATE}), RoundStatus.JUDGING),
    # People judge without a run: then the last answer, or an admin, ends the phase.
    RoundStatus.JUDGING: Phase(frozenset({Job.JUDGE}), RoundStatus.CLOSING),
    RoundStatus.CLOSING: Phase(frozenset({Job.CLOSE}), RoundStatus.TRAINING),
    # What learns from rewards follows the trainings, one run after the other.
    RoundStatus.TRAINING: Phase(frozenset({Job.TRAIN, Job.REINFORCE}), RoundStatus.EVALUATING),
    RoundStatus.EVALUATING: Phase(frozenset({Job.EVALUATE}), RoundStatus.COMPLETED),
}

QUEUES: dict[Job, Literal["cpu", "gpu"]] = {
    Job.BASELINE: "gpu",
    Job.GENERATE: "gpu",
    Job.JUDGE: "cpu",
    Job.BRANCH: "gpu",
    Job.CLOSE: "cpu",
    Job.TRAIN: "gpu",
    Job.REINFORCE: "gpu",
    Job.EVALUATE: "gpu",
    Job.IMPORT: "cpu",
    Job.RELEASE: "cpu",
    Job.ASSESS: "cpu",
    Job.COMPARE: "gpu",
    Job.TRY: "gpu",
}

SHARDED = frozenset({Job.BASELINE, Job.GENERATE, Job.EVALUATE, Job.COMPARE})
"""Jobs that several workers do at once, shard by shard."""

ASIDE = frozenset({Job.BRANCH, Job.TRY})
"""Jobs beside the rounds, which a person waits for: many live at once, no status waits for them, no
history tells of them, and whoever asked, not the round's page, is told how they went."""

LOOKING_ON = frozenset({Job.ASSESS, Job.COMPARE})
"""Jobs that change nothing of a round: its page shows them, but no status waits for one, and where
one fails the round goes on and it is asked for anew."""


class EvidenceKind(StrEnum):
    """What a round's evidence is about; each kind is measured and stored by itself."""

    AGREEMENT = "agreement"
    STRATEGIES = "strategies"
    """The agreement on candidates of each strategy, over the rounds of the project."""
    ADMISSION = "admission"
    POSITIONS = "positions"
    ANCHORS = "anchors"
    """What is picked in the round, and of the texts that are judged again in every round."""
    COMPARISON = "comparison"
    """Whether the adapter that the round made writes better than the one before it."""
    PEOPLE = "people"
    """How long each person took, what they picked, and who answered fast and always the same."""
    YIELD = "yield"
    """What each way of sampling brought, for the time of people and machines that it took."""
    DOUBTS = "doubts"
    """Whether what a model doubts of its own rationales is what is judged not to fit."""
    FOUND = "found"
    """How many rationales each strategy of a round brought, and at what cost."""
    QUESTIONS = "questions"
    """How many questions the model asked about images, and how many were kept or dropped."""


def can_advance(
    old: RoundStatus | RunStatus | JudgementStatus, new: RoundStatus | RunStatus | JudgementStatus
) -> bool:
    """Whether the tables above allow the change from `old` to `new`."""
    match old:
        case RoundStatus():
            return new in ROUND_TRANSITIONS[old]
        case RunStatus():
            return new in RUN_TRANSITIONS[old]
        case JudgementStatus():
            return new in JUDGEMENT_TRANSITIONS[old]
        case _:
            assert_never(old)
