"""Proves a model before people work with it: what is sampled from it is what will be trained.

A family may load, sample and train without a complaint and still learn nothing: its training reads
other positions than its sampling, its LoRA sits in the wrong part, its picture never arrives. Each
line of a proof measures one of these on pictures and questions that every installation has, and
says in a sentence what to do where the figure is wrong. It needs as much memory as one training
row, and changes neither the model nor its adapter.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from worker.ml.errors import DeviceError, MlError, ModelUnusableError, Stopped, first_line
from worker.ml.inputs.encode import RowEncoder, collate, encoder_of
from worker.ml.inputs.frozen_tower import encoder_for_sampling, image_features
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, explained, train_text
from worker.ml.inputs.sight import fit_set
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import adapter_weights, remove_adapters
from worker.ml.model.loading import Vlm
from worker.ml.model.lora import find_targets
from worker.ml.model.memory import is_out_of_memory, too_large
from worker.ml.same_logits import difference, is_rounding
from worker.ml.sampling.batch import Group
from worker.ml.sampling.generate import sample
from worker.ml.sampling.loop import decode_plain, decode_shared
from worker.ml.sampling.seeds import derive_seed
from worker.ml.sampling.sharing import Recorder, how_to_share
from worker.ml.training.losses import Encoded, Targets, asked_logits, encode_example
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    AdapterSettings,
    Draw,
    Example,
    LoraSettings,
    Prompt,
    SampleConfig,
    TrainConfig,
)

logger = logging.getLogger(__name__)

ANSWER_TOKENS, RATIONALE_TOKENS = 8, 24
LEARNING_RATES = (1e-3, 1e-4, 1e-5)  # a step that is short enough lowers the loss, or nothing does
LOOKED_AT = 32  # places whose logits are in memory at once
FALLBACK = ("yes", "it is there")  # what is proved where the model says nothing

ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One thing that was measured. `figure`: the number that decided, None where there was none to
    measure; `text`: a sentence with it and, where it did not hold, what to do."""

    name: str
    holds: bool
    figure: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The lines in the order in which they were tried; the last one is the one that failed, if one
    did."""

    lines: tuple[ProofLine, ...]
    seconds: float

    @property
    def reason(self) -> str | None:
        """Why the model is refused, None if it is not."""
        return next((line.text for line in self.lines if not line.holds), None)


@dataclass(frozen=True, slots=True)
class _Subject:
    vlm: Vlm
    pairs: Sequence[tuple[Path, str]]
    opener: str
    lora: LoraSettings
    style: PromptStyle
    gradient_checkpointing: bool

    @property
    def name(self) -> str:
        return f"{self.vlm.name} ({self.vlm.model.config.model_type})"


def prove(
    vlm: Vlm,
    pairs: Sequence[tuple[Path, str]],
    lora: LoraSettings,
    *,
    opener: str,
    style: PromptStyle = DEFAULT_STYLE,
    gradient_checkpointing: bool = False,
    should_stop: ShouldStop | None = None,
) -> Proof:
    """Returns what was measured, up to the first line that does not hold. pairs: pictures
    with a question each, better two or more. The adapter that is on comes back afterwards.

    Raises Stopped, and DeviceError where the memory is too small: that is not the model's fault.
    """
    began = time.monotonic()
    subject = _Subject(vlm, pairs, opener, lora, style, gradient_checkpointing)
    before = vlm.adapter
    attach_adapter(vlm, None)
    lines: list[ProofLine] = []
    try:
        for line in _measured(subject):
            lines.append(line)
            logger.info("%s: %s", vlm.name, line.text)
            if not line.holds:
                break
            if should_stop is not None and should_stop():
                raise Stopped
    finally:
        attach_adapter(vlm, before)
    return Proof(tuple(lines), time.monotonic() - began)


def _measured(subject: _Subject) -> Iterator[ProofLine]:
    said: list[Example] = []
    sequences: list[Encoded] = []
    yield _tried(subject, "weights", lambda: _weights(subject))
    yield _tried(subject, "picture", lambda: _picture(subject))
    yield _tried(subject, "progress", lambda: _progress(subject, said))
    yield _tried(subject, "agreement", lambda: _agreement(subject, said[0], sequences))
    yield _tried(subject, "lora", lambda: _lora(subject))
    yield _tried(subject, "learning", lambda: _learning(subject, said[0]))


def _tried(subject: _Subject, name: str, measure: Callable[[], ProofLine]) -> ProofLine:
    """What `measure` finds; whatever a family objects to on the way is a line that does not
    hold."""
    try:
        return measure()
    except (Stopped, DeviceError):
        raise
    except MlError as error:
        return ProofLine(name, False, None, error.message)
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise too_large(subject.vlm, 1) from error
        logger.info("the proof of %s broke off", subject.vlm.name, exc_info=True)
        return ProofLine(
            name,
            False,
            None,
            f"{subject.name} cannot be used: {_WHILE[name]} it raised {type(error).__name__}: "
            f"{first_line(error)} Use another model, or another version of transformers.",
        )


_WHILE = {
    "weights": "while its weights were looked at",
    "picture": "while it was shown two pictures",
    "progress": "while an answer and a rationale were sampled",
    "agreement": "while the same text was sampled and trained",
    "lora": "while LoRA was put on",
    "learning": "while it was trained for a step",
}


@torch.no_grad()
def _weights(subject: _Subject) -> ProofLine:
    parameters = dict(subject.vlm.model.named_parameters())
    broken = [
        name
        for name, parameter in parameters.items()
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all())
    ]
    if broken:
        return ProofLine(
            "weights",
            False,
            len(broken),
            f"{len(broken)} of {len(parameters)} weights of {subject.name} hold numbers that are "
            f"not finite, {broken[0]} among them: download it again, or load it in float32.",
        )
    return ProofLine(
        "weights",
        True,
        len(parameters),
        f"All {len(parameters)} weights came from its files, and all are finite numbers.",
    )


@torch.no_grad()
def _picture(subject: _Subject) -> ProofLine:
    """Whether another picture gives other logits for the same question."""
    images = list(dict.fromkeys(image for image, _ in subject.pairs))[:2]
    if len(images) < 2:
        return ProofLine("picture", True, None, "Not tried: there is only one picture.")
    most = _change_of_logits(subject, images)
    if math.isnan(most):
        return ProofLine(
            "picture",
            False,
            None,
            f"The probabilities of {subject.name} are no numbers: load it in float32 or bfloat16.",
        )
    return ProofLine(
        "picture",
        most > 0,
        most,
        f"Another picture changes its logits by up to {most:.3g}."
        if most > 0
        else f"{subject.name} does not see the pictures: another one changes its logits by 0. Use "
        "a model whose processor puts the picture into the prompt.",
    )


def _change_of_logits(subject: _Subject, images: Sequence[Path]) -> float:
    """Looks at the end of the text first; where the attention does not reach as far back as the
    picture (a sliding window), at what comes before."""
    vlm, question = subject.vlm, subject.pairs[0][1]
    batches, lengths = [], []
    for image in images:
        example = explained(image, question, *FALLBACK, subject.opener)
        [sequence, *_] = encode_example(vlm, encoder_of(vlm), example, 0, subject.style)
        batches.append(collate(vlm, [sequence.row], pad="right"))
        lengths.append(sequence.row.length)
    most = 0.0
    for end in range(0, min(lengths), LOOKED_AT):
        back = range(end + 1, min(end + LOOKED_AT, *lengths) + 1)
        first, second = (
            asked_logits(vlm, vlm.model, batch, [(0, length - n) for n in back]).float()
            for batch, length in zip(batches, lengths, strict=True)
        )
        most = float((first - second).abs().max())
        if most != 0:
            break
    return most


def _progress(subject: _Subject, said: list[Example]) -> ProofLine:
    """Samples as a round would, and keeps the texts for the lines that follow."""
    vlm, opener = subject.vlm, subject.opener
    asked = [Prompt(image, question, None, opener) for image, question in subject.pairs]
    answers = sample(vlm, _draws(asked), SampleConfig(ANSWER_TOKENS), style=subject.style)
    begun = [
        replace(prompt, answer=answer.text or FALLBACK[0])
        for prompt, answer in zip(asked, answers, strict=True)
    ]
    rationales = sample(vlm, _draws(begun), SampleConfig(RATIONALE_TOKENS), style=subject.style)
    said += [
        explained(
            prompt.image, prompt.question, prompt.answer or "", made.text or FALLBACK[1], opener
        )
        for prompt, made in zip(begun, rationales, strict=True)
    ]
    n_tokens = sum(made.n_tokens or 0 for made in (*answers, *rationales))
    n_draws = len(answers) + len(rationales)
    return ProofLine(
        "progress",
        True,
        n_tokens,
        f"Every pass ended its draws: {n_draws} texts of {n_tokens} tokens.",
    )


def _draws(prompts: Sequence[Prompt]) -> list[Draw]:
    return [Draw(prompt, 0.7, derive_seed("proof", n)) for n, prompt in enumerate(prompts)]


@torch.no_grad()
def _agreement(subject: _Subject, example: Example, kept: list[Encoded]) -> ProofLine:
    """Whether the tokens of one text get the same probabilities from both engines."""
    vlm = subject.vlm
    kept += encode_example(vlm, encoder_of(vlm), example, 0, subject.style)
    trained, sampled, tokens = [], [], []
    for sequence in kept:
        places = [(0, at) for at, _ in sequence.targets]
        batch = collate(vlm, [sequence.row], pad="right")
        trained.append(asked_logits(vlm, vlm.model, batch, places).float().cpu())
        for _, targets in sequence.learned:
            sampled.append(_forced(subject, example, sequence, targets))
            tokens += [token for _, token in targets]
    expected, got = torch.cat(trained), torch.cat(sampled)
    worst = difference(got, expected)
    both = [_log_probability(logits, tokens) for logits in (got, expected)]
    holds = is_rounding(worst, vlm.dtype) and all(map(math.isfinite, both))
    figures = f"{both[0]:.3f} while sampling and {both[1]:.3f} while training"
    return ProofLine(
        "agreement",
        holds,
        abs(both[0] - both[1]),
        f"The same text of {len(tokens)} tokens has the log-probability {figures}."
        if holds
        else f"{subject.name} cannot be trained on what is sampled from it: the same text has the "
        f"log-probability {figures}, so its training reads other places than its sampling. Use "
        "another model, or another version of transformers.",
    )


def _forced(subject: _Subject, example: Example, sequence: Encoded, part: Targets) -> torch.Tensor:
    """The logits, (tokens, vocabulary), with which the sampling engine would choose these tokens
    after what stands before them."""
    vlm = subject.vlm
    text = train_text(vlm, example, subject.style)
    image = subject.pairs[0][0]
    encoder: RowEncoder = encoder_for_sampling(vlm, image, text.context)
    of_text, of_image = encoder.context(image, text.context)
    begun = sequence.row.continuation[: part[0][0] + 1 - sequence.n_context]
    sampled = replace(sequence.row, text=of_text, image=of_image, continuation=begun)
    recorder = Recorder(1, torch.tensor([[token for _, token in part]], device=vlm.device))
    groups, sharing = [Group(sampled, (0,))], how_to_share(vlm, sampled)
    if sharing == "none":
        decode_plain(vlm, groups, recorder, len(part))
    else:
        decode_shared(vlm, groups, recorder, len(part), limit=1, sharing=sharing)
    return torch.stack(recorder.logits[0][: len(part)])


def _log_probability(logits: torch.Tensor, tokens: Sequence[int]) -> float:
    chosen = torch.log_softmax(logits, dim=-1)[range(len(tokens)), list(tokens)]
    return float(chosen.sum())


def _lora(subject: _Subject) -> ProofLine:
    """Whether the modules that get LoRA are in the parts that were asked for: those that read the
    picture are told by running the vision tower alone."""
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


def _used_by_pictures(subject: _Subject, targets: Sequence[str]) -> list[str]:
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


def _learning(subject: _Subject, example: Example) -> ProofLine:
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


def _differs_in_training(subject: _Subject, step: "_Step") -> bool:
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


def _one_step(subject: _Subject, example: Example, rate: float) -> _Step:
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
