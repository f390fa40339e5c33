"""Fine-tune the model on what was admitted."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from sqlalchemy.orm import Session

from app.kit.settings import get_settings
from app.kit.storage import adapters_folder, image_path
from app.lifecycle import Split
from app.models import Adapter, Image, Item
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.training_items import list_items, list_manifest
from app.queries.runs import runs as run_queries
from app.queries.runs.failures import MAX_LISTED
from app.round_settings import LoopSettings
from app.services.rounds import rounds
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.models import forget_vlm, resolve
from worker.host.pace import TimeLeft
from worker.host.persist import persist
from worker.ml.inputs.encode import encoder_of
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.loading import load_reader
from worker.ml.training.readable import find_unusable
from worker.ml.training.train import train_lora
from worker.ml.types import TrainConfig, TrainProgress, TrainReport, TrainRow
from worker.stages.base import check_base, load_base, prove_base
from worker.stages.inputs import RunInputs, load_inputs, stop_when_lost
from worker.stages.left_out import TrainingInputs, leave_out, owner_of
from worker.stages.lora_settings import lora_settings
from worker.stages.train_together import count_processes, train_in_processes
from worker.train_process import TrainJob

logger = logging.getLogger(__name__)

CURVE_POINTS = 200
"""Points of the loss curve kept with the run: more cannot be told apart on a page."""
MAX_VALIDATION_ROWS = 512


def train(run_id: int, attempt: int, heart: Heart) -> None:
    """Train an adapter for a claimed run; resumes from the state a former attempt saved."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    data = persist(lambda session: _load_training(session, inputs))
    inputs = prove_base(inputs, heart)
    settings = inputs.settings
    device = get_settings().device
    n_processes = count_processes(settings.training.processes, device)
    should_stop = stop_when_lost(heart)
    if n_processes > 1:
        forget_vlm()
        check_base(inputs)
    data = _usable(data, inputs, alone=n_processes == 1, should_stop=should_stop)
    state_dir = get_settings().store_path / "state" / data.state_name
    curve: list[dict[str, Any]] = []

    time_left = TimeLeft()

    def on_progress(progress: TrainProgress) -> None:
        curve.append(asdict(progress))
        heart.pace.count(progress.n_tokens)
        heart.report(
            {
                "step": progress.step,
                "n_steps": progress.n_steps,
                "seconds_left": time_left.estimate(progress.step, progress.n_steps),
                "curve": thin(curve),
            }
        )

    job = TrainJob(
        model=resolve(settings.base_model),
        revision=inputs.pinned,
        device="cuda" if device != "cpu" and torch.cuda.is_available() else "cpu",
        dtype=settings.dtype,
        threads=max(1, torch.get_num_threads() // n_processes),
        rows=data.rows,
        validation=data.validation,
        config=train_config(settings, balance=float(inputs.run.parameters["balance"])),
        lora=lora_settings(settings.training),
        start_from=adapters_folder() / data.parent[1] if data.parent else None,
        state_dir=state_dir,
        out_dir=state_dir / "adapter",
    )
    with heart.pace.counting("tokens"):
        if n_processes > 1:
            report, revision = train_in_processes(
                job, n_processes, on_progress=on_progress, should_stop=should_stop
            )
        else:
            report, revision = _train_here(inputs, job, on_progress, should_stop)
    digest, _ = publish_adapter(
        state_dir / "adapter", adapters_folder(), _meta(inputs, data, revision, report)
    )
    persist(lambda session: _finish(session, inputs, attempt, data, revision, digest, report))
    shutil.rmtree(state_dir, ignore_errors=True)


def _train_here(
    inputs: RunInputs,
    job: TrainJob,
    on_progress: Callable[[TrainProgress], None],
    should_stop: Callable[[], bool],
) -> tuple[TrainReport, str]:
    """In this process, on the model that it holds."""
    vlm = load_base(inputs, None)
    report = train_lora(
        vlm,
        job.rows,
        job.validation,
        job.config,
        job.lora,
        start_from=job.start_from,
        state_dir=job.state_dir,
        out_dir=job.out_dir,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return report, vlm.revision


def _usable(
    data: TrainingInputs,
    inputs: RunInputs,
    *,
    alone: bool,
    should_stop: Callable[[], bool],
) -> TrainingInputs:
    """Without the rows that the model's processor cannot take. Where this process will not train
    alone, it must not hold the model either."""
    if alone:
        vlm = load_base(inputs, None)
        find = partial(find_unusable, vlm, encoder=encoder_of(vlm), should_stop=should_stop)
    else:
        reader = load_reader(resolve(inputs.settings.base_model), revision=inputs.pinned)
        find = partial(find_unusable, reader, should_stop=should_stop)
    return leave_out(data, find([*data.rows, *data.validation]))


def _load_training(session: Session, inputs: RunInputs) -> TrainingInputs:
    opener = inputs.settings.sampling.openers[0]
    # A retry reads its own manifest if it has one, else that of the run it goes on from.
    chain = runs.list_chain(session, inputs.run)
    manifest = next(found for run in chain if (found := list_manifest(session, run.id)))
    rows = [
        TrainRow(
            image=image_path(image.sha256, image.media_type),
            question=item.question,
            answer=item.answer,
            rationale=text,
            opener=opener,
            weight=weight,
        )
        for item, image, text, weight, _ in manifest
    ]
    parent_id = round_queries.get_round_model(session, inputs.round_id).parent_adapter_id
    if inputs.settings.training.start == "restart":
        parent_id = None
    validation = _list_validation(session, inputs.project_id)
    return TrainingInputs(
        rows=rows,
        items=[owner_of(item) for item, *_ in manifest],
        validation=[_validation_row(item, image, opener) for item, image in validation],
        validation_items=[owner_of(item) for item, _ in validation],
        parent=inputs.find_adapter(session, parent_id),
        state_name=f"train-{chain[-1].id}",
        is_written=[is_written for *_, is_written in manifest],
    )


def _list_validation(session: Session, project_id: int) -> list[tuple[Item, Image]]:
    """The validation items that a training looks at, each of which becomes one row."""
    item_ids = round_queries.list_usable_item_ids(
        session, project_id, Split.VALIDATION, limit=MAX_VALIDATION_ROWS
    )
    return list_items(session, item_ids)


def _validation_row(item: Item, image: Image, opener: str) -> TrainRow:
    """With the first gold rationale of the item, where there is one."""
    return TrainRow(
        image=image_path(image.sha256, image.media_type),
        question=item.question,
        answer=item.answer,
        rationale=item.gold_rationales[0] if item.gold_rationales else None,
        opener=opener,
    )


def train_config(settings: LoopSettings, *, balance: float) -> TrainConfig:
    training = settings.training
    return TrainConfig(
        epochs=training.epochs,
        batch_size=training.batch_size,
        gradient_accumulation=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        warmup_share=training.warmup_share,
        weight_decay=training.weight_decay,
        rationale_weight=training.rationale_weight,
        balance=balance,
        seed=settings.seed,
        dtype=settings.dtype,
        patience=training.patience,
        gradient_checkpointing=training.gradient_checkpointing,
        feature_cache_mb=training.feature_cache_mb,
        shard_base=training.shard_base,
    )


def _meta(
    inputs: RunInputs, data: TrainingInputs, revision: str, report: TrainReport
) -> dict[str, object]:
    return {
        "base_model": inputs.settings.base_model,
        "base_revision": revision,
        "parent": data.parent[1] if data.parent else None,
        "round": inputs.round_number,
        "seed": inputs.settings.seed,
        "training": inputs.settings.training.model_dump(mode="json"),
        "n_rows": report.n_rows,
        "n_rationale_rows": report.n_rationale_rows,
        "n_written_rows": sum(data.is_written),
        "chosen_epoch": report.chosen_epoch,
    }


def _finish(  # noqa: PLR0917 - one transaction needs all of them
    session: Session,
    inputs: RunInputs,
    attempt: int,
    data: TrainingInputs,
    revision: str,
    digest: str,
    report: TrainReport,
) -> None:
    """Insert the adapter and move the round on, in one transaction."""
    round_queries.lock_round(session, inputs.round_id)
    run_queries.lock_run(session, inputs.run.id)
    adapter = Adapter(
        project_id=inputs.project_id,
        run_id=inputs.run.id,
        run_attempt=attempt,
        parent_id=data.parent[0] if data.parent else None,
        base_model=inputs.settings.base_model,
        base_revision=revision,
        digest=digest,
        meta=_meta(inputs, data, revision, report),
    )
    session.add(adapter)
    session.flush()  # the round's row names the new adapter
    round_queries.get_round_model(session, inputs.round_id).new_adapter_id = adapter.id
    rounds.finish_round_run(
        session,
        inputs.run.id,
        attempt=attempt,
        result={
            "chosen_epoch": report.chosen_epoch,
            "epochs_run": report.epochs_run,
            "n_steps": report.n_steps,
            "n_rows": report.n_rows,
            "n_rationale_rows": report.n_rationale_rows,
            "n_written_rows": sum(data.is_written),
            "n_unreadable": sum(entry.n_rows for entry in data.left_out),
            "n_left_out": len(data.left_out),
            "left_out": [asdict(entry) for entry in data.left_out[:MAX_LISTED]],
            "trainable_parameters": report.trainable_parameters,
            "resumed_from_step": report.resumed_from_step,
            "validations": [asdict(entry) for entry in report.validations],
            "curve": thin([asdict(entry) for entry in report.curve]),
            "seconds": round(report.seconds, 2),
        },
    )


def thin(curve: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most CURVE_POINTS entries, evenly spread, the last one among them."""
    if len(curve) <= CURVE_POINTS:
        return list(curve)
    step = (len(curve) - 1) / (CURVE_POINTS - 1)
    return [curve[round(index * step)] for index in range(CURVE_POINTS)]
