"""Rationales of one item in one sequence: the losses and gradients of a row each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.worker.ml.conftest import OPENER
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.lora import add_new_adapter, remove_adapters, trainable
from worker.ml.training.branches import RULE, Branched, branched_losses, can_branch, join
from worker.ml.training.losses import Example, RowLosses, Scale, make_examples, row_losses
from worker.ml.types import LoraSettings, TrainRow

RATIONALES = ("the cube is red", "there are two balls and one large cone on the left", "no")


@pytest.fixture
def rows(pictures: list[Path]) -> list[TrainRow]:
    """Three rationales of one item, one of another, an item without."""
    question = "what colour is the cube ?"
    return [
        *(TrainRow(pictures[0], question, "red", text, OPENER) for text in RATIONALES),
        TrainRow(pictures[1], "how many ?", "two", "there are two", OPENER, weight=2.0),
        TrainRow(pictures[2], "what is there ?", "a ball", None, OPENER),
    ]


@pytest.fixture
def adapted(llava: Vlm) -> Iterator[Vlm]:
    """With an adapter that already says something, so that every gradient is one."""
    torch.manual_seed(0)
    add_new_adapter(llava.model, LoraSettings(rank=4, dropout=0.0))
    with torch.no_grad():
        for parameter in trainable(llava.model):
            parameter.normal_(std=0.3)
    yield llava
    remove_adapters(llava.model)


def examples_of(vlm: Vlm, rows: list[TrainRow]) -> list[Example]:
    encoder = encoder_of(vlm)
    return [
        example
        for index, row in enumerate(rows)
        for example in make_examples(vlm, encoder, row, index, DEFAULT_STYLE)
    ]


def sequences_of(vlm: Vlm, rows: list[TrainRow]) -> list[Branched]:
    examples = examples_of(vlm, rows)
    assert can_branch(vlm, examples[:2])
    return [*join(examples[:3]), *join(examples[3:4]), *join(examples[4:])]


def gradients(vlm: Vlm, losses: RowLosses, rows: list[TrainRow]) -> list[torch.Tensor]:
    weights = torch.tensor([row.weight for row in rows])
    loss = Scale.of(rows, factor=3.0).loss(losses, weights, batch_rows=len(rows))
    vlm.model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in trainable(vlm.model) if p.grad is not None]


def test_losses_and_gradients_are_those_of_a_row_each(adapted: Vlm, rows: list[TrainRow]) -> None:
    sequences = sequences_of(adapted, rows)
    assert [len(sequence.row_indices) for sequence in sequences] == [3, 1, 1]
    shared, indices = branched_losses(adapted, adapted.model, sequences)
    assert indices == [0, 1, 2, 3, 4]
    ours = gradients(adapted, shared, rows)
    plain = row_losses(adapted, adapted.model, examples_of(adapted, rows))
    theirs = gradients(adapted, plain, rows)
    assert torch.allclose(shared.answer, plain.answer, atol=1e-5)
    assert torch.allclose(shared.rationale, plain.rationale, atol=1e-5)
    assert torch.equal(shared.has_rationale, plain.has_rationale)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert float(other.abs().max()) > 0
        assert torch.allclose(one, other, atol=1e-5 * max(1.0, float(other.abs().max())))


def test_a_shared_prompt_is_computed_once(llava: Vlm, rows: list[TrainRow]) -> None:
    examples = examples_of(llava, rows[:3])
    (sequence,) = join(examples)
    n_rationales = sum(len(example.rationale) - 1 for example in examples)
    shared = examples[0].row.length - (len(examples[0].rationale) - 1)
    assert sequence.row.length == shared + n_rationales
    assert sequence.starts[0] == shared


def test_rationales_do_not_see_each_other(adapted: Vlm, rows: list[TrainRow]) -> None:
    others = [*rows[:1], replace(rows[1], rationale="yes"), *rows[2:]]
    with torch.no_grad():
        one, other = (
            branched_losses(adapted, adapted.model, sequences_of(adapted, given))[0]
            for given in (rows, others)
        )
    same = [0, 2, 3, 4]
    assert torch.allclose(one.rationale[same], other.rationale[same], atol=1e-5)
    assert float(one.rationale[1]) != pytest.approx(float(other.rationale[1]), abs=1e-3)


def test_rows_that_begin_differently_stay_apart(llava: Vlm, rows: list[TrainRow]) -> None:
    examples = examples_of(llava, [rows[0], replace(rows[1], answer="blue")])
    assert [sequence.row_indices for sequence in join(examples)] == [(0,), (1,)]


def test_an_answer_that_needs_a_forward_of_its_own_counts_once(
    llava_folder: Path, rows: list[TrainRow]
) -> None:
    vlm = load_vlm(str(llava_folder), device="cpu")
    vlm.tokenizer.add_tokens(["red,"])
    vlm.model.resize_token_embeddings(len(vlm.tokenizer))
    examples = examples_of(vlm, rows[:2])
    with torch.no_grad():
        plain = row_losses(vlm, vlm.model, examples)
        losses, indices = branched_losses(vlm, vlm.model, join(examples))
    assert indices == [0, 0, 1, 1]
    assert losses.has_answer.tolist() == [True, False, True, False]
    assert losses.has_rationale.tolist() == [False, True, False, True]
    assert torch.allclose(losses.answer[::2], plain.answer, atol=1e-5)
    assert torch.allclose(losses.rationale[1::2], plain.rationale, atol=1e-5)


@pytest.mark.parametrize("reason", ["attention", "layers", "other logits", "an error"])
def test_a_model_that_cannot_share_is_found_out(
    llava_folder: Path,
    rows: list[TrainRow],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="worker.ml.training.branches")
    vlm = load_vlm(str(llava_folder), device="cpu")
    if reason == "attention":
        vlm.model.config._attn_implementation = "flex_attention"
    elif reason == "layers":
        vlm.model.config.text_config.layer_types = ["linear_attention", "full_attention"]
    else:
        decoder = vlm.model.get_decoder()
        plain = decoder.forward

        def stubborn(*, attention_mask: torch.Tensor, **others: object) -> object:
            if attention_mask.ndim == 4 and reason == "an error":
                raise ValueError("no mask of four dimensions, please")
            if attention_mask.ndim == 4:
                attention_mask = torch.ones_like(attention_mask[:, 0, 0])
            return plain(attention_mask=attention_mask, **others)

        decoder.forward = stubborn
    assert can_branch(vlm, examples_of(vlm, rows[:2])) is False
    assert vlm.memo[RULE] is None
    assert "shares prompts among rationales: None" in caplog.text
