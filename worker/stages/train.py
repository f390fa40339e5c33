"""Fine-tune the model on what was admitted."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from sqlalchemy.orm import Session

from app.kit.settings import get_settings
from app.kit.storage import adapters_folder
from app.models import Adapter
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.training_items import list_manifest
from app.queries.runs import runs as run_queries
from app.queries.runs.failures import MAX_LISTED
from app.run_results import TrainingProgress, TrainingResult, TrainingStep, Validated
from app.services.rounds.moving_on import finish_round_run
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.models import forget_vlm, resolve
from worker.host.pace import TimeLeft
from worker.host.persist import persist
from worker.ml.errors import ImageError, PromptError
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.loading import load_reader
from worker.ml.model.vocabulary import vocabulary_size
from worker.ml.training.readable import find_unusable
from worker.ml.training.train import train_lora
from worker.ml.types import DROPPED, RATIONALE, AdapterSettings, TrainProgress, TrainReport
from worker.stages.base import check_base, load_base, prove_bases
from worker.stages.first_stage import after_first_stage, forget_first_stage
from worker.stages.inputs import (
    RunInputs,
    find_known,
    list_validation,
    load_inputs,
    make_lessons,
    path_of,
    stop_when_lost,
    teach,
)
from worker.stages.left_out import TrainingInputs, leave_out, owner_of
from worker.stages.train_together import count_processes, train_in_processes
from worker.stages.training_settings import adapter_settings, train_config
from worker.strategies import get_procedure
from worker.train_process import TrainJob

logger = logging.getLogger(__name__)

Point = TypeVar("Point")

CURVE_POINTS = 200
"""Points of the loss curve kept with the run: more cannot be told apart on a page."""


def train(run_id: int, attempt: int, heart: Heart) -> None:
    """Trains an adapter for a claimed run; goes on from the state that a former attempt saved.

    A row that cannot be given to the model is found when it is first needed. Then all rows are
    looked at, and the training begins anew with those that can be used: it ends as if the others
    had never been there, however many processes train. Raises AppError where they are too many.
    """
    inputs = persist(lambda session: load_inputs(session, run_id))
    whole = persist(lambda session: load_training(session, inputs))
    if not whole.rows:
        persist(lambda session: _finish_as_it_was(session, inputs, attempt=attempt))
        return
    inputs = prove_bases(inputs, heart)
    should_stop = stop_when_lost(heart)
    n_processes = count_processes(inputs.settings.training.processes, get_settings().device)
    if n_processes > 1:
        forget_vlm()  # a process that does not train must not hold the model either
        check_base(inputs)
    data = _leave_out(whole, whole.list_changed(), inputs, should_stop)
    with heart.pace.counting("tokens"):
        try:
            trained = _train(inputs, data, n_processes, heart)
        except (ImageError, PromptError) as error:
            logger.warning("a row cannot be used, all are looked at: %s", error.message)
            every = range(len(whole.everything))
            data = _leave_out(whole, every, inputs, should_stop)
            trained = _train(inputs, data, n_processes, heart)
    digest, _ = publish_adapter(trained.folder, adapters_folder(), _meta(inputs, data, trained))
    persist(lambda session: _finish(session, inputs, data, trained, attempt=attempt, digest=digest))
    shutil.rmtree(trained.folder.parent, ignore_errors=True)
    forget_first_stage(trained.folder.parent)


@dataclass(frozen=True)
class Trained:
    """A finished training: the folder of its adapter in the folder of its state, what it reports,
    and the content of the base."""

    folder: Path
    report: TrainReport
    revision: str


def _train(inputs: RunInputs, data: TrainingInputs, n_processes: int, heart: Heart) -> Trained:
    """Trains here or in several processes, and tells how far it is."""
    settings, device = inputs.settings, get_settings().device
    state_dir = get_settings().store_path / "state" / data.state_name
    job = TrainJob(
        model=resolve(inputs.base.name),
        revision=inputs.pins.get(inputs.base),
        device="cuda" if device != "cpu" and torch.cuda.is_available() else "cpu",
        dtype=settings.dtype,
        threads=max(1, torch.get_num_threads() // n_processes),
        rows=data.rows,
        validation=data.validation,
        config=train_config(
            settings,
            balance=float(inputs.run.parameters["balance"]),
            unwanted_weight=get_procedure(inputs.strategy.name).unwanted_weight(settings),
        ),
        adapter=_adapter_settings(inputs),
        start_from=adapters_folder() / data.parent[1] if data.parent else None,
        state_dir=state_dir,
        out_dir=state_dir / "adapter",
    )
    should_stop = stop_when_lost(heart)

    def train_job(job: TrainJob, *, is_first: bool = False) -> tuple[TrainReport, str]:
        on_progress = _teller(heart, is_first=is_first)
        if n_processes > 1:
            return train_in_processes(
                job, n_processes, on_progress=on_progress, should_stop=should_stop
            )
        return _train_here(inputs, job, on_progress, should_stop)

    procedure = get_procedure(inputs.strategy.name)
    job = after_first_stage(
        job,
        data,
        procedure.first_epochs(settings, len(data.first)),
        procedure.first_adapter(job.adapter),
        partial(train_job, is_first=True),
    )
    report, revision = train_job(job)
    return Trained(job.out_dir, report, revision)


def _adapter_settings(inputs: RunInputs) -> AdapterSettings:
    """What the adapter of the run's role holds."""
    settings = inputs.settings
    base = resolve(inputs.base.name), inputs.revision_of(inputs.base)
    return get_procedure(inputs.strategy.name).adapt(
        inputs.role,
        adapter_settings(settings.training),
        settings,
        lambda: vocabulary_size(*base),
    )


