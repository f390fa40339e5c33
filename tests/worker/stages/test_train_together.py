"""Several real processes that train one adapter: the same as one, and nothing half done."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder
from app.lifecycle import Job, RoundStatus
from app.models import Adapter, Round, Run
from tests.support.models.families import build_llava, write_pictures
from tests.support.models.parts import several_parts
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.ml.errors import DeviceError, MlError, PromptError, Stopped
from worker.ml.inputs.prompts import explained
from worker.ml.model.loading import load_vlm
from worker.ml.training.train import train_lora
from worker.ml.types import AdapterSettings, LoraSettings, TrainConfig, TrainProgress, TrainReport
from worker.stages.train_together import count_processes, train_in_processes
from worker.train_process import TrainJob

CONFIG = TrainConfig(
    epochs=2, batch_size=4, learning_rate=5e-3, loss_weights={"rationale": 2.0}, patience=None
)
WHY = ("the cube is red", "there are two balls and a large cone", None, "no", None, None, "yes")
SEVERAL = replace(several_parts("llava"), lora=LoraSettings(rank=2, dropout=0.0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def job(model: Path, tmp_path: Path) -> TrainJob:
    """Seven rows, two rationales of one item among them: no two processes get the same amount."""
    pictures = write_pictures(tmp_path / "pictures", 6)
    rows = [
        explained(pictures[max(0, place - 1)], "what is it ?", "red", why, ", seeing that")
        for place, why in enumerate(WHY)
    ]
    return TrainJob(
        model=str(model),
        revision=None,
        device="cpu",
        dtype="auto",
        threads=1,
        rows=rows,
        validation=rows[:3],
        config=CONFIG,
        adapter=AdapterSettings(LoraSettings(rank=2, dropout=0.0)),
        start_from=None,
        state_dir=tmp_path / "state",
        out_dir=tmp_path / "adapter",
    )


def train_alone(job: TrainJob, folder: Path) -> TrainReport:
    return train_lora(
        load_vlm(job.model, device="cpu"),
        job.rows,
        job.validation,
        job.config,
        job.adapter,
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of all parts of an adapter, by file and name."""
    files = sorted(folder.rglob("*.safetensors"))
    return {
        f"{path.relative_to(folder)}: {name}": tensor
        for path in files
        for name, tensor in load_file(path).items()
    }


