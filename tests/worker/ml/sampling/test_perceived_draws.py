"""What many draws of a model that asks where to look take: a picture once, a request once for each
question, and what is said on top."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.models.families import write_pictures
from tests.support.models.parts import write_random
from worker.ml.inputs.perceiving import layers_of, perception_modules
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.attached import adapter_attached
from worker.ml.model.loading import Vlm
from worker.ml.sampling.generate import sample
from worker.ml.types import AdapterSettings, Draw, Prompt, SampleConfig

CONFIG = SampleConfig(max_new_tokens=6, top_k_share=1.0)
QUESTION, OTHER = "what colour is the cube ?", "how many are there ?"
TEMPERATURES = (0.01, 0.1, 0.3, 0.6, 0.9)


@dataclass
class Passes:
    """What went through a model. pictures: through its tower; requests, prompts and tokens: through
    its layers, as far as a request needs or all of them; the rows of each batch."""

    pictures: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


@contextmanager
def counted(vlm: Vlm) -> Iterator[Passes]:
    """Counts by hooks on the tower and on the first and the last layer of the language model."""
    passes, begun = Passes(), list[int]()
    layers = layers_of(vlm.model)

    def see(_: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        passes.pictures.append(len(inputs[0] if inputs else named["pixel_values"]))

    def begin(_: Any, inputs: tuple[Any, ...]) -> None:
        # What did not come to the last layer before the next pass began was a request.
        passes.requests.extend(begun)
        begun[:] = [len(inputs[0])]

    def end(_: Any, inputs: tuple[Any, ...]) -> None:
        begun.clear()
        rows, n_tokens = inputs[0].shape[:2]
        (passes.tokens if n_tokens == 1 else passes.prompts).append(rows)

    hooks = (
        vlm.model.model.vision_tower.register_forward_pre_hook(see, with_kwargs=True),
        layers[0].register_forward_pre_hook(begin),
        layers[-1].register_forward_pre_hook(end),
    )
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()
    passes.requests.extend(begun)


@pytest.fixture(scope="module")
def adapter(llava: Vlm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two questions of another picture are answered first: what is found out once about a model is
    no part of the price of a draw."""
    folder = tmp_path_factory.mktemp("asking")
    wanted = fit_adapter(llava, AdapterSettings(None, modules=perception_modules()))
    write_random(llava, folder / "adapter", wanted)
    with adapter_attached(llava, folder / "adapter"):
        sample(llava, draws_of(write_pictures(folder / "other", 1)[0], QUESTION, OTHER), CONFIG)
    return folder / "adapter"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_pictures(tmp_path, 1)[0]


def draws_of(picture: Path, *questions: str) -> list[Draw]:
    return [
        Draw(Prompt(picture, question, "red", ", seeing that"), temperature, seed)
        for question in questions
        for temperature in TEMPERATURES
        for seed in range(5)
    ]


def test_25_draws_of_a_question_share_picture_request_and_prompt(
    llava: Vlm, adapter: Path, picture: Path
) -> None:
    draws = draws_of(picture, QUESTION)
    assert len(draws) == 25
    with adapter_attached(llava, adapter), counted(llava) as passes:
        made = sample(llava, draws, CONFIG)
    assert len({one.text for one in made}) > 1
    assert passes.pictures == [1]
    assert passes.requests == [1]
    assert passes.prompts == [1]
    assert max(passes.tokens) <= 25
    assert len(passes.tokens) <= CONFIG.max_new_tokens, "all draws go on together"


def test_a_picture_is_seen_once_whatever_is_asked_of_it_and_each_question_asks_once(
    llava: Vlm, adapter: Path, picture: Path
) -> None:
    with adapter_attached(llava, adapter), counted(llava) as passes:
        sample(llava, draws_of(picture, QUESTION, OTHER), CONFIG)
        assert passes.pictures == [1]
        assert passes.requests == [2], "both in one batch"
        assert sum(passes.prompts) == 2
        sample(llava, draws_of(picture, QUESTION), CONFIG)
    assert passes.pictures == [1], "a later call has its features"
    assert passes.requests == [2, 1]


def test_what_asks_nothing_is_read_as_often(llava: Vlm, adapter: Path, picture: Path) -> None:
    """The price of asking is its first pass alone."""
    with adapter_attached(llava, adapter), counted(llava) as asking:
        sample(llava, draws_of(picture, QUESTION), CONFIG)
    with adapter_attached(llava, adapter), counted(llava) as quiet:
        sample(llava, draws_of(picture, QUESTION), CONFIG, request="none")
    assert quiet.requests == []
    assert quiet.prompts == asking.prompts == [1]
