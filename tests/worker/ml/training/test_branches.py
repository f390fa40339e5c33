"""Examples of one item in one sequence: the losses and gradients of a row each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.models.examples import NAMES, encode_all, plain_losses, with_rationale
from tests.worker.ml.conftest import OPENER
from worker.ml.inputs.prompts import explained
from worker.ml.model.contents import add_new_adapter, remove_adapters, trainable
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.branches import RULE, Tree, can_branch, join, tree_losses
from worker.ml.training.losses import Losses, Scale
from worker.ml.types import Example, LoraSettings, Part

RATIONALES = ("the cube is red", "there are two balls and one large cone on the left", "no")


@pytest.fixture
def rows(pictures: list[Path]) -> list[Example]:
    """Three rationales of one item, one of another, an item without."""
    question = "what colour is the cube ?"
    return [
        *(explained(pictures[0], question, "red", text, OPENER) for text in RATIONALES),
        explained(pictures[1], "how many ?", "two", "there are two", OPENER, weight=2.0),
        explained(pictures[2], "what is there ?", "a ball", None, OPENER),
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


def trees_of(vlm: Vlm, rows: list[Example]) -> list[Tree]:
    sequences = encode_all(vlm, rows)
    assert can_branch(vlm, sequences[:2])
    return [join(sequences[:3]), join(sequences[3:4]), join(sequences[4:])]


def gradients(vlm: Vlm, losses: Losses, examples: list[Example]) -> list[torch.Tensor]:
    weights = torch.tensor([example.weight for example in examples])
    loss = Scale.of(examples, {"rationale": 3.0}).loss(losses, weights, len(examples))
    vlm.model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return [p.grad.clone() for p in trainable(vlm.model) if p.grad is not None]


def assert_same_gradients(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert float(other.abs().max()) > 0
        assert torch.allclose(one, other, atol=1e-5 * max(1.0, float(other.abs().max())))


def test_losses_and_gradients_are_those_of_a_row_each(adapted: Vlm, rows: list[Example]) -> None:
    trees = trees_of(adapted, rows)
    assert [len(tree.indices) for tree in trees] == [3, 1, 1]
    shared, indices = tree_losses(adapted, adapted.model, trees, NAMES)
    assert indices == [0, 1, 2, 3, 4]
    ours = gradients(adapted, shared, rows)
    plain = plain_losses(adapted, encode_all(adapted, rows))
    theirs = gradients(adapted, plain, rows)
    assert torch.allclose(shared.values, plain.values, atol=1e-5)
    assert torch.equal(shared.counts, plain.counts)
    assert_same_gradients(ours, theirs)


def test_talks_share_all_turns_that_they_have_in_common(adapted: Vlm, pictures: list[Path]) -> None:
    """A tree of several levels: two talks part after the first turn, one before it, and one ends
    where another goes on."""

    def talk(*turns: str) -> Example:
        parts = [
            part
            for number, turn in enumerate(turns)
            for part in (Part(turn, "turn"), Part(f" seen {number}", None))
        ]
        return Example(pictures[0], "what ?", (*parts, Part(" red", "final")))

    asked = (" what is left ?", " is it red ?", " how large is it ?")
    examples = [talk(asked[0], asked[1]), talk(asked[0], asked[2]), talk(asked[1]), talk(asked[0])]
    names = ("turn", "final")
    sequences = encode_all(adapted, examples)
    assert can_branch(adapted, sequences[:2])
    tree = join(sequences)
    once = sum(len(sequence.row.continuation) for sequence in sequences)
    assert len(tree.row.continuation) < once
    assert [node.paths for node in tree.nodes if node.parent is None] == [(0, 1, 3), (2,)]
    shared, indices = tree_losses(adapted, adapted.model, [tree], names)
    assert indices == [0, 1, 2, 3]
    assert shared.counts.tolist() == [[2, 2, 1, 1], [1, 1, 1, 1]]
    ours = gradients(adapted, shared, examples)
    apart, _ = tree_losses(adapted, adapted.model, [join([one]) for one in sequences], names)
    assert torch.allclose(shared.values, apart.values, atol=1e-5)
    assert_same_gradients(ours, gradients(adapted, apart, examples))


def test_a_shared_prompt_is_computed_once(llava: Vlm, rows: list[Example]) -> None:
    sequences = encode_all(llava, rows[:3])
    tree = join(sequences)
    rationales = [len(sequence.pieces[-1].tokens) for sequence in sequences]
    shared = sequences[0].row.length - rationales[0]
    assert tree.row.length == shared + sum(rationales)
    assert [node.start for node in tree.nodes if node.piece.loss == "rationale"] == [
        shared,
        shared + rationales[0],
        shared + rationales[0] + rationales[1],
    ]


def test_the_same_example_twice_is_computed_once(llava: Vlm, rows: list[Example]) -> None:
    tree = join(encode_all(llava, [rows[0], rows[0]]))
    assert not tree.has_branches
    with torch.no_grad():
        losses, indices = tree_losses(llava, llava.model, [tree], NAMES)
    assert indices == [0, 1]
    assert torch.equal(losses.values[:, 0], losses.values[:, 1])


def test_rationales_do_not_see_each_other(adapted: Vlm, rows: list[Example]) -> None:
    others = [*rows[:1], with_rationale(rows[1], "yes"), *rows[2:]]
    with torch.no_grad():
        one, other = (
            tree_losses(adapted, adapted.model, trees_of(adapted, given), NAMES)[0].of("rationale")
            for given in (rows, others)
        )
    same = [0, 2, 3, 4]
    assert torch.allclose(one[same], other[same], atol=1e-5)
    assert float(one[1]) != pytest.approx(float(other[1]), abs=1e-3)


def test_other_answers_share_the_picture_and_the_question(
    adapted: Vlm, rows: list[Example]
) -> None:
    blue = explained(rows[0].image, rows[0].question, "blue", RATIONALES[1], OPENER)
    examples = [rows[0], blue]
    sequences = encode_all(adapted, examples)
    assert can_branch(adapted, sequences)
    tree = join(sequences)
    assert len([node for node in tree.nodes if node.parent is None]) == 2
    with torch.no_grad():
        losses, _ = tree_losses(adapted, adapted.model, [tree], NAMES)
        plain = plain_losses(adapted, sequences)
    assert torch.allclose(losses.values, plain.values, atol=1e-5)


def test_an_answer_that_needs_a_sequence_of_its_own_counts_once(
    llava_folder: Path, rows: list[Example]
) -> None:
    vlm = load_vlm(str(llava_folder), device="cpu")
    vlm.tokenizer.add_tokens(["red,"])
    vlm.model.resize_token_embeddings(len(vlm.tokenizer))
    sequences = encode_all(vlm, rows[:2])
    assert can_branch(vlm, [sequences[1], sequences[3]])
    with torch.no_grad():
        plain = plain_losses(vlm, sequences)
        losses, indices = tree_losses(vlm, vlm.model, [join(sequences)], NAMES)
    assert indices == [0, 0, 1, 1]
    assert losses.counts.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]
    assert torch.allclose(losses.of("answer")[::2], plain.of("answer"), atol=1e-5)
    assert torch.allclose(losses.of("rationale")[1::2], plain.of("rationale"), atol=1e-5)


@pytest.mark.parametrize("reason", ["attention", "layers", "other logits", "an error"])
def test_a_model_that_cannot_share_is_found_out(
    llava_folder: Path,
    rows: list[Example],
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
    assert can_branch(vlm, encode_all(vlm, rows[:2])) is False
    assert vlm.memo[RULE] is None
    assert "shares prompts among examples: None" in caplog.text
