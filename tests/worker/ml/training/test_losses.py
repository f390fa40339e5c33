from dataclasses import replace
from pathlib import Path

import pytest
import torch

from worker.ml.inputs.encode import encoder_of, read_image
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.losses import Example, RowLosses, Scale, make_examples, row_losses
from worker.ml.types import TrainRow


def examples_of(vlm: Vlm, rows: list[TrainRow]) -> list[Example]:
    encoder = encoder_of(vlm)
    return [
        example
        for index, row in enumerate(rows)
        for example in make_examples(vlm, encoder, row, index, DEFAULT_STYLE)
    ]


def losses_of(vlm: Vlm, rows: list[TrainRow]) -> RowLosses:
    return row_losses(vlm, vlm.model, examples_of(vlm, rows))


def two_forward_loss(vlm: Vlm, image: Path, prompt: str, target: str) -> float:
    """The textbook way: one row alone, everything but the target masked in the labels."""
    whole = vlm.processor(
        images=[read_image(image)], text=[f"{prompt}{target}<eos>"], return_tensors="pt"
    )
    n_target = len(vlm.tokenizer(f"{target}<eos>", add_special_tokens=False)["input_ids"])
    labels = whole["input_ids"].clone()
    labels[:, :-n_target] = -100
    with torch.no_grad():
        return float(vlm.model(**whole, labels=labels).loss)


def test_one_forward_gives_the_losses_of_two(llava: Vlm, rows: list[TrainRow]) -> None:
    with torch.no_grad():
        losses = losses_of(llava, rows)
    for place, row in enumerate(rows):
        asked = f"<image>Q: {row.question} A:"
        answer = two_forward_loss(llava, row.image, asked, f" {row.answer}")
        assert float(losses.answer[place]) == pytest.approx(answer, rel=1e-5)
        if row.rationale is None:
            assert float(losses.rationale[place]) == 0.0
        else:
            begun = f"{asked} {row.answer}{row.opener}"
            rationale = two_forward_loss(llava, row.image, begun, f" {row.rationale}")
            assert float(losses.rationale[place]) == pytest.approx(rationale, rel=1e-5)
    assert losses.has_rationale.tolist() == [True, True, False, False]


def test_only_answer_and_rationale_and_their_ends_are_learned(
    llava: Vlm, rows: list[TrainRow]
) -> None:
    tokenizer = llava.tokenizer
    for example, row in zip(examples_of(llava, rows), rows, strict=True):
        answer = tokenizer.decode([token for _, token in example.answer])
        assert answer == f" {row.answer}<eos>"
        rationale = tokenizer.decode([token for _, token in example.rationale])
        assert rationale == (f" {row.rationale}<eos>" if row.rationale else "")
        places = [place for place, _ in (*example.answer, *example.rationale)]
        assert min(places) == example.row.text["input_ids"].shape[1] - 1  # the last of the prompt


def test_a_batch_without_rationales_is_no_nan_and_teaches_answers(
    llava: Vlm, rows: list[TrainRow]
) -> None:
    scale = Scale.of(rows, factor=7.0)
    losses = losses_of(llava, rows[2:])
    weights = torch.ones(2)
    loss = scale.loss(losses, weights, batch_rows=2)
    assert torch.isfinite(loss)
    assert float(loss) == pytest.approx(float(losses.answer.mean()), rel=1e-6)
    assert float(Scale.of(rows[2:], 7.0).loss(losses, weights, 2)) == pytest.approx(float(loss))


def test_the_loss_is_the_papers(llava: Vlm, rows: list[TrainRow]) -> None:
    losses = losses_of(llava, rows)
    loss = Scale.of(rows, factor=3.0).loss(losses, torch.ones(4), batch_rows=4)
    expected = losses.answer.mean() + 3.0 * losses.rationale[:2].mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_batches_add_up_to_the_whole_however_they_are_cut(llava: Vlm, rows: list[TrainRow]) -> None:
    rows = [replace(row, weight=weight) for row, weight in zip(rows, (1, 2, 0.5, 1), strict=True)]
    weights = torch.tensor([row.weight for row in rows])
    scale = Scale.of(rows, factor=2.0)
    losses = losses_of(llava, rows)
    whole = float(scale.loss(losses, weights, batch_rows=4))
    by_rows = [
        float(scale.loss(losses_of(llava, [row]), weights[i : i + 1], batch_rows=4))
        for i, row in enumerate(rows)
    ]
    assert sum(by_rows) == pytest.approx(whole, rel=1e-5)
    expected = (weights * losses.answer).sum() / weights.sum()
    expected += 2.0 * (weights * losses.rationale)[:2].sum() / weights[:2].sum()
    assert whole == pytest.approx(float(expected), rel=1e-6)


def test_rows_are_worth_the_same_alone_and_in_a_batch(llava: Vlm, rows: list[TrainRow]) -> None:
    together = losses_of(llava, rows)
    for place, row in enumerate(rows):
        alone = losses_of(llava, [row])
        assert float(alone.answer) == pytest.approx(float(together.answer[place]), rel=1e-5)
        assert float(alone.rationale) == pytest.approx(float(together.rationale[place]), rel=1e-5)


def test_a_tokenizer_that_joins_answer_and_comma_gets_two_forwards(
    llava_folder: Path, rows: list[TrainRow]
) -> None:
    vlm = load_vlm(str(llava_folder), device="cpu")
    vlm.tokenizer.add_tokens(["red,"])
    answer, rationale = examples_of(vlm, rows[:1])
    decode = vlm.tokenizer.decode
    assert decode([token for _, token in answer.answer]) == " red<eos>"
    assert answer.rationale == rationale.answer == ()
    assert decode([token for _, token in rationale.rationale]) == " the cube is red<eos>"
    assert decode(rationale.row.continuation) == " red, seeing that the cube is red"
    assert answer.row_index == rationale.row_index == 0
