"""The stage of a training that some strategies want before everything else, of fresh adapters."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from worker.ml.types import AdapterSettings
from worker.stages.left_out import TrainingInputs
from worker.train_process import TrainJob

_SUFFIX = "-first"


def after_first_stage(
    job: TrainJob,
    data: TrainingInputs,
    epochs: int,
    adapter: AdapterSettings,
    train: Callable[[TrainJob], object],
) -> TrainJob:
    """Returns the job as it goes on from the first stage, which is trained here; the job itself
    where there is none, or where its adapter is no fresh one. adapter: what learns in it.

    A loss that counts nothing in the job counts as much as an answer here: what leads attention is
    the matter of this stage. A retry goes on from where the stage was, and it ends the same.
    """
    if not data.first or job.start_from is not None:
        return job
    folder = _folder(job.state_dir)
    first = replace(
        job,
        rows=list(data.first),
        validation=[],
        config=replace(job.config, epochs=epochs, loss_weights={}, patience=None),
        adapter=adapter,
        state_dir=folder,
        out_dir=folder / "adapter",
    )
    train(first)
    return replace(job, start_from=first.out_dir)


def forget_first_stage(state_dir: Path) -> None:
    """Removes what the first stage of a finished training left."""
    shutil.rmtree(_folder(state_dir), ignore_errors=True)


def _folder(state_dir: Path) -> Path:
    return state_dir.with_name(f"{state_dir.name}{_SUFFIX}")
