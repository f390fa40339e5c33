"""Trains adapters of several parts: two sets of LoRA of different size and a tuned projector."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.models.families import FAMILIES, write_pictures
from tests.support.models.parts import PROJECTORS, several_parts
from tests.worker.ml.conftest import OPENER
from worker.ml.errors import AdapterError, Stopped
from worker.ml.inputs.prompts import DEFAULT_STYLE, explained
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import adapter_attached
from worker.ml.model.contents import count_gradients, remove_adapters
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.modules.placing import modules_on
from worker.ml.sampling.generate import sample
from worker.ml.training.train import train_lora
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    AdapterSettings,
    Draw,
    Example,
    ModuleSettings,
    Prompt,
    SampleConfig,
    Sampled,
    TrainConfig,
    TrainProgress,
    TrainReport,
)

CONFIG = TrainConfig(epochs=2, batch_size=2, learning_rate=1e-2, patience=None, seed=4)
N_TENSORS = {"llava": (28, 8, 4), "qwen2_5_vl": (28, 4, 5)}


@pytest.fixture(scope="module", params=list(PROJECTORS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def vlm(family: str, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder = tmp_path_factory.mktemp(family)
    FAMILIES[family](folder)
    return load_vlm(str(folder), device="cpu")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    pictures = write_pictures(tmp_path_factory.mktemp("pictures"), 2)
    said = [("red", "the cube is red"), ("two", None)]
    return [
        explained(picture, "what is it ?", answer, why, OPENER)
        for picture, (answer, why) in zip(pictures, said, strict=True)
    ]


def train(
    vlm: Vlm, rows: list[Example], folder: Path, settings: AdapterSettings, **more: Any
) -> TrainReport:
    config = more.pop("config", CONFIG)
    return train_lora(
        vlm,
        rows,
        rows,
        config,
        settings,
        start_from=more.pop("start_from", None),
        state_dir=folder / "state",
        out_dir=folder / "adapter",
        **more,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.relative_to(folder)}: {name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def stop_after(n_steps: int) -> tuple[Callable[[TrainProgress], None], Callable[[], bool]]:
    done: list[int] = []
    return lambda progress: done.append(progress.step), lambda: len(done) >= n_steps


def test_gradients_reach_every_tensor_of_every_part(
    family: str, vlm: Vlm, rows: list[Example]
) -> None:
    trainer = Trainer(
        vlm,
        rows,
        [],
        config=replace(CONFIG, batch_size=1),
        adapter=several_parts(family),
        start_from=None,
        style=DEFAULT_STYLE,
    )
    try:
        for step in (1, 2):  # A learns from the second step on: B begins at zero
            trainer.step(step)
        found = count_gradients(vlm.model)
    finally:
        trainer.close()
        remove_adapters(vlm.model)
    assert list(found) == ["", "sets/tower", "modules/projector"]
    assert list(found.values()) == [(n, n) for n in N_TENSORS[family]]


def test_all_parts_learn_are_counted_written_and_leave_the_base_alone(
    family: str, vlm: Vlm, rows: list[Example], tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}
    report = train(vlm, rows, tmp_path, several_parts(family))
    after = vlm.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    found = weights(tmp_path / "adapter")
    assert report.trainable_parameters == sum(tensor.numel() for tensor in found.values())
    assert all(tensor.any() for name, tensor in found.items() if "lora_B" in name)
    tuned = {name: t for name, t in found.items() if name.startswith("modules.safetensors")}
    place = PROJECTORS[family]
    for name, tensor in tuned.items():
        own = before[f"{place}.{name.partition('projector/')[2]}"]
        assert not torch.equal(tensor, own), name
    assert report.curve[-1].loss < report.curve[0].loss


def test_stopped_and_resumed_is_as_if_never_stopped(
    family: str, vlm: Vlm, rows: list[Example], tmp_path: Path
) -> None:
    settings = several_parts(family)
    config = replace(CONFIG, batch_size=1)
    train(vlm, rows, tmp_path / "whole", settings, config=config)
    on_progress, should_stop = stop_after(3)
    with pytest.raises(Stopped):
        train(
            vlm,
            rows,
            tmp_path / "torn",
            settings,
            config=config,
            on_progress=on_progress,
            should_stop=should_stop,
        )
    report = train(vlm, rows, tmp_path / "torn", settings, config=config)
    assert report.resumed_from_step == 3
    digests = {content_digest(tmp_path / name / "adapter") for name in ("whole", "torn")}
    assert len(digests) == 1


def test_one_goes_on_from_an_adapter_that_holds_some_of_the_parts(
    family: str, vlm: Vlm, rows: list[Example], tmp_path: Path
) -> None:
    settings = several_parts(family)
    first_stage = AdapterSettings(None, {}, settings.modules)
    train(vlm, rows, tmp_path / "one", first_stage)
    parent = tmp_path / "one" / "adapter"
    slow = replace(CONFIG, epochs=1, learning_rate=1e-9)
    train(vlm, rows, tmp_path / "two", settings, config=slow, start_from=parent)
    tuned = [load_file(tmp_path / n / "adapter" / "modules.safetensors") for n in ("one", "two")]
    assert all(torch.allclose(tuned[0][name], tuned[1][name], atol=1e-6) for name in tuned[0])
    whole = tmp_path / "two" / "adapter"
    with pytest.raises(AdapterError, match="left over"):
        train(vlm, rows, tmp_path / "three", first_stage, start_from=whole)
    other = replace(
        settings, modules={"projector": ModuleSettings("tuned", another_place(vlm, family))}
    )
    with pytest.raises(AdapterError, match="is another one there"):
        train(vlm, rows, tmp_path / "four", other, start_from=whole)
    with adapter_attached(vlm, whole):
        assert vlm.adapter == whole


def another_place(vlm: Vlm, family: str) -> str:
    """Returns a part of the projector."""
    name = PROJECTORS[family]
    return next(
        f"{name}.{child}"
        for child, module in vlm.model.get_submodule(name).named_children()
        if any(True for _ in module.parameters())
    )


def test_a_base_of_half_precision_has_its_modules_tuned_in_float32(
    family: str, rows: list[Example], vlm: Vlm, tmp_path: Path
) -> None:
    half = load_vlm(vlm.name, device="cpu", dtype="bfloat16")
    report = train(half, rows, tmp_path, several_parts(family))
    assert {tensor.dtype for tensor in weights(tmp_path / "adapter").values()} == {torch.float32}
    assert all(entry.loss is not None for entry in report.validations)
    assert half.dtype is torch.bfloat16
    with adapter_attached(half, tmp_path / "adapter"):
        tuned = modules_on(half.model)["projector"].weights()
        assert {tensor.dtype for tensor in tuned.values()} == {torch.float32}
        prompt = Prompt(rows[0].image or Path(), "what is it ?", None, OPENER)
        (said,) = sample(half, [Draw(prompt, 0.7, 1)], SampleConfig(max_new_tokens=4))
        assert isinstance(said, Sampled)