def _teller(heart: Heart, *, is_first: bool) -> Callable[[TrainProgress], None]:
    """Returns the function that tells the heart of each step. is_first: of a first stage."""
    curve: list[TrainingStep] = []
    time_left = TimeLeft()

    def on_progress(progress: TrainProgress) -> None:
        curve.append(_as_step(progress))
        heart.pace.count(progress.n_tokens)
        heart.report(
            TrainingProgress(
                step=progress.step,
                n_steps=progress.n_steps,
                seconds_left=time_left.estimate(progress.step, progress.n_steps),
                curve=thin(curve),
                is_first_stage=is_first,
            )
        )

    return on_progress


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
        job.adapter,
        start_from=job.start_from,
        state_dir=job.state_dir,
        out_dir=job.out_dir,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return report, vlm.revision


def _leave_out(
    data: TrainingInputs,
    places: Sequence[int],
    inputs: RunInputs,
    should_stop: Callable[[], bool],
) -> TrainingInputs:
    """The inputs without those of these rows that cannot be given to the model."""
    if not places:
        return data
    reader = load_reader(resolve(inputs.base.name), revision=inputs.pins.get(inputs.base))
    rows = [data.everything[place] for place in places]
    found = find_unusable(reader, rows, should_stop=should_stop)
    return leave_out(data, {places[number]: error for number, error in found.items()})


def load_training(session: Session, inputs: RunInputs) -> TrainingInputs:
    """Returns what a training reads, by its manifest: the same for each retry of it."""
    # A retry reads its own manifest if it has one, else that of the run it goes on from.
    chain = runs.list_chain(session, inputs.run)
    manifest, manifest_of = next(
        (found, run.id) for run in chain if (found := list_manifest(session, run.id))
    )
    known = find_known(session, inputs, manifest, manifest_of)
    lessons = make_lessons(manifest, known)
    rows = teach(inputs, manifest, lessons)
    parent_id = inputs.get_models(session, inputs.role).parent_adapter_id
    if inputs.settings.training.start == "restart":
        parent_id = None
    held_out = list_validation(session, inputs.project_id)
    validation = [
        (example, owner_of(row.item))
        for example, row in teach(inputs, held_out, make_lessons(held_out))
    ]
    procedure = get_procedure(inputs.strategy.name)
    return TrainingInputs(
        rows=[example for example, _ in rows],
        items=[owner_of(row.item) for _, row in rows],
        validation=[example for example, _ in validation],
        validation_items=[owner for _, owner in validation],
        n_bytes={path_of(row.image): row.image.n_bytes for row in [*manifest, *held_out]},
        parent=inputs.find_adapter(session, parent_id),
        state_name=f"train-{chain[-1].id}",
        is_written=[row.is_written for _, row in rows],
        is_of_prior=[row.is_of_prior for _, row in rows],
        first=tuple(procedure.first_stage(inputs.role, lessons, inputs.settings)),
        n_boxes=sum(map(len, known.boxes.values())),
        n_untaught_looks=len(known.untaught),
        n_corrected_looks=sum(text is not None for text in known.untaught.values()),
        n_useless_questions=len(known.useless),
    )


