"""Roles of strategies that learned on tiny models, and what they say, in this process or in one of
its own (`python -m tests.support.models.taught REQUEST ANSWER`)."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.models import Item
from app.round_settings import LoopSettings
from app.strategies import get_strategy
from app.strategies.monologue import Turn
from tests.support.command_line import run_python
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import remove_adapters, write_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.readable import sample_readable
from worker.ml.training.train import train_lora
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    AdapterSettings,
    Draw,
    Example,
    Failed,
    SampleConfig,
    Sampled,
    TrainConfig,
)
from worker.stages.training_settings import adapter_settings, train_config
from worker.strategies import get_procedure
from worker.strategies.contract import Asked, Lesson, Sampler
from worker.strategies.self_questioning.asking import Wanted, ask_about

QUESTION, OTHER = "what colour is the cube ?", "how many are there ?"
LOOK = "which is it ?"
Said = list[object]
"""Of one text that a model said: role, text, log-probability, and the trace that it came with."""


def lessons(pictures: Sequence[Path]) -> list[Lesson]:
    """Two lessons of each picture, with a look each and words for where it is."""
    return [
        Lesson(
            picture,
            question,
            answer,
            f"the cube on the left is {seen}",
            turns=(Turn(asked=LOOK, observed=seen),),
            description=f"there is a {seen} cube",
        )
        for picture, seen in zip(pictures, ("red", "blue"), strict=False)
        for question, answer in ((QUESTION, seen), (OTHER, "two"))
    ]


def teach_role(
    vlm: Vlm, settings: LoopSettings, role: str, taught: Sequence[Lesson], folder: Path
) -> Path:
    """An adapter of a role, trained as a round trains it."""
    train_lora(
        vlm,
        _examples(settings, role, taught),
        [],
        _config(settings),
        what_it_holds(vlm, settings, role),
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
    )
    return folder / "adapter"


def begin_role(
    vlm: Vlm, settings: LoopSettings, role: str, taught: Sequence[Lesson], folder: Path
) -> Path:
    """The adapter that the same training begins with."""
    trainer = Trainer(
        vlm,
        _examples(settings, role, taught),
        [],
        config=_config(settings),
        adapter=what_it_holds(vlm, settings, role),
        start_from=None,
        style=DEFAULT_STYLE,
    )
    write_adapter(vlm.model, folder, vlm.revision)
    trainer.close()
    remove_adapters(vlm.model)
    return folder


def what_it_holds(vlm: Vlm, settings: LoopSettings, role: str) -> AdapterSettings:
    """What the adapter of a role holds on this model."""
    n_words = vlm.model.config.get_text_config().vocab_size
    wanted = adapter_settings(settings.training)
    return get_procedure(settings.strategy).adapt(role, wanted, settings, lambda: n_words)


def _examples(settings: LoopSettings, role: str, taught: Sequence[Lesson]) -> list[Example]:
    found = get_procedure(settings.strategy).teach_all(role, taught, settings)
    return [example for _, example in found]


def _config(settings: LoopSettings) -> TrainConfig:
    return replace(train_config(settings, balance=1.0), patience=None)


@dataclass(frozen=True)
class Asking:
    """Whom to ask, and about what. adapters: folders by role; none is the base alone."""

    model: str
    settings: LoopSettings
    adapters: Mapping[str, str]
    pictures: Sequence[str]


def say(asking: Asking) -> list[Said]:
    """Returns all that the models of a strategy say where they answer about some pictures, and
    where they ask about them of themselves."""
    vlm = load_vlm(asking.model, device="cpu")
    said: list[Said] = []

    def sampler(role: str) -> Sampler:
        def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
            folder = asking.adapters.get(role)
            attach_adapter(vlm, Path(folder) if folder else None)
            made = sample_readable(vlm, draws, config)
            for one in made:
                if isinstance(one, Failed):
                    raise AssertionError(one)
                trace = dict(one.trace) if one.trace else None
                said.append([role, one.text, one.log_probability, trace])
            return made

        return draw

    settings = asking.settings
    models = {role: sampler(role) for role in get_strategy(settings.strategy).roles}
    items = [
        Asked(Item(id=n, external_id=f"item-{n}", question=question, answer="red"), Path(picture))
        for n, (picture, question) in enumerate(
            (picture, question) for picture in asking.pictures for question in (QUESTION, OTHER)
        )
    ]
    get_procedure(settings.strategy).answer(models, items, settings)
    if get_strategy(settings.strategy).asks_about_images:
        wanted = [Wanted(str(n), Path(one)) for n, one in enumerate(asking.pictures)]
        ask_about(models["model"], wanted, settings.self_questioning, seed=1, round_number=1)
    return said


def say_afresh(asking: Asking, folder: Path) -> list[Said]:
    """Returns what a process says that has seen nothing but the files."""
    request, answer = folder / "request.json", folder / "answer.json"
    given = {
        "model": asking.model,
        "settings": asking.settings.model_dump(mode="json"),
        "adapters": dict(asking.adapters),
        "pictures": list(asking.pictures),
    }
    request.write_text(json.dumps(given), encoding="utf-8")
    ended = run_python("-m", "tests.support.models.taught", str(request), str(answer))
    assert ended.returncode == 0, ended.stderr
    found: list[Said] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def main(request: str, answer: str) -> None:
    """Reads a request, and writes what is said."""
    given = json.loads(Path(request).read_text(encoding="utf-8"))
    settings = LoopSettings.model_validate(given.pop("settings"))
    said = say(Asking(settings=settings, **given))
    Path(answer).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
