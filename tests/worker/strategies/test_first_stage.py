"""The stage before a training: stopped and taken up again, it ends with the same weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.models.families import build_llava, write_pictures
from worker.ml.errors import Stopped
from worker.ml.model.adapters import content_digest
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.train import train_lora
from worker.ml.types import (
    PROJECTOR,
    AdapterSettings,
    Example,
    LoraSettings,
    ModuleSettings,
    TrainConfig,
    TrainProgress,
)
from worker.stages.first_stage import after_first_stage, forget_first_stage
from worker.stages.left_out import TrainingInputs
from worker.strategies.self_questioning.dialogues import describing
from worker.train_process import TrainJob

ALONE = AdapterSettings(
    None, modules={"prototypes": ModuleSettings("prototypes", PROJECTOR, {"iterations": 2})}
)
WHOLE = AdapterSettings(LoraSettings(rank=2, dropout=0.0), modules=ALONE.modules)


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder = tmp_path_factory.mktemp("model")
    build_llava(folder)
    return load_vlm(str(folder), device="cpu")


@pytest.fixture
def captions(tmp_path: Path) -> list[Example]:
    said = ("there is a red cube", "there are two balls")
    pictures = write_pictures(tmp_path / "pictures", 2)
    return [describing(picture, text) for picture, text in zip(pictures, said, strict=True)]


def job_in(folder: Path, rows: list[Example], start_from: Path | None = None) -> TrainJob:
    return TrainJob(
        model="",
        revision=None,
        device="cpu",
        dtype="auto",
        threads=1,
        rows=rows,
        validation=[],
        config=TrainConfig(epochs=1, batch_size=1, patience=None, seed=3),
        adapter=WHOLE,
        start_from=start_from,
        state_dir=folder / "train-1",
        out_dir=folder / "train-1" / "adapter",
    )


def inputs_of(first: list[Example]) -> TrainingInputs:
    return TrainingInputs(
        rows=[],
        items=[],
        validation=[],
        validation_items=[],
        n_bytes={},
        parent=None,
        state_name="train-1",
        is_written=[],
        is_of_prior=[],
        first=tuple(first),
    )


def trains(vlm: Vlm, *, n_steps: int | None = None) -> Callable[[TrainJob], object]:
    """Trains a job, and stops after so many steps."""

    def train(job: TrainJob) -> object:
        done: list[TrainProgress] = []
        return train_lora(
            vlm,
            job.rows,
            job.validation,
            job.config,
            job.adapter,
            start_from=job.start_from,
            state_dir=job.state_dir,
            out_dir=job.out_dir,
            on_progress=done.append,
            should_stop=lambda: n_steps is not None and len(done) >= n_steps,
        )

    return train


def test_stopped_or_not_it_ends_the_same_and_the_training_goes_on_from_it(
    vlm: Vlm, captions: list[Example], tmp_path: Path
) -> None:
    data = inputs_of(captions)
    whole = after_first_stage(job_in(tmp_path / "whole", captions), data, 2, ALONE, trains(vlm))
    assert whole.start_from is not None
    job = job_in(tmp_path / "stopped", captions)
    with pytest.raises(Stopped):
        after_first_stage(job, data, 2, ALONE, trains(vlm, n_steps=3))
    for _ in range(2):  # the second time there is nothing left to learn
        resumed = after_first_stage(job, data, 2, ALONE, trains(vlm))
        assert resumed.start_from is not None
        assert content_digest(resumed.start_from) == content_digest(whole.start_from)
    trains(vlm)(resumed)
    assert (job.out_dir / "adapter_model.safetensors").exists()
    assert (job.out_dir / "modules.safetensors").exists()
    forget_first_stage(job.state_dir)
    assert sorted(path.name for path in job.state_dir.parent.iterdir()) == ["train-1"]


def test_an_adapter_that_goes_on_has_no_first_stage(
    vlm: Vlm, captions: list[Example], tmp_path: Path
) -> None:
    job = job_in(tmp_path, captions, start_from=tmp_path / "parent")
    assert after_first_stage(job, inputs_of(captions), 2, ALONE, trains(vlm)) is job
    fresh = job_in(tmp_path, captions)
    assert after_first_stage(fresh, inputs_of([]), 2, ALONE, trains(vlm)) is fresh
