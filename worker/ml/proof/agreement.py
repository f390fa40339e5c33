"""Proves that what is sampled is what is trained: one text has the same probability in both."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from worker.ml.inputs.encode import RowEncoder, collate, encoder_of
from worker.ml.inputs.frozen_tower import encoder_for_sampling
from worker.ml.inputs.prompts import explained, train_text
from worker.ml.proof.lines import FALLBACK, ProofLine, Subject
from worker.ml.same_logits import difference, is_rounding
from worker.ml.sampling.batch import Group
from worker.ml.sampling.generate import sample
from worker.ml.sampling.loop import decode_plain, decode_shared
from worker.ml.sampling.seeds import derive_seed
from worker.ml.sampling.sharing import Recorder, how_to_share
from worker.ml.training.losses import Encoded, Targets, asked_logits, encode_example
from worker.ml.types import Draw, Example, Prompt, SampleConfig

ANSWER_TOKENS, RATIONALE_TOKENS = 8, 24


def say_something(subject: Subject, said: list[Example]) -> ProofLine:
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
def prove_agreement(subject: Subject, example: Example, kept: list[Encoded]) -> ProofLine:
    """Returns whether the tokens of one text get the same probabilities from both engines."""
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


def _forced(subject: Subject, example: Example, sequence: Encoded, part: Targets) -> torch.Tensor:
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
