"""Interactive perception as a strategy of the loop."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.round_settings import LoopSettings
from app.strategies.perception import MODEL, PERCEPTION
from worker.ml.abilities import Ability
from worker.ml.inputs.perceiving import perception_modules
from worker.ml.types import AdapterSettings, Example
from worker.strategies.contract import Lesson
from worker.strategies.direct import Direct
from worker.strategies.perception.alignment import align


class InteractivePerception(Direct):
    """Answers and explains as the strategy `direct` does; what the model is shown of a picture is
    what it asked for, and each draw says where that was. Before the first training nothing asks,
    and the base is shown the whole picture."""

    name = PERCEPTION.name
    needs = (Ability.PERCEPTION,)

    def adapt(
        self,
        role: str,
        adapter: AdapterSettings,
        settings: LoopSettings,
        n_words: Callable[[], int],  # noqa: ARG002
    ) -> AdapterSettings:
        """Returns the perception, and LoRA beside it only where the settings want that."""
        if role != MODEL:
            return adapter
        own = settings.perception
        modules = perception_modules(
            requests=own.request_tokens,
            evidence=own.evidence_tokens,
            basic=own.basic_tokens,
            path=own.path,
        )
        if own.lora:
            return replace(adapter, modules={**adapter.modules, **modules})
        return AdapterSettings(None, modules={**adapter.modules, **modules})

    def teach(self, role: str, lesson: Lesson, settings: LoopSettings) -> Sequence[Example]:
        """Returns the answer and its rationale; with the boxes that people drew, where the settings
        let these count."""
        taught = super().teach(role, lesson, settings)
        if not settings.perception.pointing_weight or not lesson.boxes:
            return taught
        return [replace(example, boxes=lesson.boxes) for example in taught]

    def first_stage(
        self, role: str, lessons: Sequence[Lesson], settings: LoopSettings
    ) -> Sequence[Example]:
        return align(lessons, settings) if role == MODEL else ()

    def first_epochs(self, settings: LoopSettings, n_examples: int) -> int:
        training = settings.training
        per_epoch = math.ceil(n_examples / (training.batch_size * training.gradient_accumulation))
        return math.ceil(settings.perception.alignment_steps / max(1, per_epoch))
