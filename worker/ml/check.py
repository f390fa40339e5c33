"""Trying a model before a project relies on it: does it load, what does it see, does it train."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from worker.ml.errors import MlError
from worker.ml.generate import sample
from worker.ml.loading import Vlm, load_vlm
from worker.ml.lora import find_targets, linear_modules
from worker.ml.memory import row_bytes
from worker.ml.prompts import DEFAULT_STYLE, PromptStyle, prompt_text, train_text
from worker.ml.seeds import derive_seed
from worker.ml.train import train_lora
from worker.ml.types import (
    Draw,
    LoraSettings,
    Prompt,
    SampleConfig,
    Sampled,
    TrainConfig,
    TrainRow,
)

OPENER = ", seeing that"
N_ITEMS = 3


@dataclass(frozen=True, slots=True)
class TargetCount:
    """Linear modules of one part of the model and the LoRA parameters that they would get."""

    part: str
    n_modules: int
    names: tuple[str, ...]  # the distinct last parts of their names
    lora_parameters: int


@dataclass(frozen=True, slots=True)
class CheckedItem:
    """What one item looks like to the model and what it says: its answer (near greedy), then a
    rationale that continues that answer. Prompts are exact, images apart."""

    question: str
    answer_prompt: str
    answer: Sampled
    rationale_prompt: str
    rationale: Sampled


@dataclass(frozen=True, slots=True)
class ModelReport:
    """Everything `illume model check` prints. Bytes are bytes; losses are nats per token."""

    name: str
    revision: str
    family: str
    device: str
    dtype: str
    is_chat: bool
    parameters: int
    trainable_parameters: int
    targets: tuple[TargetCount, ...]
    weight_bytes: int
    adapter_training_bytes: int
    bytes_per_sampled_row: int
    free_device_bytes: int | None
    shares_prompts: bool
    train_text: str
    train_loss: float
    items: tuple[CheckedItem, ...]
    seconds: float


def check_model(
    name: str,
    *,
    images: Sequence[Path],
    questions: Sequence[str],
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    lora: LoraSettings | None = None,
    style: PromptStyle = DEFAULT_STYLE,
) -> ModelReport:
    """Loads the model, samples an answer and a rationale for up to three items and makes one
    training step with them. images and questions go together pairwise.

    Raises MlError with what to do wherever the model cannot be used.
    """
    pairs = list(zip(images, questions, strict=False))[:N_ITEMS]
    if not pairs:
        raise MlError("Give at least one image and one question to try the model with.")
    began = time.monotonic()
    settings = lora or LoraSettings()
    vlm = load_vlm(name, revision=revision, device=device, dtype=dtype)
    targets = find_targets(vlm.model, settings)
    items = _ask(vlm, pairs, style)
    row = TrainRow(pairs[0][0], pairs[0][1], "yes", "it is there", OPENER)
    loss, trainable = _one_step(vlm, row, settings, style)
    text = train_text(vlm, row, style)
    parameters = list(vlm.model.parameters())
    return ModelReport(
        name=name,
        revision=vlm.revision,
        family=vlm.model.config.model_type,
        device=str(vlm.device),
        dtype=str(vlm.dtype).removeprefix("torch."),
        is_chat=vlm.is_chat,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=trainable,
        targets=_target_counts(vlm, targets, settings),
        weight_bytes=sum(p.numel() * p.element_size() for p in parameters),
        adapter_training_bytes=trainable * 4 * 4,  # weights, gradients and AdamW's two moments
        bytes_per_sampled_row=row_bytes(
            vlm.model.config, _prompt_length(vlm, text.context), vlm.dtype
        ),
        free_device_bytes=_free_bytes(vlm.device),
        shares_prompts=vlm.memo["sharing"] != "none",
        train_text=f"{text.context}{text.answer}{text.opener}{text.rationale}{text.end}",
        train_loss=loss,
        items=items,
        seconds=time.monotonic() - began,
    )


def _ask(
    vlm: Vlm, pairs: Sequence[tuple[Path, str]], style: PromptStyle
) -> tuple[CheckedItem, ...]:
    config = SampleConfig(max_new_tokens=32)
    asked = [Prompt(image, question, None, OPENER) for image, question in pairs]
    answers = sample(vlm, _greedy(asked), config, style=style)
    begun = [
        replace(prompt, answer=said.text or "yes")
        for prompt, said in zip(asked, answers, strict=True)
    ]
    rationales = sample(vlm, _greedy(begun), config, style=style)
    return tuple(
        CheckedItem(
            question=first.question,
            answer_prompt=prompt_text(vlm, first, style).text,
            answer=answer,
            rationale_prompt=prompt_text(vlm, second, style).text,
            rationale=rationale,
        )
        for first, answer, second, rationale in zip(asked, answers, begun, rationales, strict=True)
    )


def _greedy(prompts: Sequence[Prompt]) -> list[Draw]:
    return [Draw(prompt, 0.01, derive_seed("check", index)) for index, prompt in enumerate(prompts)]


def _one_step(
    vlm: Vlm, row: TrainRow, settings: LoraSettings, style: PromptStyle
) -> tuple[float, int]:
    """(loss of the step, trainable parameters)."""
    config = TrainConfig(epochs=1, batch_size=1, learning_rate=1e-4, warmup_share=0.0)
    with TemporaryDirectory(prefix="illume-check-") as folder:
        report = train_lora(
            vlm,
            [row],
            [],
            config,
            settings,
            start_from=None,
            state_dir=Path(folder) / "state",
            out_dir=Path(folder) / "adapter",
            style=style,
        )
    loss = report.curve[0].loss
    if math.isnan(loss):
        raise MlError(
            "The training loss of the model is not a number. Load it in float32 or bfloat16."
        )
    return loss, report.trainable_parameters


def _target_counts(
    vlm: Vlm, targets: Sequence[str], settings: LoraSettings
) -> tuple[TargetCount, ...]:
    chosen = set(targets)
    counts = []
    for part, names in linear_modules(vlm.model).items():
        adapted = [name for name in names if name in chosen]
        if not adapted:
            continue
        widths = (vlm.model.get_submodule(name).weight.shape for name in adapted)
        counts.append(
            TargetCount(
                part=part,
                n_modules=len(adapted),
                names=tuple(sorted({name.rsplit(".", 1)[-1] for name in adapted})),
                lora_parameters=sum(settings.rank * sum(shape) for shape in widths),
            )
        )
    return tuple(counts)


def _prompt_length(vlm: Vlm, context: str) -> int:
    return len(vlm.tokenizer(context)["input_ids"]) + SampleConfig().max_new_tokens


def _free_bytes(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
