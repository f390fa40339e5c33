from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.models.examples import (
    answer_of,
    encode_all,
    plain_losses,
    rationale_of,
    targets_of,
)
from tests.support.models.families import build_llava, build_paligemma, build_qwen
from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import read_image
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.losses import Losses, Scale
from worker.ml.types import Example, Part


def losses_of(vlm: Vlm, rows: list[Example]) -> Losses:
    return plain_losses(vlm, encode_all(vlm, rows))


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


def test_one_forward_gives_the_losses_of_two(llava: Vlm, rows: list[Example]) -> None:
    with torch.no_grad():
        losses = losses_of(llava, rows)
    for place, row in enumerate(rows):
        said, why = answer_of(row), rationale_of(row)
        asked = f"<image>Q: {row.question} A:"
        assert row.image is not None
        answer = two_forward_loss(llava, row.image, asked, f" {said}")
        assert float(losses.of("answer")[place]) == pytest.approx(answer, rel=1e-5)
        if why is None:
            assert float(losses.of("rationale")[place]) == 0.0
        else:
            begun = f"{asked} {said}{row.parts[1].text}"
            rationale = two_forward_loss(llava, row.image, begun, f" {why}")
            assert float(losses.of("rationale")[place]) == pytest.approx(rationale, rel=1e-5)
    assert losses.counts.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_only_answer_and_rationale_and_their_ends_are_learned(
    llava: Vlm, rows: list[Example]
) -> None:
    decode = llava.tokenizer.decode
    for sequence, row in zip(encode_all(llava, rows), rows, strict=True):
        answer = decode([token for _, token in targets_of(sequence, "answer")])
        assert answer == f" {answer_of(row)}<eos>"
        why = rationale_of(row)
        rationale = decode([token for _, token in targets_of(sequence, "rationale")])
        assert rationale == (f" {why}<eos>" if why else "")
        places = [place for place, _ in sequence.targets]
        assert min(places) == sequence.row.text["input_ids"].shape[1] - 1  # the prompt's last


def test_a_batch_without_rationales_is_no_nan_and_teaches_answers(
    llava: Vlm, rows: list[Example]
) -> None:
    losses = losses_of(llava, rows[2:])
    weights = torch.ones(2)
    loss = Scale.of(rows, {"rationale": 7.0}).loss(losses, weights, 2)
    assert torch.isfinite(loss)
    assert float(loss) == pytest.approx(float(losses.of("answer").mean()), rel=1e-6)


def test_the_loss_is_the_papers(llava: Vlm, rows: list[Example]) -> None:
    losses = losses_of(llava, rows)
    loss = Scale.of(rows, {"answer": 1.0, "rationale": 3.0}).loss(losses, torch.ones(4), 4)
    expected = losses.of("answer").mean() + 3.0 * losses.of("rationale")[:2].mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_batches_add_up_to_the_whole_however_they_are_cut(llava: Vlm, rows: list[Example]) -> None:
    rows = [replace(row, weight=weight) for row, weight in zip(rows, (1, 2, 0.5, 1), strict=True)]
    weights = torch.tensor([row.weight for row in rows])
    scale = Scale.of(rows, {"rationale": 2.0})
    losses = losses_of(llava, rows)
    whole = float(scale.loss(losses, weights, 4))
    by_rows = [
        float(scale.loss(losses_of(llava, [row]), weights[i : i + 1], 4))
        for i, row in enumerate(rows)
    ]
    assert sum(by_rows) == pytest.approx(whole, rel=1e-5)
    answers, rationales = losses.of("answer"), losses.of("rationale")
    expected = (weights * answers).sum() / weights.sum()
    expected += 2.0 * (weights * rationales)[:2].sum() / weights[:2].sum()
    assert whole == pytest.approx(float(expected), rel=1e-6)


def test_rows_are_worth_the_same_alone_and_in_a_batch(llava: Vlm, rows: list[Example]) -> None:
    together = losses_of(llava, rows)
    for place, row in enumerate(rows):
        alone = losses_of(llava, [row]).values[:, 0]
        assert torch.allclose(alone, together.values[:, place], rtol=1e-5)


