"""Sampling and training on the device that DEVICE names, held to the processor and to `generate`.

In `make test` that is the processor itself; benchmarks/on_gpu.sh runs the same tests on a GPU.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.sampling import demo_items
from benchmarks.support.llava import save_images, save_llava, words
from worker.host.models import DEMO_CHECKPOINT
from worker.ml.errors import Stopped
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import explained, prompt_text
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.sampling.generate import sample
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.train import train_lora
from worker.ml.types import (
    Draw,
    Example,
    LoraSettings,
    Prompt,
    SampleConfig,
    TrainConfig,
    TrainProgress,
    TrainReport,
)

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

OPENER = ", seeing that"
N_NEW_TOKENS = 24
TRAINING = TrainConfig(
    epochs=3, batch_size=4, learning_rate=2e-3, warmup_share=0.05, patience=None, seed=4
)
LORA = LoraSettings(rank=4, dropout=0.0)


@pytest.fixture(scope="module")
def device() -> str:
    return os.environ.get("DEVICE") or "cpu"


@pytest.fixture(scope="module")
def demo(device: str) -> Vlm:
    return load_vlm(str(DEMO_CHECKPOINT), device=device, dtype="float32")


@pytest.fixture(scope="module")
def demo_on_cpu() -> Vlm:
    return load_vlm(str(DEMO_CHECKPOINT), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> list[Prompt]:
    images, texts = demo_items(tmp_path_factory.mktemp("scenes"), 8)
    return [
        Prompt(image, question, answer, OPENER)
        for image, (question, answer) in zip(images, texts, strict=True)
    ]


@pytest.fixture(scope="module")
def rows(prompts: list[Prompt]) -> list[Example]:
    """Half of them with a rationale."""
    return [
        explained(p.image, p.question, str(p.answer), "it is there" if n % 2 else None, OPENER)
        for n, p in enumerate(prompts)
    ]


def generated(vlm: Vlm, prompt: Prompt) -> str:
    """The text that the model's own greedy `generate` continues the prompt with."""
    row = encoder_of(vlm).row(prompt.image, prompt_text(vlm, prompt))
    ids = torch.cat([row.text["input_ids"], torch.tensor([row.continuation])], dim=1)
    made = vlm.model.generate(
        input_ids=ids.to(vlm.device),
        attention_mask=torch.ones_like(ids).to(vlm.device),
        **{name: tensor.to(vlm.device) for name, tensor in row.image.items()},
        do_sample=False,
        max_new_tokens=N_NEW_TOKENS,
    )
    text: str = vlm.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
    return " ".join(text.split())


def test_greedy_texts_are_those_of_generate(demo: Vlm, prompts: list[Prompt]) -> None:
    draws = [Draw(prompt, 0.0, 1) for prompt in prompts]
    ours = [s.text for s in sample(demo, draws, SampleConfig(max_new_tokens=N_NEW_TOKENS))]
    assert ours == [generated(demo, prompt) for prompt in prompts]
    assert len(set(ours)) > 1


def test_drawn_texts_are_those_of_the_processor(
    demo: Vlm,
    demo_on_cpu: Vlm,
    prompts: list[Prompt],
    record_property: Callable[[str, object], None],
) -> None:
    """The same seeds on another device: rounding may move one choice in a thousand, not more."""
    draws = [
        Draw(prompt, temperature, derive_seed(place, repr(temperature), number))
        for place, prompt in enumerate(prompts)
        for temperature in (0.1, 0.6, 0.9)
        for number in range(4)
    ]
    config = SampleConfig(max_new_tokens=N_NEW_TOKENS)
    here, there = sample(demo, draws, config), sample(demo_on_cpu, draws, config)
    differ = sum(one.text != other.text for one, other in zip(here, there, strict=True))
    record_property("texts", len(draws))
    record_property("differ", differ)
    assert differ <= len(draws) // 50
    alike = [(a, b) for a, b in zip(here, there, strict=True) if a.text == b.text]
    for one, other in alike:
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-2)


