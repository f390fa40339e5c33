"""trl's GRPOTrainer (Shao et al. 2024, arXiv 2402.03300) on sequences that this program made.

trl plans generations, asks for their rewards, makes advantages of them, and has loss, clipping and
the optimizer's step. Five things are ours, for these reasons:

- what is sampled, by `rollout_func`: several models talk, and texts depend on their own seeds only;
- the log probabilities: in our sequences a piece that the model said is followed by what was put
  there, and the end token that it said is not there. Such a place asks for the end token in place
  of the token that stands there; trl's own forward asks for the token that stands there always. It
  also knows pictures of conversations only, and multiplies with the weights of the output layer,
  which an adapter may have put another one in front of;
- the advantages where parts of a draw earned something by themselves (credit.py): trl has one for
  a whole draw;
- the reference of the KL: the adapter as it was when it began, whatever it consists of. Of a model
  that is no `PeftModel` trl would load the base once more and take that;
- saved states: those of transformers hold the whole base, and which step comes next is decided by
  them. Here it is an argument (`reinforce.py`), so that a run that is broken off ends as another.

It also reports to its makers which models are trained; this one does not.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from worker.ml.inputs.encode import encoder_of, end_ids
from worker.ml.inputs.frozen_tower import encoder_for_sampling
from worker.ml.inputs.prompts import DEFAULT_STYLE, frame_of
from worker.ml.model.contents import Weights, adapts_vision
from worker.ml.model.loading import Vlm
from worker.ml.reinforcement.credit import advantages_by_part, in_columns
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.scores import Row, Scores, score
from worker.ml.reinforcement.types import ReinforceConfig, Rolled, Rollout, Visit
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.losses import Encoded, encode_example


class Grpo(GRPOTrainer):
    """Learns from the draws of a plan of visits, a generation to a step."""

    def __init__(
        self,
        vlm: Vlm,
        live: LiveAdapter,
        reference: Weights,
        *,
        plan: Sequence[Visit],
        first_step: int,
        rollout: Rollout,
        config: ReinforceConfig,
        optimizer: torch.optim.Optimizer,
        callback: TrainerCallback,
        folder: Path,
    ) -> None:
        """plan: the visits of all steps that are left, the first of which is `first_step`."""
        self.vlm, self.live, self.reference = vlm, live, reference
        self.plan, self.first_step = plan, first_step
        self.rollout, self.reinforce_config = rollout, config
        self.rolled: list[Rolled] = []
        self._encoded: list[Encoded | None] = []
        self._told: list[Row] = []
        self._rows: list[int] | None = None  # those of the batch that is under way; None: all
        self._end = end_ids(vlm, frame_of(vlm, "").end)[0]
        if getattr(vlm.model, "is_quantized", False):
            vlm.model._hf_peft_config_loaded = True  # or packed weights are taken for what learns
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        super().__init__(
            model=vlm.model,
            reward_funcs=_given,
            args=_arguments(vlm, config, folder),
            train_dataset=Dataset.from_dict({"prompt": [str(place) for place in range(len(plan))]}),
            processing_class=vlm.tokenizer,
            callbacks=[callback],
            optimizers=(optimizer, constant),
            rollout_func=lambda prompts, _: self._roll(prompts),
        )
        self.remove_callback(PrinterCallback)
        if config.kl_weight:
            self.beta = config.kl_weight
            self.ref_model = cast("Any", _REFERENCE)

    def _send_telemetry(self) -> None:
        """Tells nobody anything."""

    def _roll(self, prompts: list[str]) -> dict[str, Any]:
        """trl's rollout function: plays the visits of a step. prompts: places in the plan, each as
        often as it has draws."""
        n_draws = self.reinforce_config.draws_per_item
        visits = [self.plan[int(prompt)] for prompt in prompts[::n_draws]]
        self.live.note_change()
        self.rolled = self.rollout(visits)
        self.live.switch_on()
        self.vlm.model.train()  # trl takes what it does now for an evaluation otherwise
        self._encoded = [self._encode(one, place) for place, one in enumerate(self.rolled)]
        self._told = rows = [Row.of(one, self._end) for one in self._encoded]
        return {
            "prompt_ids": [row.prompt for row in rows],
            "completion_ids": [row.tokens for row in rows],
            "env_mask": [row.is_said for row in rows],
            "logprobs": None,  # trl wants them of a server that samples in other numbers only
            "reward": [one.reward for one in self.rolled],
        }

    def _encode(self, rolled: Rolled, place: int) -> Encoded | None:
        if rolled.example is None:
            return None
        example, vlm = rolled.example, self.vlm
        encoder = encoder_of(vlm)
        if not adapts_vision(vlm.model):
            encoder = encoder_for_sampling(
                vlm, example.image, frame_of(vlm, example.question).context
            )
        [encoded] = encode_example(vlm, encoder, example, place, DEFAULT_STYLE)
        return encoded

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        step = self.first_step + self.state.global_step
        self._rows = None
        made: dict[str, Any] = super()._generate_and_score_completions(inputs)
        # trl mixes the draws up for the batches now. Seeded only here: what a model can do is tried
        # in a process's first generation, and takes random numbers that no later one takes.
        torch.manual_seed(derive_seed(self.reinforce_config.seed, "generation", step))
        by_part = advantages_by_part(self.rolled, self.reinforce_config.draws_per_item)
        if by_part is not None:
            width = made["completion_ids"].shape[1]
            made["advantages"] = in_columns(by_part, self._told, width).to(self.vlm.device)
        # Each is to be found again.
        return made | {"row": torch.arange(len(self.rolled), device=self.vlm.device)}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._rows = inputs["row"].tolist()
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,  # noqa: ARG002 - the rows know their own
        logits_to_keep: int,
        batch_size: int | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """ln p of what each place asks for at the temperature of the draws, and the entropy there:
        (rows, logits_to_keep), 0 where nothing is asked."""
        places = self._rows if self._rows is not None else list(range(len(input_ids)))
        size = batch_size or len(places)
        own = self.live.weights() if model is _REFERENCE else {}
        if model is _REFERENCE:
            self.live.load(self.reference)
        try:
            made = [
                self._score([self._encoded[place] for place in places[start : start + size]])
                for start in range(0, len(places), size)
            ]
        finally:
            if model is _REFERENCE:
                self.live.load(own)
        log_probs = torch.cat([one.in_columns(logits_to_keep) for one in made])
        entropies = torch.cat([one.entropies_in_columns(logits_to_keep) for one in made])
        # A batch in which nothing is asked must have a gradient all the same: of nothing.
        return log_probs + self.live.parameters[0].sum() * 0, entropies, None

    def _score(self, rows: Sequence[Encoded | None]) -> Scores:
        return score(
            self.vlm,
            self.model_wrapped,
            rows,
            self.temperature,
            precision=self.accelerator.autocast,
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Leaves out what trl and transformers say of names that are to change: the lock pins their
    versions, and somebody who trains can do nothing about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
        yield


_REFERENCE = torch.nn.Identity()
"""Stands for the model with the weights of the reference, wherever trl passes a model on."""


def _given(reward: list[float | None], **_: Any) -> list[float | None]:
    """trl's reward function: the rewards are made with the draws."""
    return reward


def _arguments(vlm: Vlm, config: ReinforceConfig, folder: Path) -> GRPOConfig:
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state(reset_partial_state=True)
    own = {torch.bfloat16: "bfloat16", torch.float16: "float16"}
    dtype = config.dtype if config.dtype in {"float32", "bfloat16", "float16"} else ""
    precision = dtype or own.get(vlm.dtype, "float32")
    n_draws = config.items_per_step * config.draws_per_item
    batch_size = max(n for n in range(1, min(config.batch_size, n_draws) + 1) if n_draws % n == 0)
    arguments = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=n_draws // batch_size,
        num_generations=config.draws_per_item,
        num_train_epochs=1,
        shuffle_dataset=False,
        learning_rate=config.learning_rate,
        max_grad_norm=config.max_grad_norm,
        temperature=config.temperature,
        beta=0.0,  # the reference is ours, see above
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        gradient_checkpointing=False,
        use_cpu=vlm.device.type == "cpu",
        seed=config.seed % 2**31,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    _ = arguments.device  # counts the GPUs,
    arguments._n_gpu = 1  # of which one trains
    return arguments