def test_a_tokenizer_that_joins_answer_and_comma_gets_two_forwards(
    llava_folder: Path, rows: list[Example]
) -> None:
    vlm = load_vlm(str(llava_folder), device="cpu")
    vlm.tokenizer.add_tokens(["red,"])
    answer, rationale = encode_all(vlm, rows[:1])
    decode = vlm.tokenizer.decode
    assert decode([token for _, token in answer.targets]) == " red<eos>"
    assert [name for name, _ in (*answer.learned, *rationale.learned)] == ["answer", "rationale"]
    assert decode([token for _, token in rationale.targets]) == " the cube is red<eos>"
    assert decode(rationale.row.continuation) == " red, seeing that the cube is red"
    assert answer.index == rationale.index == 0


def test_any_parts_are_learned_each_with_its_end_after_all_before_it(
    llava: Vlm, pictures: list[Path]
) -> None:
    """Two turns of a talk: what was seen is read, what was asked and concluded is learned."""
    texts = (" what is left ?", " a cube .", " is it red ?", " yes .", " red")
    losses = ("turn", None, "turn", None, "final")
    parts = tuple(Part(text, name) for text, name in zip(texts, losses, strict=True))
    talk = Example(pictures[0], "what colour ?", (Part("so", None), *parts))
    [sequence] = encode_all(llava, [talk])
    begun = "<image>Q: what colour ? A: so"
    expected = []
    for text, name in zip(texts, losses, strict=True):
        if name is not None:
            expected.append((name, two_forward_loss(llava, pictures[0], begun, text)))
        begun += text
    found = []
    with torch.no_grad():
        for name, targets in sequence.learned:
            rows = torch.tensor([at for at, _ in targets])
            batch = {"input_ids": torch.tensor([[*sequence.row.text["input_ids"][0].tolist(),
                     *sequence.row.continuation]]), **sequence.row.image}  # fmt: skip
            logits = llava.model(**batch).logits[0, rows]
            tokens = torch.tensor([token for _, token in targets])
            found.append((name, float(torch.nn.functional.cross_entropy(logits, tokens))))
    assert (
        [name for name, _ in found] == [name for name, _ in expected] == ["turn", "turn", "final"]
    )
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_each_loss_is_a_mean_over_all_its_parts_in_the_set(pictures: list[Path]) -> None:
    def talk(n_turns: int, weight: float) -> Example:
        turns = [Part(f" turn {number}", "turn") for number in range(n_turns)]
        return Example(pictures[0], "?", (*turns, Part(" red", "final")), weight)

    examples = [talk(3, 1.0), talk(1, 2.0)]
    scale = Scale.of(examples, {"turn": 0.5})
    assert scale.factors == {"turn": 0.5 / 5.0, "final": 1.0 / 3.0}
    values = torch.tensor([[6.0, 4.0], [1.0, 2.5]])  # sums over the turns, and the finals
    losses = Losses(scale.names, values, torch.tensor([[3.0, 1.0], [1.0, 1.0]]))
    whole = scale.loss(losses, torch.tensor([1.0, 2.0]), 2)
    assert float(whole) == pytest.approx(0.5 * (6 + 2 * 4) / 5 + (1 + 2 * 2.5) / 3)


@pytest.mark.parametrize("build", [build_llava, build_qwen], ids=["plain", "chat"])
def test_an_example_without_a_picture_is_read_without_one(
    build: Callable[[Path], None], tmp_path: Path
) -> None:
    build(tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    example = Example(None, "what is it ?", (Part("red", "answer"),))
    [sequence] = encode_all(vlm, [example])
    assert sequence.row.image == {}
    assert vlm.config.image_token_id not in sequence.row.text["input_ids"][0].tolist()
    losses = plain_losses(vlm, [sequence])
    assert torch.isfinite(losses.of("answer")).all()


def test_a_family_that_needs_a_picture_says_so(tmp_path: Path) -> None:
    build_paligemma(tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    with pytest.raises(ModelUnusableError, match="takes no prompt without a picture"):
        encode_all(vlm, [Example(None, "what is it ?", (Part("red", "answer"),))])


def test_an_example_has_something_to_learn() -> None:
    with pytest.raises(ValueError, match="must have a part that is learned"):
        Example(None, "?", (Part("red", None),))
