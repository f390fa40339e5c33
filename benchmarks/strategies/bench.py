"""What every arm of the monologue's benchmark works with: its model, its data and its pictures."""

from collections.abc import Callable
from pathlib import Path

from app.round_settings import MonologueSettings
from app.scenes.monologues import SceneMonologue
from app.scenes.scene import Scene
from app.strategies.monologue import Turn
from benchmarks.strategies.data import (
    ALL_LOOKS,
    PLACES,
    Asked,
    Pictures,
    Shares,
    draw_looks,
    draw_questions,
    look_text,
    with_monologues,
)
from benchmarks.strategies.models import SEEING, TALKING, Trained, Workshop
from benchmarks.strategies.plan import KINDS, SCALES, TWO_LOOKS
from benchmarks.support.cells import Config
from worker.ml.types import AdapterSettings, Example, TrainConfig
from worker.strategies.contract import Lesson
from worker.strategies.monologue.lessons import teach_observer, teach_reasoner

OPENER = ", seeing that"
TEMPERATURE = 0.01
RATE = 2e-3
SETTINGS = MonologueSettings(instruct=False)  # the demo model follows no orders


class Bench:
    """A cell's model, data and pictures."""

    def __init__(self, config: Config, folder: Path, threads: int) -> None:
        self.config, self.seed = config, int(config["seed"])
        self.scale = SCALES[config["scale"]]
        self.pictures = Pictures(folder / "pictures")
        self.shop = Workshop(folder / f"{config['scale']}-{self.seed}", threads)

    # --- Data -----------------------------------------------------------------------------------

    def train_items(self, times: int = 1) -> list[Asked]:
        """The questions to train on, as many of each kind."""
        n = -(-self.scale.n_items * times // len(KINDS))
        return draw_questions(f"train-{self.seed}", dict.fromkeys(KINDS, n))

    def test_items(self, *, only_two_looks: bool = False) -> list[Asked]:
        """The held-out questions."""
        one, two = self.scale.n_one, self.scale.n_two
        wanted = {kind: two if kind in TWO_LOOKS else one for kind in KINDS}
        drawn = draw_questions(f"test-{self.seed}", wanted, held_out=True)
        return [asked for asked in drawn if asked.kind in TWO_LOOKS or not only_two_looks]

    def monologues(self) -> list[tuple[Asked, SceneMonologue]]:
        """The questions to train on with their ideal monologues."""
        return with_monologues(f"monologues-{self.seed}", self.train_items())

    # --- Models ---------------------------------------------------------------------------------

    def config_of(self, epochs: int, batch_size: int, rate: float) -> TrainConfig:
        """How an arm is trained; none stops early."""
        return TrainConfig(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rate,
            schedule="cosine",
            patience=None,
            seed=self.seed,
        )

    def observer(self, n: int) -> Trained:
        """The observer after `n` observations: three quarters of them places, alone and first.

        Where a thing stands is learned late and then fast, and hardly beside other looks: 32,000 of
        all kinds left it at chance (0.23), 8,000 places in six epochs brought it to 0.67.
        """
        n_first = n * 3 // 4
        first = self.shop.train(
            f"places-{n}",
            lambda: self._look_examples(f"places-{self.seed}", n_first, PLACES, per_scene=2),
            SEEING,
            self.config_of(self.scale.epochs, 16, RATE),
        )
        then = self.shop.train(
            f"observer-{n}",
            lambda: self._look_examples(f"looks-{self.seed}", n - n_first, ALL_LOOKS, per_scene=8),
            SEEING,
            self.config_of(1, 32, RATE / 4),
            start_from=first.folder,
        )
        seconds = first.seconds + then.seconds
        return Trained(then.folder, seconds, first.n_supervised + then.n_supervised)

    def reasoner(self) -> Trained:
        """The reasoner after the ideal episodes of all items."""

        def examples() -> list[Example]:
            return [
                example
                for asked, made in self.monologues()
                for example in teach_reasoner(as_lesson(asked, made), OPENER, SETTINGS)
            ]

        config = self.config_of(self.scale.epochs, 32, RATE)
        return self.shop.train("reasoner", examples, TALKING, config)

    def reader(
        self, name: str, examples: Callable[[], list[Example]], adapter: AdapterSettings
    ) -> Trained:
        """A model of one look, or of none, trained on other examples of the items."""
        config = self.config_of(self.scale.epochs, 32, RATE)
        return self.shop.train(name, examples, adapter, config)

    def _look_examples(self, seed: str, n: int, shares: Shares, per_scene: int) -> list[Example]:
        return [
            example
            for scene, query in draw_looks(seed, n, shares=shares, per_scene=per_scene)
            for example in teach_observer(self._look_lesson(scene, *look_text(scene, query)))
        ]

    def _look_lesson(self, scene: Scene, asked: str, observed: str) -> Lesson:
        return Lesson(self.pictures.of(scene), asked, observed, None)


def as_lesson(asked: Asked, made: SceneMonologue) -> Lesson:
    """Returns an ideal monologue as what is taught."""
    turns = tuple(Turn(asked=look.asked, observed=look.observed) for look in made.looks)
    question = asked.question
    return Lesson(Path(), question.text, made.answer, made.rationale, turns=turns)


# --- Arms ---------------------------------------------------------------------------------------