def _meta(inputs: RunInputs, data: TrainingInputs, trained: Trained) -> dict[str, object]:
    report = trained.report
    return {
        "base_model": inputs.base.name,
        "base_revision": trained.revision,
        "parent": data.parent[1] if data.parent else None,
        "round": inputs.round_number,
        "seed": inputs.settings.seed,
        "training": inputs.settings.training.model_dump(mode="json"),
        "n_rows": report.n_rows,
        "n_rationale_rows": report.n_parts.get(RATIONALE, 0),
        "n_written_rows": sum(data.is_written),
        **({"n_prior_rows": n_prior} if (n_prior := sum(data.is_of_prior)) else {}),
        **({"n_boxes": data.n_boxes} if data.n_boxes else {}),
        **({"n_untaught_looks": data.n_untaught_looks} if data.n_untaught_looks else {}),
        **({"n_corrected_looks": data.n_corrected_looks} if data.n_corrected_looks else {}),
        **({"n_useless_questions": n} if (n := data.n_useless_questions) else {}),
        **({"n_dropped": n_dropped} if (n_dropped := report.n_parts.get(DROPPED, 0)) else {}),
        "chosen_epoch": report.chosen_epoch,
    }


def _finish_as_it_was(session: Session, inputs: RunInputs, *, attempt: int) -> None:
    """Move the round on without a training: nothing of what was admitted is for this role, whose
    model stays what it was."""
    round_queries.lock_round(session, inputs.round_id)
    run_queries.lock_run(session, inputs.run.id)
    models = inputs.get_models(session, inputs.role)
    models.new_adapter_id = models.parent_adapter_id
    finish_round_run(session, inputs.run.id, attempt=attempt, result=TrainingResult())


def _finish(
    session: Session,
    inputs: RunInputs,
    data: TrainingInputs,
    trained: Trained,
    *,
    attempt: int,
    digest: str,
) -> None:
    """Insert the adapter and move the round on, in one transaction."""
    round_queries.lock_round(session, inputs.round_id)
    run_queries.lock_run(session, inputs.run.id)
    add_adapter(
        session,
        inputs,
        attempt=attempt,
        parent_id=data.parent[0] if data.parent else None,
        revision=trained.revision,
        digest=digest,
        meta=_meta(inputs, data, trained),
    )
    finish_round_run(session, inputs.run.id, attempt=attempt, result=_result(data, trained.report))


def add_adapter(
    session: Session,
    inputs: RunInputs,
    *,
    attempt: int,
    parent_id: int | None,
    revision: str,
    digest: str,
    meta: dict[str, object],
) -> None:
    """Insert the adapter that a run made, and let its role go on from it. `revision` is that of the
    base."""
    adapter = Adapter(
        project_id=inputs.project_id,
        run_id=inputs.run.id,
        run_attempt=attempt,
        parent_id=parent_id,
        base_model=inputs.base.name,
        base_revision=revision,
        digest=digest,
        meta=meta,
    )
    session.add(adapter)
    session.flush()  # the round's row names the new adapter
    inputs.get_models(session, inputs.role).new_adapter_id = adapter.id


def _result(data: TrainingInputs, report: TrainReport) -> TrainingResult:
    return TrainingResult(
        chosen_epoch=report.chosen_epoch,
        epochs_run=report.epochs_run,
        n_steps=report.n_steps,
        n_rows=report.n_rows,
        n_rationale_rows=report.n_parts.get(RATIONALE, 0),
        n_written_rows=sum(data.is_written),
        n_prior_rows=sum(data.is_of_prior),
        n_boxes=data.n_boxes,
        n_untaught_looks=data.n_untaught_looks,
        n_corrected_looks=data.n_corrected_looks,
        n_useless_questions=data.n_useless_questions,
        n_dropped=report.n_parts.get(DROPPED, 0),
        n_first_rows=len(data.first) if data.parent is None else 0,
        are_requests_cut=report.are_requests_cut,
        n_unreadable=sum(entry.n_rows for entry in data.left_out),
        n_left_out=len(data.left_out),
        left_out=data.left_out[:MAX_LISTED],
        trainable_parameters=report.trainable_parameters,
        resumed_from_step=report.resumed_from_step,
        validations=tuple(Validated(**asdict(entry)) for entry in report.validations),
        curve=tuple(_as_step(entry) for entry in thin(report.curve)),
        seconds=round(report.seconds, 2),
    )


def _as_step(progress: TrainProgress) -> TrainingStep:
    return TrainingStep(**asdict(progress))


def thin(curve: Sequence[Point]) -> tuple[Point, ...]:
    """Returns at most CURVE_POINTS entries, evenly spread, the last one among them."""
    if len(curve) <= CURVE_POINTS:
        return tuple(curve)
    step = (len(curve) - 1) / (CURVE_POINTS - 1)
    return tuple(curve[round(index * step)] for index in range(CURVE_POINTS))