def train(
    vlm: Vlm, rows: list[Example], folder: Path, config: TrainConfig = TRAINING, **more: Any
) -> TrainReport:
    return train_lora(
        vlm,
        rows,
        [],
        config,
        LORA,
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
        **more,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def losses(report: TrainReport) -> list[float]:
    return [progress.loss for progress in report.curve]


@pytest.fixture(scope="module")
def trained_on_cpu(
    demo_on_cpu: Vlm, rows: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainReport]:
    folder = tmp_path_factory.mktemp("on-cpu")
    return folder, train(demo_on_cpu, rows, folder)


def assert_same_training(
    folder: Path, report: TrainReport, expected: tuple[Path, TrainReport]
) -> None:
    there, other = expected
    assert losses(report) == pytest.approx(losses(other), abs=2e-3)
    for name, tensor in weights(folder).items():
        torch.testing.assert_close(tensor, weights(there)[name], atol=2e-3, rtol=0)


def test_training_is_that_of_the_processor(
    demo: Vlm, rows: list[Example], tmp_path: Path, trained_on_cpu: tuple[Path, TrainReport]
) -> None:
    report = train(demo, rows, tmp_path)
    assert losses(report)[-1] < losses(report)[0], "it learned something"
    assert_same_training(tmp_path, report, trained_on_cpu)


def test_a_training_that_is_stopped_and_resumed_ends_alike(
    demo: Vlm, rows: list[Example], tmp_path: Path, trained_on_cpu: tuple[Path, TrainReport]
) -> None:
    done: list[TrainProgress] = []
    with pytest.raises(Stopped):
        train(demo, rows, tmp_path, on_progress=done.append, should_stop=lambda: len(done) >= 3)
    assert not (tmp_path / "adapter").exists()
    report = train(demo, rows, tmp_path)
    assert report.resumed_from_step == 3
    assert_same_training(tmp_path, report, trained_on_cpu)


def test_sampling_stops_when_it_is_told_to(demo: Vlm, prompts: list[Prompt]) -> None:
    draws = [Draw(prompt, 0.6, 1) for prompt in prompts]
    config = SampleConfig(max_new_tokens=N_NEW_TOKENS)
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 5

    with pytest.raises(Stopped):
        sample(demo, draws, config, should_stop=should_stop)
    assert len(sample(demo, draws, config)) == len(draws)


@pytest.fixture(scope="module")
def wide(device: str, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    """A model with 32,000 words: a thousand rows of its logits are 130 MB."""
    folder = tmp_path_factory.mktemp("wide")
    return load_vlm(str(save_llava(folder, "small")), device=device, dtype="float32")


@pytest.fixture
def little_memory(wide: Vlm, device: str) -> Iterator[int]:
    """Memory for some of the rows of one batch, not for all; their number. On a GPU what torch may
    take is limited, so that the allocator itself says no; the processor has more than can be filled
    in a test, so that a hook says it in its place."""
    if device == "cpu":
        n_rows = 32

        def refuse(_: Any, __: Any, inputs: dict[str, Any]) -> None:
            if len(inputs["input_ids"]) > n_rows // 2:
                raise torch.OutOfMemoryError("Tried to allocate 20 GiB.")

        hook = wide.model.register_forward_pre_hook(refuse, with_kwargs=True)
        yield n_rows
        hook.remove()
        return
    number = wide.device.index or 0
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved(number) + 200 * 2**20
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info(number)[1], number)
    yield 1024
    torch.cuda.set_per_process_memory_fraction(1.0, number)
    torch.cuda.empty_cache()


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    wide: Vlm,
    little_memory: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    image = save_images(tmp_path, 1)[0]
    prompt = Prompt(image, words(8, 1), words(1, 2), OPENER)
    draws = [Draw(prompt, 0.9, seed) for seed in range(little_memory)]
    config = SampleConfig(max_new_tokens=4)
    made = sample(wide, draws, replace(config, batch_rows=little_memory))
    fitting = wide.memo.pop("batch_rows")
    record_property("rows_asked", little_memory)
    record_property("rows_that_fitted", fitting)
    assert 1 <= fitting < little_memory
    few = sample(wide, draws[:8], replace(config, batch_rows=8))
    assert [s.text for s in made[:8]] == [s.text for s in few]
