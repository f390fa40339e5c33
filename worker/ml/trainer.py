"""The objects of one training: model with adapter, optimizer, accelerator; one step at a time."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from worker.ml.encode import encoder_of
from worker.ml.errors import AdapterError, DeviceError, MlError
from worker.ml.loading import Vlm
from worker.ml.lora import (
    adapter_weights,
    add_new_adapter,
    load_weights,
    read_adapter,
    trainable,
)
from worker.ml.losses import RowLosses, Scale, make_examples, row_losses
from worker.ml.prompts import PromptStyle
from worker.ml.schedule import epoch_batches, learning_rate, steps_per_epoch
from worker.ml.seeds import derive_seed
from worker.ml.state import State
from worker.ml.types import LoraSettings, TrainConfig, TrainProgress, TrainRow


class Trainer:
    """Puts a fresh adapter on `vlm` and trains it. Which step comes next is an argument: the order
    of rows, the learning rate and the random numbers are functions of it and of the seed."""

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
        self.encoder = encoder_of(vlm)
        factor = config.rationale_weight * config.balance
        self.scale = Scale.of(rows, factor)
        self.validation_scale = Scale.of(validation, factor)
        self.per_epoch = steps_per_epoch(len(rows), config)
        self.n_steps = self.per_epoch * config.epochs
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
            vlm.model.activation_checkpointing_enable({"use_reentrant": False})
            # Only the reentrant kind needs gradients at the embeddings, and they would make the
            # backward pass run through the frozen tower.
            vlm.model.disable_input_require_grads()

    def close(self) -> None:
        """Takes off what accelerate and checkpointing put on the model."""
        if self.config.gradient_checkpointing:
            self.vlm.model.activation_checkpointing_disable()
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self._plain_forward is None:
            self.vlm.model.__dict__.pop("forward", None)
        self.vlm.model.zero_grad(set_to_none=True)
        self.vlm.model.eval()
        self.accelerator.free_memory()

    def save_into(self, state: State) -> None:
        """Copies everything that the next step depends on."""
        state.adapter = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in adapter_weights(self.vlm.model).items()
        }
        state.optimizer = self.optimizer.state_dict()
        scaler = self.accelerator.scaler
        state.scaler = scaler.state_dict() if scaler is not None else None

    def restore(self, state: State) -> None:
        """The opposite of save_into."""
        if state.adapter is None or state.optimizer is None:
            return
        load_weights(self.vlm.model, state.adapter)
        self.optimizer.load_state_dict(state.optimizer)
        if state.scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state.scaler)

    def step(self, step: int) -> TrainProgress:
        """Makes optimizer step `step` (from 1): batch_size * gradient_accumulation rows."""
        epoch, place_in_epoch = divmod(step - 1, self.per_epoch)
        indices = epoch_batches(self.rows, self.config, epoch + 1)[place_in_epoch]
        rate = learning_rate(self.config, step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive_seed(self.config.seed, "step", step))  # LoRA's dropout
        self.vlm.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        size = self.config.batch_size
        parts = [indices[start : start + size] for start in range(0, len(indices), size)]
        total, means = 0.0, _Means()
        for part in parts:
            with nullcontext() if part is parts[-1] else self.accelerator.no_sync(self.model):
                losses, weights = self._losses(self.rows, part)
                loss = self.scale.loss(losses, weights, len(indices))
                self.accelerator.backward(loss)
            total += float(loss.detach())
            means.add(losses, weights)
        if not math.isfinite(total) and self.accelerator.scaler is None:
            raise MlError(
                f"The loss of step {step} is {total}. Lower the learning rate, or train in float32."
            )
        if self.config.max_grad_norm > 0:
            self.accelerator.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        self.optimizer.step()
        return TrainProgress(
            epoch=epoch + 1,
            step=step,
            n_steps=self.n_steps,
            loss=total,
            answer_loss=means.answer or 0.0,
            rationale_loss=means.rationale,
            learning_rate=rate,
        )

    def validation_losses(self) -> tuple[float, float, float | None] | None:
        """(J, mean answer loss, mean rationale loss) over the validation rows; None without any."""
        if not self.validation:
            return None
        self.vlm.model.eval()
        total, means = 0.0, _Means()
        n_rows = len(self.validation)
        with torch.no_grad():
            for start in range(0, n_rows, self.config.batch_size):
                part = range(start, min(start + self.config.batch_size, n_rows))
                losses, weights = self._losses(self.validation, part)
                total += float(self.validation_scale.loss(losses, weights, n_rows))
                means.add(losses, weights)
        return total, means.answer or 0.0, means.rationale

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
            f"The adapter {folder.name} was trained with other LoRA settings or on another base: "
            f"{error} Use its settings, or start from the base."
        ) from error