def assert_same_training(one: TrainReport, other: TrainReport, here: Path, there: Path) -> None:
    assert len(one.curve) == len(other.curve) == 4
    for ours, theirs in zip(one.curve, other.curve, strict=True):
        assert (ours.step, ours.epoch, ours.n_steps) == (theirs.step, theirs.epoch, theirs.n_steps)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-4)
        assert ours.n_tokens == theirs.n_tokens > 0
        assert ours.losses == pytest.approx(theirs.losses, abs=1e-4)
    for ours, theirs in zip(one.validations, other.validations, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    expected, made = weights(there), weights(here)
    assert made.keys() == expected.keys()
    for name, tensor in made.items():
        assert torch.allclose(tensor, expected[name], atol=1e-3), name


@pytest.mark.slow
def test_two_processes_train_as_one(job: TrainJob, tmp_path: Path) -> None:
    job = replace(job, adapter=SEVERAL)
    expected = train_alone(job, tmp_path / "alone")
    seen: list[TrainProgress] = []
    report, revision = train_in_processes(
        job, 2, on_progress=seen.append, should_stop=lambda: False
    )
    assert tuple(seen) == report.curve
    assert revision == load_vlm(job.model, device="cpu").revision
    assert_same_training(report, expected, job.out_dir, tmp_path / "alone" / "adapter")


@pytest.mark.slow
def test_stopped_together_and_gone_on_with_alone(job: TrainJob, tmp_path: Path) -> None:
    expected = train_alone(job, tmp_path / "alone")
    seen: list[TrainProgress] = []
    with pytest.raises(Stopped):
        train_in_processes(job, 2, on_progress=seen.append, should_stop=lambda: len(seen) >= 1)
    assert not job.out_dir.exists()
    assert (job.state_dir / "state.pt").is_file()
    report = train_alone(job, job.state_dir.parent)
    assert report.resumed_from_step == len(seen)
    assert_same_training(report, expected, job.out_dir, tmp_path / "alone" / "adapter")


@pytest.mark.slow
def test_more_processes_than_items_train_as_one(job: TrainJob, tmp_path: Path) -> None:
    job = replace(job, rows=job.rows[:5], config=replace(CONFIG, batch_size=3))
    expected = train_alone(job, tmp_path / "alone")
    report, _ = train_in_processes(job, 3, on_progress=lambda _: None, should_stop=lambda: False)
    assert_same_training(report, expected, job.out_dir, tmp_path / "alone" / "adapter")


@pytest.mark.slow
def test_a_base_spread_over_processes_trains_as_a_whole_one(job: TrainJob, tmp_path: Path) -> None:
    job = replace(job, adapter=SEVERAL)
    """The processes get different numbers of forwards, and one of them none in the last step."""
    config = replace(CONFIG, batch_size=3, shard_base=True, gradient_checkpointing=True)
    job = replace(job, rows=[*job.rows[:3], job.rows[3]], config=config)
    expected = train_alone(job, tmp_path / "alone")
    report, _ = train_in_processes(job, 2, on_progress=lambda _: None, should_stop=lambda: False)
    assert_same_training(report, expected, job.out_dir, tmp_path / "alone" / "adapter")


def child_with_rank(number: int) -> int:
    """The process of ours that trains under that number."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for pid in map(int, children):
        if f"RANK={number}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
            return pid
    raise AssertionError("no such process")


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_next_attempt_goes_on(
    job: TrainJob, tmp_path: Path
) -> None:
    job = replace(job, config=replace(CONFIG, save_every_steps=1))
    pids: list[int] = []

    def kill(progress: TrainProgress) -> None:
        if progress.step == 2:
            pids.extend(child_with_rank(number) for number in (0, 1))
            os.kill(pids[1], signal.SIGKILL)

    with pytest.raises(MlError, match=r"Process 2 of 2 of the training was ended by SIGKILL"):
        train_in_processes(job, 2, on_progress=kill, should_stop=lambda: False)
    assert not job.out_dir.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    report, _ = train_in_processes(job, 2, on_progress=lambda _: None, should_stop=lambda: False)
    assert report.resumed_from_step is not None
    assert report.resumed_from_step >= 1
    expected = train_alone(replace(job, config=CONFIG), tmp_path / "alone")
    assert_same_training(report, expected, job.out_dir, tmp_path / "alone" / "adapter")


@pytest.mark.slow
def test_what_one_process_cannot_do_is_told_in_its_words(job: TrainJob) -> None:
    image = job.rows[-1].image
    assert image is not None
    image.write_bytes(b"no picture")
    with pytest.raises(PromptError, match="cannot be read"):
        train_in_processes(job, 2, on_progress=lambda _: None, should_stop=lambda: False)
    assert not job.out_dir.exists()


@pytest.mark.slow
def test_a_round_trains_in_two_processes(
    database: sessionmaker[Session], model: Path, tmp_path: Path
) -> None:
    training = {"source": "gold", "epochs": 1, "batch_size": 4, "rank": 2, "processes": 2}
    settings = tiny_settings(model, training=training)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert [run.error for run in session.scalars(select(Run)) if run.error] == []
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        run = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        assert run.result is not None
        assert [point["step"] for point in run.result["curve"]] == [1, 2, 3]
        adapter = session.scalars(select(Adapter)).one()
        assert adapter_folder(adapter.digest).is_dir()


def test_a_job_is_the_same_after_the_way_through_its_file(job: TrainJob) -> None:
    named = AdapterSettings(LoraSettings(targets=("q_proj",), left_out=("vision.top",)))
    parts = several_parts("llava")
    others = [replace(job, adapter=adapter) for adapter in (parts, replace(parts, lora=None))]
    for given in (job, replace(job, adapter=named, start_from=Path("adapter")), *others):
        assert TrainJob.from_json(given.to_json()) == given


@pytest.mark.parametrize(
    ("wanted", "device", "n_gpus", "expected"),
    [
        (None, "auto", 0, 1),
        (None, "auto", 4, 4),
        (None, "cuda", 2, 2),
        (None, "cuda:1", 4, 1),
        (None, "cpu", 4, 1),
        (3, "cpu", 0, 3),
        (2, "auto", 4, 2),
        (1, "cuda:1", 4, 1),
    ],
)
def test_how_many_processes(
    monkeypatch: pytest.MonkeyPatch, wanted: int | None, device: str, n_gpus: int, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    assert count_processes(wanted, device) == expected


@pytest.mark.parametrize(("wanted", "device"), [(4, "auto"), (2, "cuda:0")])
def test_more_processes_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: int, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match="processes"):
        count_processes(wanted, device)
