"""Training a LoRA adapter, resumable at every step."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from worker.ml.adapters import content_digest
from worker.ml.encode import RowEncoder
from worker.ml.errors import AdapterError, DeviceError, MlError, Stopped
from worker.ml.loading import Vlm, attach_adapter
from worker.ml.lora import (
    adapter_weights,
    add_new_adapter,
    load_weights,
    read_adapter,
    remove_adapters,
    trainable,
    write_adapter,
)
from worker.ml.losses import RowLosses, Scale, make_examples, row_losses
from worker.ml.prompts import DEFAULT_STYLE, PromptStyle
from worker.ml.schedule import epoch_batches, learning_rate, steps_per_epoch
from worker.ml.seeds import derive_seed
from worker.ml.state import State, fingerprint, load_state, replace_folder, save_state
from worker.ml.types import (
    LoraSettings,
    TrainConfig,
    TrainProgress,
    TrainReport,
    TrainRow,
    Validation,
)

logger = logging.getLogger(__name__)

Validate = Callable[[Vlm, int], float]


def train_lora(
    vlm: Vlm,
    rows: Sequence[TrainRow],
    validation: Sequence[TrainRow],
    config: TrainConfig,
    lora: LoraSettings,
    *,
    start_from: Path | None,
    state_dir: Path,
    out_dir: Path,
    on_progress: Callable[[TrainProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    validate: Validate | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> TrainReport:
    """Trains an adapter on `rows` and writes that of the best epoch to `out_dir` (peft's format).

    The loss is the paper's (losses.py). start_from: an adapter to go on from, made with the same
    LoRA settings; None starts from the base. validation rows (or `validate(vlm, epoch)`, higher is
    better; it may sample from `vlm` but must not swap its adapter) choose the epoch; without
    either the last is taken. state_dir belongs to this training: after a stop or a crash the same
    call goes on from there and ends with the same weights; the caller removes it when done.
    on_progress after each step; should_stop is asked before each step: state saved, then Stopped.

    The base weights do not change, and `vlm` comes back as it was, with the adapter that was on.
    Raises AdapterError (start_from does not fit), DeviceError (memory), MlError (no rows, image).
    """
    if not rows:
        raise MlError("There are no rows to train on. Admit at least one rationale first.")
    mark = fingerprint(
        vlm.revision, rows, validation, config=config, lora=lora, start_from=start_from
    )
    before = vlm.adapter
    attach_adapter(vlm, None)
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            trainer = _Trainer(
                vlm, rows, validation, config=config, lora=lora, start_from=start_from, style=style
            )
            try:
                return trainer.run(
                    state_dir,
                    out_dir,
                    mark,
                    on_progress=on_progress,
                    should_stop=should_stop,
                    validate=validate,
                )
            finally:
                trainer.close()
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"The {vlm.device.type} memory does not hold a batch of {config.batch_size} rows. "
            "Lower batch_size and raise gradient_accumulation by the same factor (the result is "
            "the same), or switch gradient_checkpointing on."
        ) from error
    finally:
        remove_adapters(vlm.model)
        vlm.adapter = None
        attach_adapter(vlm, before)


class _Trainer:
    """The objects of one call. The position is `state.step` alone: order, learning rate and random
    numbers are functions of it."""

    def __init__(
        self,
        vlm: Vlm,
        rows: Sequence[TrainRow],
        validation: Sequence[TrainRow],
        *,
        config: TrainConfig,
        lora: LoraSettings,
        start_from: Path | None,
        style: PromptStyle,
    ) -> None:
        self.vlm, self.rows, self.validation, self.config = vlm, rows, validation, config
        self.style = style
        self.encoder = RowEncoder(vlm)
        factor = config.rationale_weight * config.balance
        self.scale = Scale.of(rows, factor)
        self.validation_scale = Scale.of(validation, factor)
        self.per_epoch = steps_per_epoch(len(rows), config)
        self.n_steps = self.per_epoch * config.epochs
        self.state = State()
        torch.manual_seed(derive_seed(config.seed, "adapter"))
        add_new_adapter(vlm.model, lora)
        if start_from is not None:
            _start_from(vlm, start_from)
        for parameter in trainable(vlm.model):  # a half-precision base still learns in float32
            parameter.data = parameter.data.float()
        self.parameters = trainable(vlm.model)
        self._plain_forward = vlm.model.__dict__.get("forward")
        self.accelerator = _accelerator(vlm, config)
        optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.model, self.optimizer = self.accelerator.prepare(vlm.model, optimizer)
        if config.gradient_checkpointing:
            vlm.model.gradient_checkpointing_enable({"use_reentrant": False})

    def close(self) -> None:
        """Takes off what accelerate and checkpointing put on the model."""
        if self.config.gradient_checkpointing:
            self.vlm.model.gradient_checkpointing_disable()
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self._plain_forward is None:
            self.vlm.model.__dict__.pop("forward", None)
        self.vlm.model.zero_grad(set_to_none=True)
        self.vlm.model.eval()
        self.accelerator.free_memory()

    def run(
        self,
        state_dir: Path,
        out_dir: Path,
        mark: str,
        *,
        on_progress: Callable[[TrainProgress], None] | None,
        should_stop: Callable[[], bool] | None,
        validate: Validate | None,
    ) -> TrainReport:
        resumed = self._resume(state_dir, mark)
        saved_at, saved_step = time.monotonic(), self.state.step
        while not self.state.finished:
            if should_stop is not None and should_stop():
                self._save(state_dir, mark)
                raise Stopped
            began = time.monotonic()
            progress = self._step()
            self.state.curve.append(progress)
            self.state.seconds += time.monotonic() - began
            if on_progress is not None:
                on_progress(progress)
            if self.state.step % self.per_epoch == 0:
                self._end_epoch(state_dir, validate)
                due = True
            else:
                every = self.config.save_every_steps
                due = time.monotonic() - saved_at >= self.config.save_every_s or (
                    every is not None and self.state.step - saved_step >= every
                )
            if due:
                self._save(state_dir, mark)
                saved_at, saved_step = time.monotonic(), self.state.step
        return self._finish(state_dir, out_dir, resumed)

    def _resume(self, state_dir: Path, mark: str) -> int | None:
        found = load_state(state_dir, mark)
        if found is None:
            shutil.rmtree(state_dir, ignore_errors=True)
            return None
        self.state = found
        if found.adapter is not None and found.optimizer is not None:
            load_weights(self.vlm.model, found.adapter)
            self.optimizer.load_state_dict(found.optimizer)
            if found.scaler is not None and self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(found.scaler)
        logger.info("Training goes on from step %d of %d.", found.step, self.n_steps)
        return found.step

    def _save(self, state_dir: Path, mark: str) -> None:
        self.state.adapter = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in adapter_weights(self.vlm.model).items()
        }
        self.state.optimizer = self.optimizer.state_dict()
        scaler = self.accelerator.scaler
        self.state.scaler = scaler.state_dict() if scaler is not None else None
        save_state(state_dir, self.state, mark)

    def _step(self) -> TrainProgress:
        """One optimizer step over batch_size * gradient_accumulation rows."""
        step = self.state.step + 1
        epoch = 1 + self.state.step // self.per_epoch
        indices = epoch_batches(self.rows, self.config, epoch)[self.state.step % self.per_epoch]
        rate = learning_rate(self.config, step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive_seed(self.config.seed, "step", step))  # LoRA's dropout
        self.vlm.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        micro = [
            indices[start : start + self.config.batch_size]
            for start in range(0, len(indices), self.config.batch_size)
        ]
        total, means = 0.0, _Means()
        for place, part in enumerate(micro):
            syncs = place == len(micro) - 1
            with nullcontext() if syncs else self.accelerator.no_sync(self.model):
                losses, weights = self._losses(self.rows, part)
                loss = self.scale.loss(losses, weights, len(indices))
                self.accelerator.backward(loss)
            total += float(loss.detach())
            means.add(losses, weights)
        if self.config.max_grad_norm > 0:
            self.accelerator.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        self.optimizer.step()
        self.state.step = step
        return TrainProgress(
            epoch=epoch,
            step=step,
            n_steps=self.n_steps,
            loss=total,
            answer_loss=means.answer or 0.0,
            rationale_loss=means.rationale,
            learning_rate=rate,
        )

    def _losses(
        self, rows: Sequence[TrainRow], indices: Sequence[int]
    ) -> tuple[RowLosses, torch.Tensor]:
        """Losses and weights of some rows, both in the order of `indices`."""
        examples = [
            example
            for index in indices
            for example in make_examples(self.vlm, self.encoder, rows[index], index, self.style)
        ]
        with self.accelerator.autocast():
            losses = row_losses(self.vlm, self.model, examples)
        weights = torch.tensor([rows[index].weight for index in indices], device=self.vlm.device)
        return losses, weights

    def _end_epoch(self, state_dir: Path, validate: Validate | None) -> None:
        """Keeps the epoch's adapter, measures it, and decides whether there is a next epoch."""
        epoch = self.state.step // self.per_epoch
        folder = _epoch_folder(state_dir, epoch)
        folder.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(folder, lambda f: write_adapter(self.vlm.model, f, self.vlm.revision))
        self.vlm.model.eval()
        measured = self._validation_losses()
        loss = measured[0] if measured else None
        if validate is not None:
            self.vlm.adapter = folder
            score = float(validate(self.vlm, epoch))
        else:
            score = -loss if loss is not None else float(epoch)  # without a measure: the last
        self.state.validations.append(
            Validation(
                epoch=epoch,
                score=score,
                loss=loss,
                answer_loss=measured[1] if measured else None,
                rationale_loss=measured[2] if measured else None,
            )
        )
        patience = self.config.patience
        tired = patience is not None and epoch - self._best_epoch() >= patience
        self.state.finished = epoch == self.config.epochs or tired

    def _validation_losses(self) -> tuple[float, float, float | None] | None:
        """(J, mean answer loss, mean rationale loss) over the validation rows; None without any."""
        if not self.validation:
            return None
        total, means = 0.0, _Means()
        n_rows = len(self.validation)
        with torch.no_grad():
            for start in range(0, n_rows, self.config.batch_size):
                part = range(start, min(start + self.config.batch_size, n_rows))
                losses, weights = self._losses(self.validation, part)
                total += float(self.validation_scale.loss(losses, weights, n_rows))
                means.add(losses, weights)
        return total, means.answer or 0.0, means.rationale

    def _best_epoch(self) -> int:
        """The epoch with the highest score; the earlier one of equals. A NaN is never the best."""
        best = self.state.validations[0]
        for found in self.state.validations[1:]:
            if found.score > best.score or math.isnan(best.score):
                best = found
        return best.epoch

    def _finish(self, state_dir: Path, out_dir: Path, resumed: int | None) -> TrainReport:
        chosen = self._best_epoch()
        source = _epoch_folder(state_dir, chosen)
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(out_dir, lambda f: _copy(source, f))
        epochs_run = len(self.state.validations)
        return TrainReport(
            chosen_epoch=chosen,
            n_steps=self.state.step,
            epochs_run=epochs_run,
            stopped_early=epochs_run < self.config.epochs,
            resumed_from_step=resumed,
            n_rows=len(self.rows),
            n_rationale_rows=sum(1 for row in self.rows if row.rationale),
            trainable_parameters=sum(p.numel() for p in self.parameters),
            validations=tuple(self.state.validations),
            curve=tuple(self.state.curve),
            seconds=self.state.seconds,
        )


class _Means:
    """Weighted means of the rows' losses over several micro-batches."""

    def __init__(self) -> None:
        self._sums = [0.0, 0.0]
        self._weights = [0.0, 0.0]

    def add(self, losses: RowLosses, weights: torch.Tensor) -> None:
        with_rationale = weights * losses.has_rationale
        for kind, (values, own) in enumerate(
            ((losses.answer, weights), (losses.rationale, with_rationale))
        ):
            self._sums[kind] += float((values.detach() * own).sum())
            self._weights[kind] += float(own.sum())

    @property
    def answer(self) -> float | None:
        return self._mean(0)

    @property
    def rationale(self) -> float | None:
        return self._mean(1)

    def _mean(self, kind: int) -> float | None:
        return self._sums[kind] / self._weights[kind] if self._weights[kind] > 0 else None


def _accelerator(vlm: Vlm, config: TrainConfig) -> Accelerator:
    """An accelerator for this device and number type. accelerate keeps its choice for the whole
    process; a worker trains with other settings later, so the choice is forgotten first."""
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state(reset_partial_state=True)
    own = {torch.bfloat16: "bf16", torch.float16: "fp16"}
    by_name = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
    precision = by_name.get(config.dtype) or own.get(vlm.dtype, "no")
    if precision == "fp16" and vlm.device.type == "cpu":
        raise DeviceError("A CPU does not train in float16. Use float32 or bfloat16.")
    settings: dict[str, Any] = {"mixed_precision": precision, "device_placement": False}
    return Accelerator(cpu=vlm.device.type == "cpu", **settings)


def _start_from(vlm: Vlm, folder: Path) -> None:
    _, weights = read_adapter(folder)
    try:
        load_weights(vlm.model, weights)
    except (ValueError, RuntimeError) as error:
        raise AdapterError(
            f"The adapter {folder.name} was trained with other LoRA settings or another base: "
            f"{error} Use its settings, or start from the base."
        ) from error


def _epoch_folder(state_dir: Path, epoch: int) -> Path:
    return state_dir / "epochs" / f"{epoch:04d}"


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir() or not content_digest(source):
        raise AdapterError(f"The adapter of the chosen epoch is gone from {source}; train again.")
    shutil.copytree(source, target, dirs_exist_ok=True)
