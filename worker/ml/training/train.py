"""Training a LoRA adapter: the loop over steps and epochs, resumable at every step."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from worker.ml.errors import AdapterError, MlError, Stopped
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import remove_adapters, write_adapter
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory, too_large
from worker.ml.training.losses import count_parts
from worker.ml.training.state import (
    State,
    epoch_folder,
    fingerprint,
    forget_state,
    load_state,
    replace_folder,
    save_state,
)
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    AdapterSettings,
    Example,
    LoraSettings,
    TrainConfig,
    TrainProgress,
    TrainReport,
    Validation,
)

logger = logging.getLogger(__name__)

OnProgress = Callable[[TrainProgress], None]
Validate = Callable[[Vlm, int], float]


def train_lora(
    vlm: Vlm,
    examples: Sequence[Example],
    validation: Sequence[Example],
    config: TrainConfig,
    adapter: LoraSettings | AdapterSettings,
    *,
    start_from: Path | None,
    state_dir: Path,
    out_dir: Path,
    on_progress: OnProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
    validate: Validate | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> TrainReport:
    """Trains an adapter on `examples`; writes that of the best epoch to `out_dir`, as peft does.

    What is descended is J of losses.py. adapter: what it holds, one set of LoRA or several things;
    all of it learns. start_from: an adapter to go on from, made with the same settings; what it
    does not hold begins afresh; None starts from the base. validation (or `validate(vlm, epoch)`,
    higher is better; it may sample from `vlm` but must not swap its adapter) chooses the epoch;
    without either the last is taken. state_dir belongs to this training: after a stop or a crash
    the same call goes on from there and ends with the same weights; the caller removes it when
    done. on_progress after each step; should_stop is asked before each step: state saved, then
    Stopped.

    Several processes of torch.distributed train together, each calling this with the same
    arguments (team.py); the first of them writes the files, and one that should stop stops all.

    The base weights do not change, and `vlm` comes back as it was, with the adapter that was on.
    Raises AdapterError (start_from does not fit), DeviceError (memory), ImageError and PromptError
    (an example that cannot be given to the model, when it is first needed), MlError (no examples, a
    loss that is not finite).
    """
    if not examples:
        raise MlError("There are no rows to train on. Admit at least one rationale first.")
    holds = AdapterSettings.of(adapter)
    mark = fingerprint(
        vlm.revision, examples, validation, config=config, adapter=holds, start_from=start_from
    )
    before = vlm.adapter
    attach_adapter(vlm, None)
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            trainer = Trainer(
                vlm,
                examples,
                validation,
                config=config,
                adapter=holds,
                start_from=start_from,
                style=style,
            )
            try:
                loop = _Loop(trainer, state_dir, mark)
                loop.run(on_progress, should_stop, validate)
            finally:
                trainer.close()
        return loop.finish(out_dir)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise too_large(vlm, config.batch_size) from error
        raise
    finally:
        remove_adapters(vlm.model)
        vlm.adapter = None
        attach_adapter(vlm, before)


class _Loop:
    """Steps, saved states, epochs, and the choice among them. The position is `state.step`."""

    def __init__(self, trainer: Trainer, state_dir: Path, mark: str) -> None:
        self.trainer, self.state_dir, self.mark = trainer, state_dir, mark
        found = load_state(state_dir, mark)
        trainer.team.wait()  # until all have read what the first may now remove
        if found is None and trainer.team.leads:
            forget_state(state_dir)
        if found is not None:
            trainer.restore(found)
            logger.info("Training goes on from step %d of %d.", found.step, trainer.n_steps)
        self.state = found or State()
        self.resumed_from = found.step if found is not None else None
        self._saved_at, self._saved_step = time.monotonic(), self.state.step

    def run(
        self,
        on_progress: OnProgress | None,
        should_stop: Callable[[], bool] | None,
        validate: Validate | None,
    ) -> None:
        team = self.trainer.team
        while not self.state.finished:
            if team.any(should_stop is not None and should_stop()):
                self._save()
                raise Stopped
            began = time.monotonic()
            progress = self.trainer.step(self.state.step + 1)
            self.state.step = progress.step
            self.state.curve.append(progress)
            ends_epoch = progress.step % self.trainer.per_epoch == 0
            if ends_epoch:
                self._end_epoch(progress.epoch, validate)
            self.state.seconds += time.monotonic() - began
            if ends_epoch or self._save_is_due():
                self._save()
            if on_progress is not None and team.leads:
                on_progress(progress)

    def _save_is_due(self) -> bool:
        config = self.trainer.config
        every = config.save_every_steps
        return time.monotonic() - self._saved_at >= config.save_every_s or (
            every is not None and self.state.step - self._saved_step >= every
        )

    def _save(self) -> None:
        if not self.trainer.team.leads:
            return
        self.trainer.save_into(self.state)
        save_state(self.state_dir, self.state, self.mark)
        self._saved_at, self._saved_step = time.monotonic(), self.state.step

    def _end_epoch(self, epoch: int, validate: Validate | None) -> None:
        """Keeps the epoch's adapter, measures it, and decides whether there is a next epoch."""
        vlm, config, team = self.trainer.vlm, self.trainer.config, self.trainer.team
        folder = epoch_folder(self.state_dir, epoch)
        if team.leads:
            folder.parent.mkdir(parents=True, exist_ok=True)
            replace_folder(folder, lambda place: write_adapter(vlm.model, place, vlm.revision))
        team.wait()
        measured = self.trainer.validation_losses()
        loss, losses = measured or (None, {})
        if validate is not None:
            vlm.model.eval()
            vlm.adapter = folder
            score = float(validate(vlm, epoch))
        else:
            score = -loss if loss is not None else float(epoch)  # without a measure: the last
        self.state.validations.append(
            Validation(epoch=epoch, score=score, loss=loss, losses=losses)
        )
        patience = config.patience
        tired = patience is not None and epoch - self.best_epoch() >= patience
        self.state.finished = epoch == config.epochs or tired

    def best_epoch(self) -> int:
        """Returns the epoch with the highest score, the earlier one of equals; a NaN is never the
        best.
        """
        best = self.state.validations[0]
        for found in self.state.validations[1:]:
            if found.score > best.score or math.isnan(best.score):
                best = found
        return best.epoch

    def finish(self, out_dir: Path) -> TrainReport:
        """Writes the best epoch's adapter to `out_dir`, whole or not at all."""
        chosen = self.best_epoch()
        source = epoch_folder(self.state_dir, chosen)
        if not source.is_dir():
            raise AdapterError(
                f"The adapter of epoch {chosen} is gone from {source.parent.parent}. Remove that "
                "folder and train again."
            )
        team = self.trainer.team
        if team.leads:
            out_dir.parent.mkdir(parents=True, exist_ok=True)
            replace_folder(out_dir, lambda place: _copy(source, place))
        team.wait()
        examples, state = self.trainer.examples, self.state
        return TrainReport(
            chosen_epoch=chosen,
            n_steps=state.step,
            epochs_run=len(state.validations),
            stopped_early=len(state.validations) < self.trainer.config.epochs,
            resumed_from_step=self.resumed_from,
            n_rows=len(examples),
            n_parts=count_parts(examples),
            trainable_parameters=sum(p.numel() for p in self.trainer.parameters),
            validations=tuple(state.validations),
            curve=tuple(state.curve),
            seconds=state.seconds,
            are_requests_cut=self.trainer.are_requests_cut,
        )


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
