"""The strategies: the ways in which a model comes to rationales, as everybody may know them.

Here they are declared, without any torch; `worker/strategies` does what they declare.
"""

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.round_settings import LoopSettings, NamedBase
from app.strategies.contract import Mark, Strategy, Trace
from app.strategies.direct import DIRECT
from app.strategies.monologue import MONOLOGUE
from app.strategies.perception import PERCEPTION
from app.strategies.self_questioning import SELF_QUESTIONING

STRATEGIES = {
    strategy.name: strategy for strategy in (DIRECT, MONOLOGUE, SELF_QUESTIONING, PERCEPTION)
}
"""By their names, which rounds, runs, draws and adapters are stored with."""


def get_strategy(name: str) -> Strategy:
    """Returns the strategy of this name. Raises InvalidInput where there is none."""
    if name not in STRATEGIES:
        raise InvalidInput(
            Sentence(
                "There is no strategy called “%(name)s”; there are: %(names)s.",
                name=name,
                names=", ".join(STRATEGIES),
            )
        )
    return STRATEGIES[name]


def list_bases(settings: LoopSettings) -> tuple[NamedBase, ...]:
    """Returns all base models that a round with these settings asks, each once, that of the
    settings first: it is measured alone, too."""
    of_roles = [base for name in settings.shares for base in STRATEGIES[name].list_bases(settings)]
    return tuple(dict.fromkeys([settings.base, *of_roles]))


__all__ = [
    "DIRECT",
    "MONOLOGUE",
    "PERCEPTION",
    "SELF_QUESTIONING",
    "STRATEGIES",
    "Mark",
    "Strategy",
    "Trace",
    "get_strategy",
    "list_bases",
]
