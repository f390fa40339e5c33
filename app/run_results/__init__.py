"""The JSON that runs and rounds leave behind, as typed values: results, progress and figures.

One model for each thing that is stored. Whoever makes it builds the model and stores what `dump`
returns; whoever needs it calls `read`, or `find` where there may be nothing yet, and then asks for
attributes. Fields have defaults where an older version may not have written them.
"""

from app.run_results.base import StoredJson
from app.run_results.closing import (
    ClosingResult,
    CriticFigures,
    KnownBefore,
    WeighedPerson,
    Weighing,
)
from app.run_results.rounds import (
    BranchTally,
    JudgingEffort,
    KindTally,
    MixedStrategy,
    QuestionTally,
    RewardedFigures,
    RoundFigures,
)
from app.run_results.runs import (
    BranchResult,
    DrawCounts,
    EpisodeTally,
    EvaluationResult,
    ImportErrors,
    ImportResult,
    MapTally,
    Preparation,
    ReleaseResult,
    SamplingResult,
    WorkProgress,
)
from app.run_results.training import (
    LeftOutItem,
    TrainingProgress,
    TrainingResult,
    TrainingStep,
    Validated,
)

__all__ = [
    "BranchResult",
    "BranchTally",
    "ClosingResult",
    "CriticFigures",
    "DrawCounts",
    "EpisodeTally",
    "EvaluationResult",
    "ImportErrors",
    "ImportResult",
    "JudgingEffort",
    "KindTally",
    "KnownBefore",
    "LeftOutItem",
    "MapTally",
    "MixedStrategy",
    "Preparation",
    "QuestionTally",
    "ReleaseResult",
    "RewardedFigures",
    "RoundFigures",
    "SamplingResult",
    "StoredJson",
    "TrainingProgress",
    "TrainingResult",
    "TrainingStep",
    "Validated",
    "WeighedPerson",
    "Weighing",
    "WorkProgress",
]
