"""The procedures of the strategies: how each asks its models, and what it teaches them."""

from app.strategies import DIRECT, MONOLOGUE, PERCEPTION, SELF_QUESTIONING, get_strategy
from worker.strategies.contract import Procedure
from worker.strategies.direct import Direct
from worker.strategies.monologue import Monologue
from worker.strategies.perception import InteractivePerception
from worker.strategies.self_questioning import SelfQuestioning

PROCEDURES: dict[str, Procedure] = {
    DIRECT.name: Direct(),
    MONOLOGUE.name: Monologue(),
    SELF_QUESTIONING.name: SelfQuestioning(),
    PERCEPTION.name: InteractivePerception(),
}
"""By the name of the strategy; one for each that app/strategies declares."""


def get_procedure(name: str) -> Procedure:
    """Returns how the strategy of this name is done. Raises InvalidInput where there is none."""
    return PROCEDURES[get_strategy(name).name]


__all__ = ["PROCEDURES", "Procedure", "get_procedure"]
