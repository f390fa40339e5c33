"""What every arm of the monologue's benchmark works with: its model, its data and its pictures."""

from collections.abc import Callable, Sequence
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

    def train(
        self,
        name: str,
        examples: Callable[[], Sequence[Example]],
        adapter: AdapterSettings,
        epochs: int,
        start_from: Path | None = None,
    ) -> Trained:
        """Returns the adapter of this name, trained to the end where it is not there yet."""
        # At 2e-3 what sees does not learn where things stand; what reads learns faster.
        sees = adapter.lora is not None and adapter.lora.tower
        config = TrainConfig(
            epochs=epochs,
            batch_size=32,
            learning_rate=1e-3 if sees else 2e-3,
            schedule="cosine",
            patience=None,
            seed=self.seed,
        )
        return self.shop.train(name, examples, adapter, config, start_from=start_from)

    def observer(self, n: int) -> Trained:
        """The observer after `n` observations: the first half of them places, alone.

        Where a thing stands is learned after some 1,000 steps without any progress, and hardly
        beside other looks: 32,000 of all kinds left it at chance (0.23).
        """
        first = self.train(
            f"places-{n}",
            lambda: self._look_examples(f"places-{self.seed}", n // 2, PLACES, per_scene=2),
            SEEING,
            epochs=6,
        )
        then = self.train(
            f"observer-{n}",
            lambda: self._look_examples(f"looks-{self.seed}", n // 2, ALL_LOOKS, per_scene=8),
            SEEING,
            epochs=3,
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

        return self.train("reasoner", examples, TALKING, self.scale.epochs)

    def reader(
        self, name: str, examples: Callable[[], list[Example]], adapter: AdapterSettings
    ) -> Trained:
        """A model of one look, or of none, trained on other examples of the items."""
        return self.train(name, examples, adapter, self.scale.epochs)

    def _look_examples(self, seed: str, n: int, shares: Shares, per_scene: int) -> list[Example]:
        return [
            example
            for scene, query in draw_looks(seed, n, shares=shares, per_scene=per_scene)
            for example in teach_observer(
                self._look_lesson(scene, *look_text(scene, query)), SETTINGS
            )
        ]

    def _look_lesson(self, scene: Scene, asked: str, observed: str) -> Lesson:
        return Lesson(self.pictures.of(scene), asked, observed, None)


def as_lesson(asked: Asked, made: SceneMonologue) -> Lesson:
    """Returns an ideal monologue as what is taught."""
    turns = tuple(Turn(asked=look.asked, observed=look.observed) for look in made.looks)
    question = asked.question
    return Lesson(Path(), question.text, made.answer, made.rationale, turns=turns)


# --- Arms ---------------------------------------------------------------------------------------
