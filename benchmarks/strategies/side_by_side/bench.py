"""What every arm of the comparison works with: lessons, items, and the trained roles of a
strategy."""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.cli.demo.demo import demo_settings
from app.kit import storage
from app.models import Image, Item
from app.round_settings import LoopSettings
from app.strategies import get_strategy
from app.strategies.monologue import Turn
from benchmarks.strategies.data import Asked, Pictures, draw_questions, with_monologues
from benchmarks.strategies.models import LORA, Workshop
from benchmarks.strategies.plan import KINDS
from benchmarks.strategies.side_by_side.plan import BASE, SCALES
from benchmarks.support.cells import Config
from worker.demo.rows import list_things
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import add_new_adapter, remove_adapters, trainable
from worker.ml.types import AdapterSettings, Example, LoraSettings, TrainConfig
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson, Sampler

_PNG = "image/png"


@dataclass(frozen=True)
class Learned:
    """The trained roles of a strategy, and what they took."""

    models: Mapping[str, Sampler]
    seconds: float
    n_parameters: int
    n_supervised: int


class Bench:
    """A cell's strategy, model, data and pictures."""

    def __init__(self, config: Config, folder: Path, threads: int) -> None:
        # Draws are made for items, whose pictures lie in a store.
        os.environ["ILLUME_HOME"] = str(folder / "home")  # noqa: TID251 - read by this process
        self.seed = int(config["seed"])
        self.scale = SCALES[config["scale"]]
        self.is_base = config["arm"] == BASE
        self.strategy = get_strategy("direct" if self.is_base else config["arm"])
        self.procedure = get_procedure(self.strategy.name)
        self.pictures = Pictures(folder / "pictures")
        self.shop = Workshop(folder / f"side-{config['scale']}-{self.seed}", threads)
        # Each strategy as the demo sets it up: those are settings under which its model learns.
        settings = demo_settings(self.seed).model_dump()
        settings["sampling"] |= {"temperatures": [0.3, 0.9], "n_samples": self.scale.n_samples}
        self.settings = LoopSettings.model_validate(settings | {"strategy": self.strategy.name})

    # --- Data -----------------------------------------------------------------------------------

    def lessons(self) -> list[Lesson]:
        """Returns what every strategy is taught."""
        asked = draw_questions(
            f"side-lessons-{self.seed}", dict.fromkeys(KINDS, self.scale.n_lessons)
        )
        rng = random.Random(f"side-captions-{self.seed}")
        return [
            Lesson(
                self.pictures.of(one.scene),
                one.question.text,
                made.answer,
                made.rationale,
                turns=tuple(Turn(asked=look.asked, observed=look.observed) for look in made.looks),
                description=list_things(one.scene, rng),
                is_caption=True,
            )
            for one, made in with_monologues(f"side-monologues-{self.seed}", asked)
        ]

    def answered(self) -> list[Asked]:
        """Returns held-out questions, whose answers are not told."""
        wanted = dict.fromkeys(KINDS, self.scale.n_answered)
        return draw_questions(f"side-answered-{self.seed}", wanted, held_out=True)

    def drawn(self) -> list[Asked]:
        """Returns questions that rationales are drawn for; no lesson was about their scenes."""
        wanted = dict.fromkeys(KINDS, self.scale.n_drawn)
        return draw_questions(f"side-drawn-{self.seed}", wanted, held_out=True)

    def items(self, asked: Sequence[Asked]) -> list[tuple[Item, Image]]:
        """Returns the questions as items of a round, with their pictures in the store."""
        made = []
        for number, one in enumerate(asked, start=1):
            content = self.pictures.of(one.scene).read_bytes()
            sha256, _ = storage.put_image(content, _PNG)
            item = Item(
                id=number,
                external_id=f"{self.seed}-{number}",
                question=one.question.text,
                answer=one.question.answer,
                facts=one.scene.to_dict(),
            )
            made.append((item, Image(sha256=sha256, media_type=_PNG)))
        return made

    # --- Models ---------------------------------------------------------------------------------

    def learn(self) -> Learned:
        """Returns the strategy's roles, trained to the end where they are not there yet."""
        if self.is_base:
            return Learned({self.strategy.roles[0]: self.shop.sampler(None)}, 0.0, 0, 0)
        lessons, adapters = self.lessons(), self._fit_ranks()
        models, seconds, n_supervised = {}, 0.0, 0
        for role, adapter in adapters.items():

            def examples(role: str = role) -> list[Example]:
                return [one for _, one in self.procedure.teach_all(role, lessons, self.settings)]

            config = TrainConfig(
                epochs=self.scale.epochs,
                batch_size=32,
                learning_rate=1e-3,
                schedule="cosine",
                patience=None,
                seed=self.seed,
            )
            name, start_from = f"{self.strategy.name}-{role}", None
            first = self.procedure.first_stage(role, lessons, self.settings)
            if first:
                epochs = self.procedure.first_epochs(self.settings, len(first))
                aligned = self.shop.train(
                    f"{name}-first",
                    lambda first=first: first,  # type: ignore[misc]
                    adapter,
                    replace(config, epochs=epochs),
                )
                seconds, n_supervised = (
                    seconds + aligned.seconds,
                    n_supervised + aligned.n_supervised,
                )
                start_from = aligned.folder
            trained = self.shop.train(name, examples, adapter, config, start_from=start_from)
            models[role] = self.shop.sampler(trained.folder)
            seconds += trained.seconds
            n_supervised += trained.n_supervised
        n_parameters = sum(self._count(adapter) for adapter in adapters.values())
        return Learned(models, seconds, n_parameters, n_supervised)

    def _fit_ranks(self) -> dict[str, AdapterSettings]:
        """Returns the adapter of each role, of the largest rank with which all of them together
        train no more parameters than `direct` does."""
        most = self._count(AdapterSettings(_lora(self.scale.rank)))
        for rank in range(self.scale.rank, 0, -1):
            made = {role: self._adapter(role, rank) for role in self.strategy.roles}
            if sum(self._count(adapter) for adapter in made.values()) <= most:
                return made
        return {role: self._adapter(role, 1) for role in self.strategy.roles}

    def _adapter(self, role: str, rank: int) -> AdapterSettings:
        n_words = self.shop.vlm.model.config.get_text_config().vocab_size
        plain = AdapterSettings(_lora(rank))
        return self.procedure.adapt(role, plain, self.settings, lambda: n_words)

    def _count(self, adapter: AdapterSettings) -> int:
        """How many parameters this adapter trains."""
        vlm = self.shop.vlm
        attach_adapter(vlm, None)
        add_new_adapter(vlm.model, fit_adapter(vlm, adapter))
        try:
            return sum(parameter.numel() for parameter in trainable(vlm.model))
        finally:
            remove_adapters(vlm.model)


def _lora(rank: int) -> LoraSettings:
    return replace(LORA, rank=rank, alpha=2.0 * rank, tower=True, projector=True)
