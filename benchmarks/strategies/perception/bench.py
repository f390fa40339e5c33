"""What every arm of interactive perception works with: questions by place, the model, and what it
learns."""

import random
from collections.abc import Sequence
from pathlib import Path

from app.round_settings import LoopSettings
from app.scenes.questions.draw import Question
from app.scenes.questions.queries import AttributeQuery, Description, Kind
from app.scenes.questions.words import word_query
from app.scenes.scene import ATTRIBUTES, N_COLS, Obj, Scene
from benchmarks.strategies.data import Asked, Pictures, draw_questions
from benchmarks.strategies.models import Trained, Workshop
from benchmarks.strategies.perception.plan import BATCH, BY_PLACE, SCALES
from benchmarks.strategies.perception.resampler import KIND, know_resamplers
from benchmarks.strategies.plan import KINDS
from benchmarks.support.cells import Config
from worker.demo.rows import held_out_scene, list_things, training_scene
from worker.ml.types import (
    PROJECTOR,
    AdapterSettings,
    Example,
    LoraSettings,
    ModuleSettings,
    TrainConfig,
)
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson

_WORDINGS = 4
LORA = LoraSettings(rank=8, alpha=16.0, dropout=0.0)


def cell_of(asked: Asked) -> int:
    """Returns the place that a question by place asks about, row by row."""
    assert isinstance(asked.query, AttributeQuery)
    row, column = asked.query.target.row, asked.query.target.col
    assert row is not None
    assert column is not None
    return row * N_COLS + column


class Bench:
    """A cell's model, data and pictures."""

    def __init__(self, config: Config, folder: Path, threads: int) -> None:
        know_resamplers()
        self.config, self.seed = config, int(config["seed"])
        self.scale = SCALES[config["scale"]]
        self.pictures = Pictures(folder / "pictures")
        self.shop = Workshop(folder / f"perception-{config['scale']}-{self.seed}", threads)
        self._procedure = get_procedure("perception")

    # --- Data -----------------------------------------------------------------------------------

    def lessons(self) -> list[Lesson]:
        """Returns the questions to train on, each with a caption of its scene."""
        rng = random.Random(f"captions-{self.seed}")
        return [
            Lesson(
                self.pictures.of(one.scene),
                one.question.text,
                one.question.answer,
                None,
                description=list_things(one.scene, rng),
                is_caption=True,
            )
            for one in _by_place(f"train-{self.seed}", self.scale.n_train, held_out=False)
        ]

    def test_items(self) -> list[Asked]:
        """Returns the held-out questions by place."""
        return _by_place(f"test-{self.seed}", self.scale.n_test, held_out=True)

    def other_items(self) -> list[Asked]:
        """Returns held-out questions of all kinds; those for an attribute name their thing."""
        n = self.scale.n_other
        drawn = draw_questions(f"others-{self.seed}", dict.fromkeys(KINDS, 2 * n), held_out=True)
        kept: dict[str, list[Asked]] = {kind: [] for kind in KINDS}
        for one in drawn:
            by_place = isinstance(one.query, AttributeQuery) and one.query.target.has_place()
            if not by_place and len(kept[one.kind]) < n:
                kept[one.kind].append(one)
        return [one for some in kept.values() for one in some]

    # --- Models ---------------------------------------------------------------------------------

    def settings(self) -> LoopSettings:
        """Returns the settings of the arm."""
        config = self.config
        own = {
            "alignment": config["alignment"],
            "evidence_tokens": config["k"] - 1,
            "path": config.get("path", "patches"),
            "lora": config.get("lora", False),
        }
        return LoopSettings.model_validate(
            {"strategy": "perception", "seed": self.seed, "perception": own}
        )

    def perception(self) -> Trained:
        """Returns the arm's adapter after both stages; where there is no first one, the second
        takes its steps, too."""
        settings, lessons = self.settings(), self.lessons()
        adapter = self._procedure.adapt("model", AdapterSettings(LORA), settings, lambda: 0)
        taught = [one for _, one in self._procedure.teach_all("model", lessons, settings)]
        first = list(self._procedure.first_stage("model", lessons, settings))
        name = "-".join(f"{key}-{settings.perception.model_dump()[key]}" for key in _NAMED)
        epochs = self.scale.first_epochs + self.scale.epochs
        if not first:
            return self._train(name, taught, adapter, epochs)
        n_steps = self.scale.first_epochs * self.scale.n_train // BATCH
        first_epochs = max(1, round(n_steps * BATCH / len(first)))
        if first_epochs == 1:
            first = first[: n_steps * BATCH]
        aligned = self._train(f"{name}-first", first, adapter, first_epochs)
        tuned = self._train(name, taught, adapter, self.scale.epochs, start_from=aligned.folder)
        seconds = aligned.seconds + tuned.seconds
        return Trained(tuned.folder, seconds, aligned.n_supervised + tuned.n_supervised)

    def static(self) -> Trained:
        """Returns the arm's resampler after as many steps, or `times` as many."""
        k, times = self.config["k"], self.config["times"]
        config = self.shop.vlm.model.config
        options = {
            "width": config.get_text_config().hidden_size,
            "tokens": config.image_seq_length,
            "k": k,
        }
        modules = {"resampler": ModuleSettings(KIND, PROJECTOR, options)}
        settings = LoopSettings.model_validate({"strategy": "perception", "seed": self.seed})
        taught = [one for _, one in self._procedure.teach_all("model", self.lessons(), settings)]
        epochs = times * (self.scale.first_epochs + self.scale.epochs)
        name = f"static-{k}-{times}"
        return self._train(name, taught, AdapterSettings(None, modules=modules), epochs)

    def _train(
        self,
        name: str,
        examples: Sequence[Example],
        adapter: AdapterSettings,
        epochs: int,
        start_from: Path | None = None,
    ) -> Trained:
        config = TrainConfig(
            epochs=epochs,
            batch_size=BATCH,
            learning_rate=1e-3,
            schedule="cosine",
            patience=None,
            seed=self.seed,
        )
        return self.shop.train(name, lambda: examples, adapter, config, start_from=start_from)


_NAMED = ("alignment", "evidence_tokens", "path", "lora")


def _by_place(seed: str, n: int, *, held_out: bool) -> list[Asked]:
    rng = random.Random(seed)
    return [_ask(held_out_scene(rng) if held_out else training_scene(rng), rng) for _ in range(n)]


def _ask(scene: Scene, rng: random.Random) -> Asked:
    thing: Obj = rng.choice(scene.objects)
    attribute = rng.choice(tuple(ATTRIBUTES))
    query = AttributeQuery(attribute, Description(row=thing.row, col=thing.col))
    wording = rng.randrange(_WORDINGS)
    question = Question(query, word_query(query, wording), thing.value(attribute), wording)
    assert query.kind is Kind.ATTRIBUTE
    return Asked(BY_PLACE, scene, question)
