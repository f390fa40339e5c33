"""Adapters in memory: switched without reading their files, to the bit what a fresh load gives."""

import os
from pathlib import Path

import pytest
import torch

from tests.worker.ml.conftest import OPENER
from worker.ml.errors import AdapterError
from worker.ml.model.attached import adapter_attached, attach_adapter, forget_unused
from worker.ml.model.contents import (
    adapter_weights,
    add_new_adapter,
    remove_adapters,
    write_adapter,
)
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.sampling.generate import sample
from worker.ml.training.train import train_lora
from worker.ml.types import Draw, Example, LoraSettings, Prompt, SampleConfig, TrainConfig

# The second adapts what the model sees, too, and other modules than the first.
SETTINGS = (LoraSettings(), LoraSettings(rank=4, targets=("q_proj", "fc1"), tower=True, dora=True))


@pytest.fixture
def vlm(llava_folder: Path) -> Vlm:
    return load_vlm(str(llava_folder), device="cpu")


@pytest.fixture
def adapters(vlm: Vlm, tmp_path: Path) -> list[Path]:
    folders = []
    for number, settings in enumerate(SETTINGS):
        torch.manual_seed(number)
        add_new_adapter(vlm.model, settings)
        with torch.no_grad():
            for tensor in adapter_weights(vlm.model).values():
                tensor.normal_(std=0.2)
        folders.append(tmp_path / f"adapter-{number}")
        write_adapter(vlm.model, folders[-1], vlm.revision)
        remove_adapters(vlm.model)
    return folders


def say(vlm: Vlm, pictures: list[Path]) -> list[object]:
    """What is sampled, with the probabilities to the last bit."""
    draws = [
        Draw(Prompt(picture, "what is it ?", answer, OPENER), 0.8, number)
        for number, picture in enumerate(pictures)
        for answer in (None, "red")
    ]
    return [*sample(vlm, draws, SampleConfig(max_new_tokens=6))]


def make_unreadable(folder: Path) -> None:
    """Only a second look into the files could tell: their lengths and times stay as they were."""
    for path in folder.iterdir():
        found = path.stat()
        path.write_bytes(bytes(found.st_size))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def train(vlm: Vlm, rows: list[Example], folder: Path, start_from: Path | None) -> list[float]:
    report = train_lora(
        vlm,
        rows,
        rows,
        TrainConfig(epochs=1, batch_size=2),
        SETTINGS[0],
        start_from=start_from,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
    )
    return [step.loss for step in report.curve]


def test_one_adapter_then_another_then_the_first_are_those_of_fresh_loads(
    vlm: Vlm,
    llava_folder: Path,
    adapters: list[Path],
    pictures: list[Path],
    rows: list[Example],
    tmp_path: Path,
) -> None:
    fresh = []
    for folder in (None, *adapters):
        fresh.append(
            say(attach_adapter(load_vlm(str(llava_folder), device="cpu"), folder), pictures)
        )
    trained = train(load_vlm(str(llava_folder), device="cpu"), rows, tmp_path / "a", None)
    base, first, second = fresh
    assert base != first != second

    for folder in adapters:
        attach_adapter(vlm, folder)
    for folder in adapters:
        make_unreadable(folder)
    assert say(attach_adapter(vlm, adapters[0]), pictures) == first
    assert say(attach_adapter(vlm, adapters[1]), pictures) == second
    assert train(vlm, rows, tmp_path / "b", None) == trained
    assert vlm.adapter == adapters[1]
    assert say(vlm, pictures) == second
    with adapter_attached(vlm, adapters[0]):
        assert say(vlm, pictures) == first
    assert say(attach_adapter(vlm, None), pictures) == base
    assert train(vlm, rows, tmp_path / "c", None) == trained
    assert say(attach_adapter(vlm, adapters[0]), pictures) == first


def test_an_adapter_written_anew_is_read_anew(
    vlm: Vlm, adapters: list[Path], pictures: list[Path]
) -> None:
    before = say(attach_adapter(vlm, adapters[0]), pictures)
    attach_adapter(vlm, None)
    weights = adapters[0] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    os.utime(weights, ns=(1, 1))
    assert say(attach_adapter(vlm, adapters[0]), pictures) != before
    make_unreadable(adapters[0])
    os.utime(weights, ns=(2, 2))
    with pytest.raises(AdapterError, match="no adapter that can be read"):
        attach_adapter(vlm, adapters[0])
    assert vlm.adapter is None
    assert list(vlm.held) == []


def test_the_adapters_used_longest_ago_are_dropped_first(
    vlm: Vlm, adapters: list[Path], tmp_path: Path
) -> None:
    third = tmp_path / "third"
    third.mkdir()
    for path in adapters[0].iterdir():
        (third / path.name).write_bytes(path.read_bytes())
    for folder in (*adapters, third, adapters[0]):
        attach_adapter(vlm, folder)
    assert list(vlm.held) == [adapters[1], third, adapters[0]]
    size = vlm.held[third].adapter.n_bytes
    assert size == sum(t.numel() * 4 for t in adapter_weights(vlm.model).values()) > 0
    forget_unused(vlm, max_bytes=2 * size)
    assert list(vlm.held) == [third, adapters[0]]
    forget_unused(vlm, max_bytes=0)
    assert list(vlm.held) == [adapters[0]]
    assert vlm.adapter == adapters[0]
    make_unreadable(third)
    with pytest.raises(AdapterError, match="no adapter that can be read"):
        attach_adapter(vlm, third)
