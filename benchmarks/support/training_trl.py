"""trl's SFTTrainer on the rows of benchmarks/training.py, at its best settings for them.

Each rationale is a row of its own (prompt: image and question; completion: answer, opener,
rationale). Its packing and padding-free modes refuse images, so batches are padded; rows come in
the order of our steps, in which those of one item, which have like lengths, stand together.
Gradient checkpointing, which it switches on by default, is off: it would only cost time. Its fused
head computes the per-token log-probabilities; `trl_compact` has a head of the benchmark's own that
skips, on a CPU too, what is not learned. Two small subclasses make it descend ILLUME's loss,
so that the losses of all methods can be compared: the collator says which tokens are answer and
which rationale, and `compute_loss` takes their means per row.
"""

import time
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig, set_peft_model_state_dict
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from benchmarks.support.hardware import wait_for
from benchmarks.support.training_cell import LORA, Cell, steps_of
from worker.ml.model.contents import adapter_weights, add_new_adapter, remove_adapters
from worker.ml.model.lora import find_targets
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.schedule import learning_rate
from worker.ml.types import Example

NONE, ANSWER, RATIONALE = 0, 1, 2


class Collator(DataCollatorForVisionLanguageModeling):  # type: ignore[misc]
    """trl's own batch, and the kind of every token that is learned. As in our loss, the opener is
    given, and where it begins the answer's end is asked for."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        tokenizer = self.processor.tokenizer
        parts = [example.pop("parts") for example in examples]
        batch: dict[str, Any] = super().torch_call(examples)
        labels = batch["labels"]
        kinds = torch.full_like(labels, NONE)
        for place, texts in enumerate(parts):
            n_answer, n_opener = (
                len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts
            )
            learned = (labels[place] != -100).nonzero().flatten()
            opener = learned[n_answer : n_answer + n_opener]
            kinds[place, learned[: n_answer + 1]] = ANSWER
            kinds[place, learned[n_answer + n_opener :]] = RATIONALE
            labels[place, opener] = -100
            labels[place, opener[0]] = tokenizer.eos_token_id
        return batch | {"kinds": kinds}


class Trainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer with ILLUME's loss. On a CPU its fused head works out tokens of every place, on
    a GPU only of those that are learned; is_compact: the latter here too."""

    is_compact = False

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002 -- means are per row here
    ) -> Any:
        kinds = inputs.pop("kinds")[:, 1:]
        if self.is_compact:
            outputs, log_probs = _learned_log_probs(model, inputs)
        else:
            outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            log_probs = outputs.log_probs
        loss = torch.zeros((), device=kinds.device)
        for kind in (ANSWER, RATIONALE):
            asked = kinds == kind
            means = -(log_probs * asked).sum(1) / asked.sum(1).clamp(min=1)
            loss = loss + means.mean() / self.args.gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss


def _learned_log_probs(model: Any, inputs: dict[str, Any]) -> tuple[Any, torch.Tensor]:
    """ln p of the labels, (rows, places - 1), 0 where nothing is learned."""
    labels = inputs.pop("labels")[:, 1:]
    base = model.get_base_model()
    outputs = base.base_model(**inputs, use_cache=False)
    learned = labels != -100
    logits = base.get_output_embeddings()(outputs.last_hidden_state[:, :-1][learned])
    chosen = logits.log_softmax(-1).gather(-1, labels[learned].unsqueeze(-1)).squeeze(-1)
    return outputs, chosen.new_zeros(labels.shape).masked_scatter(learned, chosen)


class Clock(TrainerCallback):  # type: ignore[misc]
    """Losses and times at the end of each step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        wait_for(self.device)
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any = None, **__: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def train(
    vlm: Any, rows: list[Example], cell: Cell, folder: Path
) -> tuple[list[float], list[float], list[float]]:
    """(loss of each step, wall time and processor time at the end of each step)."""
    config = cell.config
    steps = steps_of(rows, cell)
    torch.manual_seed(derive_seed(config.seed, "adapter"))
    targets = find_targets(vlm.model, LORA)
    add_new_adapter(vlm.model, LORA)
    start = {name: tensor.clone() for name, tensor in adapter_weights(vlm.model).items()}
    remove_adapters(vlm.model)
    clock = Clock(vlm.device)
    trainer = Trainer(
        model=vlm.model,
        processing_class=vlm.processor,
        train_dataset=_dataset(rows, steps, vlm.tokenizer.eos_token),
        data_collator=Collator(vlm.processor, max_length=None, completion_only_loss=True),
        peft_config=LoraConfig(
            r=LORA.rank, lora_alpha=16, lora_dropout=LORA.dropout, target_modules=targets
        ),
        args=SFTConfig(
            output_dir=str(folder / "trl"),
            per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=config.gradient_accumulation,
            num_train_epochs=1,
            train_sampling_strategy="sequential",
            learning_rate=config.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            gradient_checkpointing=False,
            bf16=cell.dtype == "bfloat16",
            use_cpu=vlm.device.type == "cpu",
            max_length=None,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        callbacks=[clock],
    )
    set_peft_model_state_dict(
        trainer.model, {f"base_model.model.{name}": tensor for name, tensor in start.items()}
    )
    optimizer = torch.optim.AdamW(
        [p for p in trainer.model.parameters() if p.requires_grad],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    rates = [learning_rate(config, step, len(steps)) for step in range(1, len(steps) + 2)]
    trainer.is_compact = cell.method == "trl_compact"
    trainer.optimizer = optimizer
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: rates[min(done, len(rates) - 1)] / config.learning_rate
    )
    trainer.train()
    return clock.losses[: len(steps)], clock.wall, clock.cpu


def _dataset(rows: list[Example], steps: list[list[int]], end: str) -> Any:
    """The rows of all steps, one after the other; pictures are read when they are needed."""
    ordered = [rows[index] for step in steps for index in step]
    made = datasets.Dataset.from_list(
        [
            {
                "image": str(row.image),
                "prompt": f"<image>Q: {row.question} A:",
                "completion": f" {answer.text}{opener.text}{rationale.text}{end}",
                "parts": [f" {answer.text}", opener.text],
            }
            for row in ordered
            for answer, opener, rationale in [row.parts]
        ]
    )
    return made.cast_column("image", datasets.Image())
