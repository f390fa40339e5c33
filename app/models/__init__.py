"""All tables. Integrity lives in the constraints: code may be wrong, the table may not."""

from app.models.base import Base, Json
from app.models.bases import ModelProof, ProjectBase
from app.models.candidates import (
    Candidate,
    ItemFailure,
    Prediction,
    RoundCandidate,
    RoundItem,
    Sample,
)
from app.models.checks import CheckCandidate, CheckItem
from app.models.dataset import (
    AskedImage,
    AskedQuestion,
    Image,
    Item,
    PriorEpisode,
    ProjectImage,
    QuestionReview,
)
from app.models.evidence import CandidateTally, ItemTrail, RoundEvidence
from app.models.guidelines import (
    GuidelinesDifference,
    GuidelinesPicture,
    GuidelinesReading,
    GuidelinesVersion,
)
from app.models.judgements import (
    Judgement,
    JudgementRevision,
    RoundAnnotator,
    VerdictRow,
    WrittenRationale,
)
from app.models.measuring import (
    AnchorItem,
    Comparison,
    ComparisonCandidate,
    ComparisonItem,
)
from app.models.outcomes import (
    Adjudication,
    Admission,
    AdmissionDecision,
    Release,
    ReleaseRow,
    Score,
    TrainingBox,
    TrainingRow,
)
from app.models.people import (
    ApiToken,
    Event,
    Invite,
    Membership,
    Project,
    SignInLink,
    SignInSession,
    User,
    Worker,
)
from app.models.practice import (
    PracticeAnswer,
    PracticeAttempt,
    PracticeCandidate,
    PracticeItem,
)
from app.models.rounds import Adapter, Round, RoundModel, Run, RunShard
from app.models.tryouts import TriedPicture
from app.models.turns import (
    Branch,
    CorrectedObservation,
    DrawnBox,
    OcclusionMap,
    TurnMark,
)

__all__ = [
    "Adapter",
    "Adjudication",
    "Admission",
    "AdmissionDecision",
    "AnchorItem",
    "ApiToken",
    "AskedImage",
    "AskedQuestion",
    "Base",
    "Branch",
    "Candidate",
    "CandidateTally",
    "CheckCandidate",
    "CheckItem",
    "Comparison",
    "ComparisonCandidate",
    "ComparisonItem",
    "CorrectedObservation",
    "DrawnBox",
    "Event",
    "GuidelinesDifference",
    "GuidelinesPicture",
    "GuidelinesReading",
    "GuidelinesVersion",
    "Image",
    "Invite",
    "Item",
    "ItemFailure",
    "ItemTrail",
    "Json",
    "Judgement",
    "JudgementRevision",
    "Membership",
    "ModelProof",
    "OcclusionMap",
    "PracticeAnswer",
    "PracticeAttempt",
    "PracticeCandidate",
    "PracticeItem",
    "Prediction",
    "PriorEpisode",
    "Project",
    "ProjectBase",
    "ProjectImage",
    "QuestionReview",
    "Release",
    "ReleaseRow",
    "Round",
    "RoundAnnotator",
    "RoundCandidate",
    "RoundEvidence",
    "RoundItem",
    "RoundModel",
    "Run",
    "RunShard",
    "Sample",
    "Score",
    "SignInLink",
    "SignInSession",
    "TrainingBox",
    "TrainingRow",
    "TriedPicture",
    "TurnMark",
    "User",
    "VerdictRow",
    "Worker",
    "WrittenRationale",
]
