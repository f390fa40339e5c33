"""Trying a model before a project relies on it: does it load, what does it see, does it train."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from worker.ml.abilities import Ability, why_not
from worker.ml.errors import MlError
from worker.ml.inputs.prompts import (
    DEFAULT_STYLE,
    PromptStyle,
    explained,
    prompt_text,
    train_text,
)
from worker.ml.inputs.sight import fit_set, look_into
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.lora import find_targets, linear_modules
from worker.ml.model.memory import row_bytes
from worker.ml.proof.lines import ProofLine
from worker.ml.proof.merge import prove_merge
from worker.ml.proof.parts import prove_parts
from worker.ml.proof.prove import prove
from worker.ml.sampling.generate import sample
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, LoraSettings, Prompt, SampleConfig, Sampled

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
    """Everything `illume model check` prints. Bytes are bytes; `proof`: what was measured, in
    order, the last line being the one that does not hold where `reason` says why the model is
    refused; then there are no items. unread: linear modules of tower and
    projector that never get LoRA, since nothing that the model says depends on them. lacks: why the
    model has not an ability that some strategies need, None for one that it has; empty where the
    model is refused."""

    name: str
    revision: str
    family: str
    device: str
    dtype: str
    is_chat: bool
    parameters: int
    trainable_parameters: int
    targets: tuple[TargetCount, ...]
    unread: tuple[str, ...]
    weight_bytes: int
    adapter_training_bytes: int
    bytes_per_sampled_row: int
    free_device_bytes: int | None
    shares_prompts: bool
    train_text: str
    items: tuple[CheckedItem, ...]
    proof: tuple[ProofLine, ...]
    lacks: Mapping[Ability, str | None]
    reason: str | None
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
    """Loads the model, proves it (proof/prove.py), trains an adapter of several parts for two
    steps, merges the model with an adapter and loads that again, and samples an answer and a
    rationale for up to three items. images and questions go together pairwise.

    Raises MlError with what to do where there is nothing to load or no memory to try it.
    """
    pairs = list(zip(images, questions, strict=False))[:N_ITEMS]
    if not pairs:
        raise MlError("Give at least one image and one question to try the model with.")
    began = time.monotonic()
    settings = lora or LoraSettings()
    vlm = load_vlm(name, revision=revision, device=device, dtype=dtype)
    proof = prove(vlm, pairs, settings, opener=OPENER, style=style)
    lines, reason = list(proof.lines), proof.reason
    example = explained(*pairs[0], "yes", "it is there", OPENER)
    text = None
    items: tuple[CheckedItem, ...] = ()
    targets: Sequence[str] = ()
    if reason is None:
        targets = find_targets(vlm.model, fit_set(vlm, settings))
        text = train_text(vlm, example, style)
        lines.append(prove_parts(vlm, example, settings, style))
        lines.append(prove_merge(vlm, name, example, settings, style))
        items = _ask(vlm, pairs, style)
    counts = _target_counts(vlm, targets, settings)
    trainable = sum(count.lora_parameters for count in counts)
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
        targets=counts,
        unread=look_into(vlm).unread if reason is None else (),
        weight_bytes=sum(p.numel() * p.element_size() for p in parameters),
        adapter_training_bytes=trainable * 4 * 4,  # weights, gradients and AdamW's two moments
        bytes_per_sampled_row=row_bytes(
            vlm.model.config, _prompt_length(vlm, text.context if text else ""), vlm.dtype
        ),
        free_device_bytes=_free_bytes(vlm.device),
        shares_prompts=vlm.memo.get("sharing", "none") != "none",
        train_text=text.text if text else "",
        items=items,
        proof=tuple(lines),
        lacks={one: why_not(vlm, one, style) for one in Ability} if reason is None else {},
        reason=reason,
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
