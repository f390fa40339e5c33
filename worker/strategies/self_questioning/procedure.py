"""Self-questioning as a strategy of the loop."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.round_settings import LoopSettings
from app.strategies.self_questioning import MODEL, SELF_QUESTIONING
from worker.ml.abilities import Ability
from worker.ml.types import ASKER, PROJECTOR, WORDS, AdapterSettings, Example, ModuleSettings
from worker.strategies.contract import Lesson
from worker.strategies.direct import Direct
from worker.strategies.output import with_output
from worker.strategies.self_questioning.dialogues import make_dialogues


class SelfQuestioning(Direct):
    """Answers and explains as the strategy `direct` does, and learns dialogues beside it, in which
    it asks too."""

    name = SELF_QUESTIONING.name
    needs = (Ability.TURNS,)
    may_need = (Ability.PROTOTYPES,)

    def needed(self, settings: LoopSettings) -> tuple[Ability, ...]:
        with_prototypes = self.may_need if settings.self_questioning.prototypes else ()
        return (*self.needs, *with_prototypes)

    def adapt(
        self,
        role: str,
        adapter: AdapterSettings,
        settings: LoopSettings,
        n_words: Callable[[], int],
    ) -> AdapterSettings:
        """Returns what the settings want and, as they say, the row of the role that asks,
        prototypes, a tuned projector, and a tuned output layer of a base that knows few words."""
        if role != MODEL:
            return adapter
        own = settings.self_questioning
        modules: dict[str, ModuleSettings] = {}
        if own.question_row:
            modules["asker"] = ModuleSettings("rows", WORDS, {"names": [ASKER]})
        if own.prototypes:
            options = {"iterations": own.prototype_iterations}
            modules["prototypes"] = ModuleSettings("prototypes", PROJECTOR, options)
        if own.tune_projector:
            modules["projector"] = ModuleSettings("tuned", PROJECTOR)
        more = replace(adapter, modules={**adapter.modules, **modules})
        return with_output(more, own.tune_output_up_to, n_words)

    def teach_all(
        self, role: str, lessons: Sequence[Lesson], settings: LoopSettings
    ) -> list[tuple[int, Example]]:
        """Returns each lesson as it is asked for in sampling, and all of them as dialogues."""
        alone = super().teach_all(role, lessons, settings)
        if role != MODEL:
            return alone
        together = make_dialogues(lessons, settings)
        # A dialogue of one turn that nobody described is the lesson alone.
        return [*alone, *((place, one) for place, one in together if _has_turns(one))]


def _has_turns(example: Example) -> bool:
    return any(part.turn is not None for part in example.parts)
