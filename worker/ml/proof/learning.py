"""Proves that a model learns: LoRA sits where it was meant to, and a step lowers the loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.frozen_tower import image_features
from worker.ml.inputs.prompts import explained, train_text
from worker.ml.inputs.sight import fit_set
from worker.ml.model.contents import adapter_weights, remove_adapters
from worker.ml.model.lora import find_targets
from worker.ml.proof.lines import FALLBACK, ProofLine, Subject
from worker.ml.training.trainer import Trainer
from worker.ml.types import AdapterSettings, Example, TrainConfig

LEARNING_RATES = (1e-3, 1e-4, 1e-5)  # a step that is short enough lowers the loss, or nothing does


def prove_lora(subject: Subject) -> ProofLine:
    """Returns whether the modules that get LoRA are in the parts that were asked for: those that
    read the picture are told by running the vision tower alone."""
    vlm, lora = subject.vlm, subject.lora
    targets = find_targets(vlm.model, fit_set(vlm, lora))
    seeing = _used_by_pictures(subject, targets)
    figure = len(targets)
    if seeing and not (lora.tower or lora.projector):
        return ProofLine(
            "lora",
            False,
            len(seeing),
            f"{len(seeing)} of {figure} modules of {subject.name} that LoRA would adapt read the "
            f"picture ({seeing[0]} is one), although only the language model was meant. Name the "
            "modules in the LoRA targets, or switch *Adapt the vision tower* on.",
        )
    where = ", all in the language model"
    if lora.tower or lora.projector:
        reading = figure - len(seeing)
        where = f": {reading} in the language model, {len(seeing)} in what reads the picture"
    return ProofLine("lora", True, figure, f"LoRA adapts {figure} modules{where}.")


def _used_by_pictures(subject: Subject, targets: Sequence[str]) -> list[str]:
    vlm = subject.vlm
    if not hasattr(vlm.model.base_model, "get_image_features"):
        return []
    image, question = subject.pairs[0]
    example = explained(image, question, *FALLBACK, subject.opener)
    context = train_text(vlm, example, subject.style).context
    _, of_image = encoder_of(vlm).context(image, context)
    used: list[str] = []
    hooks = []
    for name in targets:

        def note(*_: Any, name: str = name) -> None:
            used.append(name)

        hooks.append(vlm.model.get_submodule(name).register_forward_pre_hook(note))
    try:
        image_features(vlm, of_image)
    except (TypeError, AttributeError, ValueError, KeyError):
        return []  # a family with another way in; the names alone decide
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(set(used))


def prove_learning(subject: Subject, example: Example) -> ProofLine:
    """Returns whether one training step lowers the loss of this text."""
    step = _Step(math.nan, math.nan, math.nan, 0, 0)
    for rate in LEARNING_RATES:
        step = _one_step(subject, example, rate)
        if _differs_in_training(subject, step):
            return ProofLine(
                "learning",
                False,
                abs(step.trained - step.before),
                f"{subject.name} reads a text differently while it learns: its loss is "
                f"{step.trained:.4f} then and {step.before:.4f} otherwise. Use another model, or "
                "another version of transformers.",
            )
        if step.n_moved and step.after < step.before:
            return ProofLine(
                "learning",
                True,
                step.before - step.after,
                f"One training step lowers the loss of that text from {step.before:.4f} to "
                f"{step.after:.4f}; {step.n_moved} of {step.n_adapted} adapted modules learned.",
            )
    return ProofLine(
        "learning",
        False,
        step.before - step.after,
        f"{subject.name} does not learn: a training step changes its loss from {step.before:.4f} "
        f"to {step.after:.4f} and {step.n_moved} of {step.n_adapted} adapted modules. Use other "
        "LoRA targets, another number format, or another model.",
    )


def _differs_in_training(subject: Subject, step: "_Step") -> bool:
    """Whether the loss in training mode, before anything was learned, is another one than
    otherwise, although the model drops nothing out by chance."""
    model = subject.vlm.model
    drops = any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in model.modules())
    text = model.config.get_text_config(decoder=True)
    if drops or any(getattr(text, name, None) for name in ("attention_dropout", "attn_pdrop")):
        return False
    allowed = 0.01 if subject.vlm.dtype is torch.float32 else 0.1
    return abs(step.trained - step.before) > allowed * max(1.0, abs(step.before))


@dataclass(frozen=True, slots=True)
class _Step:
    """Losses before and after a step and, while it was made, in training mode; adapted modules that
    changed, and all of them."""

    before: float
    trained: float
    after: float
    n_moved: int
    n_adapted: int


def _one_step(subject: Subject, example: Example, rate: float) -> _Step:
    """One step of the very trainer of a round, with a fresh adapter that is gone afterwards."""
    vlm = subject.vlm
    config = TrainConfig(
        epochs=1,
        batch_size=1,
        learning_rate=rate,
        warmup_share=0.0,
        gradient_checkpointing=subject.gradient_checkpointing,
        feature_cache_mb=64,
    )
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            trainer = Trainer(
                vlm,
                [example],
                [example],
                config=config,
                adapter=AdapterSettings(replace(subject.lora, dropout=0.0)),
                start_from=None,
                style=subject.style,
            )
            try:
                before = trainer.validation_losses()
                trained = trainer.step(1).loss
                after = trainer.validation_losses()
            finally:
                trainer.close()
        moved = [
            bool(tensor.any())
            for name, tensor in adapter_weights(vlm.model).items()
            if ".lora_B" in name
        ]
    finally:
        remove_adapters(vlm.model)
        vlm.adapter = None
    if before is None or after is None:
        raise ModelUnusableError("The loss of the proof was not measured.")
    return _Step(before[0], trained, after[0], sum(moved), len(moved))
