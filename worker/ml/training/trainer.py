"""The objects of one training: model with adapter, optimizer, accelerator; one step at a time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from worker.ml.errors import AdapterError, DeviceError, MlError
from worker.ml.inputs.perceiving import DETACHED, find_perception
from worker.ml.inputs.prompts import PromptStyle
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.contents import (
    adapter_weights,
    add_new_adapter,
    fill_from,
    load_weights,
    read_adapter,
    refuse_folder_of_other_base,
    trainable,
)
from worker.ml.model.loading import Vlm
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.branches import Tree, tree_losses
from worker.ml.training.forwards import cut, find_form
from worker.ml.training.losses import Losses, Scale
from worker.ml.training.requests import cuts_requests
from worker.ml.training.schedule import epoch_batches, learning_rate, steps_per_epoch
from worker.ml.training.sharding import shard_base
from worker.ml.training.state import State
from worker.ml.training.team import Team
from worker.ml.training.unlearning import look_back
from worker.ml.types import AdapterSettings, Example, TrainConfig, TrainProgress


class Trainer:
    """Puts a fresh adapter on `vlm` and trains it. Which step comes next is an argument: the order
    of examples, the learning rate and the random numbers are functions of it and of the seed."""

    def __init__(
        self,
        vlm: Vlm,
        examples: Sequence[Example],
        validation: Sequence[Example],
        *,
        config: TrainConfig,
        adapter: AdapterSettings,
        start_from: Path | None,
        style: PromptStyle,
    ) -> None:
        self.vlm, self.config = vlm, config
        self.examples, self.validation = examples, validation
        self.scale = Scale.of(examples, config.loss_weights)
        self.validation_scale = Scale.of(validation, config.loss_weights)
        self.per_epoch = steps_per_epoch(len(examples), config)
        self._batches: tuple[int, list[list[int]]] = (0, [])  # of the epoch that is under way
        self.n_steps = self.per_epoch * config.epochs
        self.accelerator = _accelerator(vlm, config)
        self.team = Team(self.accelerator)
        torch.manual_seed(derive_seed(config.seed, "adapter"))
        adapter = fit_adapter(vlm, adapter)
        add_new_adapter(vlm.model, adapter)
        if start_from is not None:
            _start_from(vlm, start_from, adapter)
        for parameter in trainable(vlm.model):  # a half-precision base still learns in float32
            parameter.data = parameter.data.float()
        self.is_sharded = config.shard_base and self.team.size > 1
        if self.is_sharded:
            shard_base(vlm, self.accelerator.device, self.team.size)
        self.parameters = trainable(vlm.model)
        self.form = find_form(vlm, examples, config, adapter, style)
        self.are_requests_cut = cuts_requests(vlm, config, find_perception(vlm.model))
        vlm.memo[DETACHED] = self.are_requests_cut
        self._plain_forward = vlm.model.__dict__.get("forward")
        optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        # Not to be wrapped for several processes: the team adds up the gradients.
        self.model = self.accelerator.prepare_model(vlm.model, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        if config.gradient_checkpointing:
            vlm.model.activation_checkpointing_enable({"use_reentrant": False})
            # Only the reentrant kind needs gradients at the embeddings, and they would make the
            # backward pass run through the frozen tower.
            vlm.model.disable_input_require_grads()
        # Before a saved state is taken back: what is said less is compared with how it began.
        self.unlearning = look_back(vlm, self.model, self.form, examples, self.accelerator.autocast)

    def close(self) -> None:
        """Takes off what accelerate and checkpointing put on the model."""
        self.vlm.memo.pop(DETACHED, None)
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
        """Takes back everything that save_into copied."""
        if state.adapter is None or state.optimizer is None:
            return
        load_weights(self.vlm.model, state.adapter)
        self.optimizer.load_state_dict(state.optimizer)
        if state.scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state.scaler)

    def step(self, step: int) -> TrainProgress:
        """Makes optimizer step `step` (from 1): batch_size * gradient_accumulation examples, of
        which each process of the team takes its share. Raises MlError for a loss that is not
        finite, ImageError and PromptError for an example that cannot be given to the model."""
        epoch, place_in_epoch = divmod(step - 1, self.per_epoch)
        if self._batches[0] != epoch + 1:
            self._batches = epoch + 1, epoch_batches(self.examples, self.config, epoch + 1)
        indices = self._batches[1][place_in_epoch]
        rate = learning_rate(self.config, step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = (self.team.number,) if self.team.number else ()
        torch.manual_seed(derive_seed(self.config.seed, "step", step, *own))  # LoRA's dropout
        self.vlm.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        total, n_tokens, means = self._descend(indices)
        self.team.sum_gradients(self.parameters)
        total, n_tokens = self.team.sum([total, n_tokens])
        means.add_up(self.team)
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
            losses=means.by_name(),
            learning_rate=rate,
            n_tokens=round(n_tokens),
        )

    def validation_losses(self) -> tuple[float, dict[str, float]] | None:
        """Returns J over the validation examples and the means that it is made of, in nats per
        token; None without any. Raises as `step` does."""
        if not self.validation:
            return None
        self.vlm.model.eval()
        total, means = 0.0, _Means(self.validation_scale.names)
        n_examples = len(self.validation)
        with torch.no_grad():
            made = self._losses(self.validation, self.validation_scale, range(n_examples))
            for losses, weights, _ in made:
                total += float(self.validation_scale.loss(losses, weights, n_examples))
                means.add(losses, weights)
        total = self.team.sum([total])[0]
        means.add_up(self.team)
        return total, means.by_name()

    def _descend(self, indices: Sequence[int]) -> tuple[float, float, "_Means"]:
        """Backward through this process's share of a step; its part of the loss, its tokens, and
        the means."""
        total, n_tokens, means = 0.0, 0.0, _Means(self.scale.names)
        for losses, weights, n_read in self._losses(self.examples, self.scale, indices):
            loss = self.scale.loss(losses, weights, len(indices))
            self.accelerator.backward(loss)
            total += float(loss.detach())
            n_tokens += n_read
            means.add(losses, weights)
        if means.is_empty:  # fewer items than processes: a gradient of nothing
            self.accelerator.backward(self.parameters[0].sum() * 0.0)
        return total, n_tokens, means

    def _losses(
        self, examples: Sequence[Example], scale: Scale, indices: Sequence[int]
    ) -> Iterator[tuple[Losses, torch.Tensor, int]]:
        """Losses, weights (rows,) and number of tokens of this process's share of some examples,
        one forward at a time."""
        autocast = self.accelerator.autocast
        forwards: Iterable[list[Tree]] = cut(
            self.form, examples, self.team.share(examples, indices), autocast
        )
        n_own = None
        if self.is_sharded:
            forwards = list(forwards)
            n_own = len(forwards)
            spare = forwards[-1:] or list(cut(self.form, examples, [[indices[0]]], autocast))
            forwards += spare[:1] * (self.team.most(n_own) - n_own)
        for number, forward in enumerate(forwards):
            with autocast():
                losses, rows = tree_losses(self.vlm, self.model, forward, scale.names)
                if examples is self.examples:
                    losses = self.unlearning.weigh(losses, forward, rows)
            weights = torch.tensor([examples[row].weight for row in rows], device=self.vlm.device)
            if n_own is None or number < n_own:
                yield losses, weights, sum(tree.row.length for tree in forward)
            else:  # makes a forward that counts nothing: the others need its layers
                yield losses, torch.zeros_like(weights), 0


class _Means:
    """Weighted means of losses, by name, over several forwards and processes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._sums = [0.0] * len(names)
        self._weights = [0.0] * len(names)
        self.is_empty = True

    def add(self, losses: Losses, weights: torch.Tensor) -> None:
        """Takes in the losses of a forward; weights: (rows,), those of the examples."""
        for number in range(len(self._names)):
            self._sums[number] += float((losses.values[number].detach() * weights).sum())
            self._weights[number] += float((losses.counts[number] * weights).sum())
        self.is_empty = False

    def add_up(self, team: Team) -> None:
        """Takes in what the other processes have."""
        values = team.sum([*self._sums, *self._weights])
        self._sums, self._weights = values[: len(self._names)], values[len(self._names) :]

    def by_name(self) -> dict[str, float]:
        """Returns the means in nats per token, of the losses that any part had."""
        found = zip(self._names, self._sums, self._weights, strict=True)
        return {name: total / weight for name, total, weight in found if weight > 0}


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


def _start_from(vlm: Vlm, folder: Path, adapter: AdapterSettings) -> None:
    refuse_folder_of_other_base(folder, vlm.revision)
    try:  # an older adapter may hold LoRA where it never learned anything
        fill_from(vlm.model, read_adapter(folder), without=adapter.left_out)
    except (ValueError, RuntimeError) as error:
        raise AdapterError(
            f"The adapter {folder.name} was trained with other LoRA settings or on another base: "
            f"{error} Use its settings, or start from the base."
        ) from error
