"""Proves that a model sees the pictures."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import explained
from worker.ml.proof.lines import FALLBACK, ProofLine, Subject
from worker.ml.training.losses import asked_logits, encode_example

LOOKED_AT = 32  # places whose logits are in memory at once


@torch.no_grad()
def prove_picture(subject: Subject) -> ProofLine:
    """Returns whether another picture gives other logits for the same question."""
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


def _change_of_logits(subject: Subject, images: Sequence[Path]) -> float:
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
