"""Self-questioning: a model that learns to ask about a picture as well as to answer.

Source: Sun et al. 2024, "SQ-LLaVA: Self-Questioning for Large Vision-Language Assistant" (arXiv
2403.11299). docs/self_questioning.md says what is the same here, and what differs.
"""

from app.round_settings.self_questioning import SelfQuestioningSettings
from app.strategies.contract import Strategy
from app.strategies.direct import MODEL

__all__ = ["MODEL", "SELF_QUESTIONING"]

SELF_QUESTIONING = Strategy(
    name="self_questioning", roles=(MODEL,), settings=SelfQuestioningSettings
)
