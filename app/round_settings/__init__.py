"""The settings of one loop: stored with the project, frozen into each round at its start.

Each field says in one place what it is called, what it does, and where forms show it; the form, the
command line, the documentation and JSON schemas are made from that (`fields.py`). The order of the
fields is the order in which they are shown.
"""

from app.round_settings.bases import NamedBase
from app.round_settings.evaluation import EvaluationSettings, StopSettings
from app.round_settings.fields import (
    Group,
    SettingField,
    Shown,
    find_field,
    list_fields,
)
from app.round_settings.judging import (
    KNOWS_SCENES,
    PEOPLE,
    AdmissionSettings,
    Judges,
    JudgingSettings,
    Order,
)
from app.round_settings.loop import LoopSettings
from app.round_settings.monologue import MonologueSettings
from app.round_settings.perception import PerceptionSettings
from app.round_settings.reinforcement import ReinforcementSettings
from app.round_settings.sampling import SamplingSettings
from app.round_settings.self_questioning import SelfQuestioningSettings
from app.round_settings.training import TrainingSettings

__all__ = [
    "KNOWS_SCENES",
    "PEOPLE",
    "AdmissionSettings",
    "EvaluationSettings",
    "Group",
    "Judges",
    "JudgingSettings",
    "LoopSettings",
    "MonologueSettings",
    "NamedBase",
    "Order",
    "PerceptionSettings",
    "ReinforcementSettings",
    "SamplingSettings",
    "SelfQuestioningSettings",
    "SettingField",
    "Shown",
    "StopSettings",
    "TrainingSettings",
    "find_field",
    "list_fields",
]
