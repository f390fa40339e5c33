"""What every arm of self-questioning works with: lessons about scenes, the model, and what it
asks."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.round_settings import LoopSettings
from app.scenes.questions.draw import ask
from app.scenes.questions.queries import Kind
from app.scenes.rationales import explain
from app.scenes.scene import Scene
from benchmarks.strategies.data import Asked, Pictures, draw_questions
from benchmarks.strategies.models import LORA, Trained, Workshop
from benchmarks.strategies.plan import KINDS
from benchmarks.strategies.self_questioning.plan import SCALES
from benchmarks.strategies.self_questioning.residual import KIND, know_residuals
from benchmarks.support.cells import Config
from worker.demo.rows import held_out_scene, list_things, training_scene
from worker.ml.inputs.sight import fit_adapter
from worker.ml.types import AdapterSettings, Example, TrainConfig
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson, Sampler
from worker.strategies.self_questioning.asking import AskedAbout, Wanted, ask_about

PER_SCENE = 3
_TRIES = 20


@dataclass(frozen=True)
class Learned:
    """A lesson, and the scene that it is about."""

    scene: Scene
    lesson: Lesson


class Bench:
    """A cell's model, data and pictures."""

    def __init__(self, config: Config, folder: Path, threads: int) -> None:
        know_residuals()
        self.config, self.seed = config, int(config["seed"])
        self.scale = SCALES[config["scale"]]
        self.pictures = Pictures(folder / "pictures")
        self.shop = Workshop(folder / f"asking-{config['scale']}-{self.seed}", threads)

    # --- Data -----------------------------------------------------------------------------------

    def lessons(self, name: str = "lessons") -> list[Learned]:
        """Returns three questions about each of the scenes, with captions; all are answered."""
        rng = random.Random(f"{name}-{self.seed}")
        scenes = [training_scene(rng) for _ in range(self.scale.n_scenes)]
        return [one for scene in scenes for one in self._about(scene, rng)]

    def _about(self, scene: Scene, rng: random.Random) -> list[Learned]:
        caption = list_things(scene, rng)
        made: dict[str, Learned] = {}
        for _ in range(_TRIES):
            question = ask(scene, rng.choice(tuple(Kind)), rng)
            if question is None or len(made) == PER_SCENE:
                continue
            made[question.text] = Learned(
                scene,
                Lesson(
                    self.pictures.of(scene),
                    question.text,
                    question.answer,
                    explain(question.query, scene, rng),
                    description=caption,
                    is_caption=True,
                ),
            )
        return list(made.values())

    def held_out(self) -> list[Scene]:
        """Returns the scenes that are asked about."""
        rng = random.Random(f"asked-{self.seed}")
        return [held_out_scene(rng) for _ in range(self.scale.n_asked)]

    def further(self) -> list[Scene]:
        """Returns scenes that nobody asked about, for learning."""
        rng = random.Random(f"further-{self.seed}")
        return [training_scene(rng) for _ in range(self.scale.n_scenes)]

    def test_items(self) -> list[Asked]:
        """Returns held-out questions, as many of each kind."""
        wanted = dict.fromkeys(KINDS, self.scale.n_items)
        return draw_questions(f"answered-{self.seed}", wanted, held_out=True)

    # --- Models ---------------------------------------------------------------------------------

    def settings(self, delta: float) -> LoopSettings:
        """Returns the settings of a training."""
        own = {"delta": delta, "n_questions": self.scale.n_draws, "max_per_image": 1000}
        return LoopSettings.model_validate(
            {"strategy": "self_questioning", "seed": self.seed, "self_questioning": own}
        )

    def train(
        self,
        name: str,
        lessons: Sequence[Lesson],
        delta: float,
        in_front: str | None = None,
        epochs: int | None = None,
    ) -> Trained:
        """Returns the adapter of this name, trained to the end where it is not there yet."""
        procedure, settings = get_procedure("self_questioning"), self.settings(delta)

        def examples() -> list[Example]:
            return [one for _, one in procedure.teach_all("model", lessons, settings)]

        n_words = self.shop.vlm.model.config.get_text_config().vocab_size
        adapter = procedure.adapt("model", AdapterSettings(LORA), settings, lambda: n_words)
        config = TrainConfig(
            epochs=epochs or self.scale.epochs,
            batch_size=self.scale.batch_size,
            learning_rate=self.scale.learning_rate,
            schedule="cosine",
            patience=None,
            seed=self.seed,
        )
        return self.shop.train(name, examples, self._with(adapter, in_front), config)

    def _with(self, adapter: AdapterSettings, in_front: str | None) -> AdapterSettings:
        if in_front is None:
            return adapter
        own = self.settings(0.5)
        wanted = own.model_copy(
            update={
                "self_questioning": own.self_questioning.model_copy(update={"prototypes": True})
            }
        )
        made = get_procedure("self_questioning").adapt("model", adapter, wanted, lambda: 10**9)
        fitted = fit_adapter(self.shop.vlm, made)
        modules = dict(fitted.modules)
        if in_front == KIND:
            modules["prototypes"] = replace(modules["prototypes"], kind=KIND)
        return replace(adapter, modules=modules)

    def sampler(self, trained: Trained) -> Sampler:
        """Returns the model with this adapter on."""
        return self.shop.sampler(trained.folder)

    def ask(
        self, trained: Trained, scenes: Sequence[Scene], temperature: float
    ) -> list[AskedAbout]:
        """Returns what a trained model asks about each scene."""
        own = self.settings(0.5).self_questioning.model_copy(update={"temperature": temperature})
        wanted = [Wanted(str(n), self.pictures.of(scene)) for n, scene in enumerate(scenes)]
        return ask_about(
            self.sampler(trained), wanted, own, seed=self.seed, round_number=1, top_k_share=1.0
        )
