"""Proves a model before people work with it: what is sampled from it is what will be trained.

A family may load, sample and train without a complaint and still learn nothing: its training reads
other positions than its sampling, its LoRA sits in the wrong part, its picture never arrives. Each
line of a proof measures one of these on pictures and questions that every installation has, and
says in a sentence what to do where the figure is wrong. It needs as much memory as one training
row, and changes neither the model nor its adapter.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from worker.ml.errors import DeviceError, MlError, Stopped, first_line
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import is_out_of_memory, too_large
from worker.ml.proof.agreement import prove_agreement, say_something
from worker.ml.proof.learning import prove_learning, prove_lora
from worker.ml.proof.lines import Proof, ProofLine, Subject
from worker.ml.proof.picture import prove_picture
from worker.ml.training.losses import Encoded
from worker.ml.types import Example, LoraSettings

logger = logging.getLogger(__name__)

ShouldStop = Callable[[], bool]


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
    subject = Subject(vlm, pairs, opener, lora, style, gradient_checkpointing)
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


def _measured(subject: Subject) -> Iterator[ProofLine]:
    said: list[Example] = []
    sequences: list[Encoded] = []
    yield _tried(subject, "weights", lambda: _weights(subject))
    yield _tried(subject, "picture", lambda: prove_picture(subject))
    yield _tried(subject, "progress", lambda: say_something(subject, said))
    yield _tried(subject, "agreement", lambda: prove_agreement(subject, said[0], sequences))
    yield _tried(subject, "lora", lambda: prove_lora(subject))
    yield _tried(subject, "learning", lambda: prove_learning(subject, said[0]))


def _tried(subject: Subject, name: str, measure: Callable[[], ProofLine]) -> ProofLine:
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
def _weights(subject: Subject) -> ProofLine:
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
