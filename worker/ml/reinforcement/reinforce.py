"""The loop of reinforcement learning: what is visited when, saved states, and what comes out."""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from worker.ml.errors import MlError, Stopped
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import (
    add_new_adapter,
    fill_from,
    read_adapter,
    refuse_folder_of_other_base,
    trainable,
    write_adapter,
)
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory, too_large
from worker.ml.reinforcement.grpo import Grpo, quietly
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.types import (
    ReinforceConfig,
    ReinforceProgress,
    ReinforceReport,
    Rollout,
    Visit,
)
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.state import read_content, replace_folder, write_content
from worker.ml.types import AdapterSettings

OnProgress = Callable[[ReinforceProgress], None]
Environment = Callable[[LiveAdapter], Rollout]
"""Makes the rollout of an adapter that learns, which is on when it is asked and afterwards."""

_FORMAT = 2


def reinforce(
    vlm: Vlm,
    n_items: int,
    environment: Environment,
    config: ReinforceConfig,
    adapter: AdapterSettings,
    *,
    epochs: Sequence[int],
    start_from: Path,
    reference: Path,
    about: str,
    state_dir: Path,
    out_dir: Path,
    on_progress: OnProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ReinforceReport:
    """Teaches an adapter by rewards; writes it to `out_dir`, as peft does.

    Each epoch visits all items once, in an order of its own; epochs: their numbers, which the
    draws' seeds derive from. adapter: what it holds; start_from: the weights to begin with;
    reference: those from which it should not go far. about: all that decides the rewards and that
    is told nowhere else here. state_dir belongs to this call: after a stop or a crash the same call
    goes on from the last generation that was saved there, and ends with the same weights.
    should_stop is asked between generations: state saved, then Stopped; what the rollout raises
    comes out as it is, and the state of the generation before is saved then, too.

    The base weights do not change, and `vlm` comes back as it was, with the adapter that was on.
    Raises AdapterError (start_from or reference do not fit), DeviceError (memory), MlError (no
    items, weights that are not finite).
    """
    if n_items < 1:
        raise MlError("There are no items to draw from. Give the round train items first.")
    plan = plan_visits(n_items, config, epochs)
    mark = _fingerprint(vlm, n_items, config, adapter, epochs, (start_from, reference), about)
    before = vlm.adapter
    attach_adapter(vlm, None)
    try:
        with _own_randomness(vlm), _as_it_was(vlm), quietly():
            run = _Run(vlm, plan, config, adapter, start_from, reference, state_dir, mark)
            try:
                run.go(environment, on_progress, should_stop)
                return run.finish(n_items, out_dir)
            finally:
                run.live.take_off()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise too_large(vlm, config.batch_size) from error
        raise
    finally:
        vlm.adapter = None
        attach_adapter(vlm, before)


def plan_visits(n_items: int, config: ReinforceConfig, epochs: Sequence[int]) -> list[list[Visit]]:
    """Returns the visits of each step. Where items are missing in an epoch's last step, the first
    ones of the epoch are visited once more, with other draws."""
    steps: list[list[Visit]] = []
    size, n_draws = config.items_per_step, config.draws_per_item
    for epoch in epochs:
        order = list(range(n_items))
        random.Random(derive_seed(config.seed, "visits", epoch)).shuffle(order)  # noqa: S311
        n_steps = -(-n_items // size)
        places = [(order[number % n_items], number // n_items) for number in range(n_steps * size)]
        visits = [
            Visit(epoch, item, tuple(range(time * n_draws, (time + 1) * n_draws)))
            for item, time in places
        ]
        steps += [visits[start : start + size] for start in range(0, len(visits), size)]
    return steps


@dataclass
class _State:
    """step: those done. adapter, optimizer: tensors as their owners name them."""

    step: int = 0
    adapter: dict[str, torch.Tensor] | None = None
    optimizer: dict[str, Any] | None = None
    curve: list[ReinforceProgress] = field(default_factory=list)
    seconds: float = 0.0


class _Run:
    """The adapter on the model, its optimizer, and the state that is saved."""

    def __init__(  # noqa: PLR0917 - called in one place
        self,
        vlm: Vlm,
        plan: list[list[Visit]],
        config: ReinforceConfig,
        adapter: AdapterSettings,
        start_from: Path,
        reference: Path,
        state_dir: Path,
        mark: str,
    ) -> None:
        self.vlm, self.plan, self.config = vlm, plan, config
        self.state_dir, self.mark = state_dir, mark
        torch.manual_seed(derive_seed(config.seed, "adapter"))
        self.adapter = fit_adapter(vlm, adapter)
        add_new_adapter(vlm.model, self.adapter)
        for parameter in trainable(vlm.model):  # a half-precision base still learns in float32
            parameter.data = parameter.data.float()
        self.live = LiveAdapter(vlm, state_dir / "live")
        self._fill(reference)
        self.reference = self.live.weights()
        self._fill(start_from)
        self.optimizer = torch.optim.AdamW(
            self.live.parameters, lr=config.learning_rate, weight_decay=0.0
        )
        self.state, self.resumed_from = _State(), None
        found = read_content(state_dir, mark, _FORMAT)
        if found is not None:
            curve = [ReinforceProgress(*values) for values in found.pop("curve")]
            self.state = _State(**found, curve=curve)
            self.resumed_from = self.state.step
            self.live.load(self.state.adapter or {})
            self.optimizer.load_state_dict(self.state.optimizer or {})
        self._saved_at, self._saved_step = time.monotonic(), self.state.step

    def _fill(self, folder: Path) -> None:
        refuse_folder_of_other_base(folder, self.vlm.revision)
        fill_from(self.vlm.model, read_adapter(folder), without=self.adapter.left_out)

    def go(
        self,
        environment: Environment,
        on_progress: OnProgress | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        """Makes the steps that are left."""
        left = self.plan[self.state.step :]
        if not left:
            return
        watch = _Watch(self, on_progress, should_stop)
        trainer = Grpo(
            self.vlm,
            self.live,
            self.reference,
            plan=[visit for step in left for visit in step],
            first_step=self.state.step + 1,
            rollout=environment(self.live),
            config=self.config,
            optimizer=self.optimizer,
            callback=watch,
            folder=self.state_dir / "trl",
        )
        watch.trainer = trainer
        try:
            trainer.train()
        except Stopped:
            if self.state.step > self._saved_step:
                self.live.switch_on()
                self.save()
            raise
        finally:
            trainer.accelerator.free_memory()
        if watch.is_stopped:
            self.save()
            raise Stopped

    def save(self) -> None:
        """Saves everything that the next step depends on."""
        self.state.adapter = self.live.weights()
        self.state.optimizer = self.optimizer.state_dict()
        content = vars(self.state) | {"curve": [astuple(point) for point in self.state.curve]}
        write_content(self.state_dir, content, self.mark, _FORMAT)
        self._saved_at, self._saved_step = time.monotonic(), self.state.step

    def end_step(self, progress: ReinforceProgress, seconds: float) -> None:
        """Takes a step into the state, which is saved at the end of an epoch and now and then."""
        if not np.isfinite([progress.kl, progress.reward]).all():
            raise MlError(
                f"The divergence after step {progress.step} is {progress.kl}. Lower the learning "
                "rate of the reinforcement, or let the divergence weigh more."
            )
        self.state.step = progress.step
        self.state.curve.append(progress)
        self.state.seconds += seconds
        following = self.plan[progress.step : progress.step + 1]
        ends_epoch = not following or following[0][0].epoch != progress.epoch
        if ends_epoch or time.monotonic() - self._saved_at >= self.config.save_every_s:
            self.save()

    def finish(self, n_items: int, out_dir: Path) -> ReinforceReport:
        """Writes the adapter to `out_dir`, whole or not at all."""
        self.live.switch_on()
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(
            out_dir, lambda place: write_adapter(self.vlm.model, place, self.vlm.revision)
        )
        return ReinforceReport(
            n_steps=self.state.step,
            n_items=n_items,
            resumed_from_step=self.resumed_from,
            trainable_parameters=sum(one.numel() for one in self.live.parameters),
            curve=tuple(self.state.curve),
            seconds=self.state.seconds,
        )


class _Watch(TrainerCallback):
    """What is done after each step of trl's trainer."""

    trainer: Grpo

    def __init__(
        self,
        run: _Run,
        on_progress: OnProgress | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._run, self._on_progress, self._should_stop = run, on_progress, should_stop
        self._began = time.monotonic()
        self.is_stopped = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        self._began = time.monotonic()
        return control

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        run, metrics = self._run, self.trainer._metrics["train"]
        step = run.state.step + 1
        rolled = self.trainer.rolled
        progress = ReinforceProgress(
            epoch=run.plan[step - 1][0].epoch,
            step=step,
            n_steps=len(run.plan),
            reward=float(np.mean([one.reward for one in rolled])),
            kl=float(np.mean(metrics["kl"] or [0.0])),
            entropy=float(np.mean(metrics["entropy"])),
            share_alike=float(np.mean(metrics["frac_reward_zero_std"])),
            outcomes=dict(Counter(one.outcome for one in rolled)),
            n_tokens=sum(one.n_tokens for one in rolled),
        )
        metrics.clear()
        run.end_step(progress, time.monotonic() - self._began)
        if self._on_progress is not None:
            self._on_progress(progress)
        if step < len(run.plan) and self._should_stop is not None and self._should_stop():
            self.is_stopped = control.should_training_stop = True
        return control


@contextmanager
def _own_randomness(vlm: Vlm) -> Iterator[None]:
    """Gives the generators of the process back as they were: trl seeds them all."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


@contextmanager
def _as_it_was(vlm: Vlm) -> Iterator[None]:
    """Takes off what trl and accelerate put on the model and the tokenizer."""
    model, tokenizer = vlm.model, vlm.tokenizer
    before = dict(vars(model))
    pads = tokenizer.pad_token, model.config.get_text_config().pad_token_id
    generation_pad = model.generation_config.pad_token_id
    try:
        yield
    finally:
        for name in [name for name in vars(model) if name not in before]:
            delattr(model, name)
        if "forward" in before:
            model.forward = before["forward"]
        tokenizer.pad_token = pads[0]
        model.config.get_text_config().pad_token_id = pads[1]
        model.generation_config.pad_token_id = generation_pad
        model.zero_grad(set_to_none=True)
        model.eval()


def _fingerprint(  # noqa: PLR0917
    vlm: Vlm,
    n_items: int,
    config: ReinforceConfig,
    adapter: AdapterSettings,
    epochs: Sequence[int],
    folders: Sequence[Path],
    about: str,
) -> str:
    settings = asdict(config)
    settings.pop("save_every_s")
    parts = [
        vlm.revision,
        n_items,
        settings,
        asdict(adapter),
        list(epochs),
        [content_digest(folder) for folder in folders],
        about,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
