"""A model is proved on what it does, not on what its family is called; each line can fail."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.models.families import build_llava
from worker.ml.errors import ModelUnusableError, Stopped
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import add_new_adapter, remove_adapters, write_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.proof.lines import Proof, ProofLine
from worker.ml.proof.prove import prove
from worker.ml.sampling.generate import sample
from worker.ml.types import Draw, LoraSettings, Prompt, SampleConfig

OPENER = ", seeing that"
LORA = LoraSettings(rank=2)


@pytest.fixture
def vlm(tmp_path: Path) -> Vlm:
    """One of its own, to be spoilt."""
    build_llava(tmp_path / "model")
    return load_vlm(str(tmp_path / "model"), device="cpu")


def proof_of(vlm: Vlm, pictures: list[Path], lora: LoraSettings = LORA) -> Proof:
    return prove(vlm, [(picture, "what is it ?") for picture in pictures], lora, opener=OPENER)


def failed_line(proof: Proof) -> ProofLine:
    assert [line.holds for line in proof.lines] == [True] * (len(proof.lines) - 1) + [False]
    assert proof.reason == proof.lines[-1].text
    assert "\n" not in proof.reason
    return proof.lines[-1]


def test_a_sound_model_is_left_as_it_was(vlm: Vlm, pictures: list[Path]) -> None:
    before = {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    proof = proof_of(vlm, pictures)
    assert torch.equal(torch.rand(3), expected)  # nobody's random numbers were used up
    assert proof.reason is None
    assert [line.name for line in proof.lines] == [
        "weights", "picture", "progress", "agreement", "lora", "learning",
    ]  # fmt: skip
    after = vlm.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not vlm.model.training


def test_the_adapter_that_is_on_comes_back(vlm: Vlm, pictures: list[Path], tmp_path: Path) -> None:
    add_new_adapter(vlm.model, LORA)
    write_adapter(vlm.model, tmp_path / "adapter", vlm.revision)
    remove_adapters(vlm.model)
    attach_adapter(vlm, tmp_path / "adapter")
    assert proof_of(vlm, pictures).reason is None
    assert vlm.adapter == tmp_path / "adapter"


def test_weights_that_are_no_numbers(vlm: Vlm, pictures: list[Path]) -> None:
    with torch.no_grad():
        vlm.model.get_decoder().layers[1].mlp.up_proj.weight[0, 0] = torch.inf
    line = failed_line(proof_of(vlm, pictures))
    assert (line.name, line.figure) == ("weights", 1)
    assert "layers.1.mlp.up_proj.weight" in line.text


def test_a_picture_that_never_arrives(vlm: Vlm, pictures: list[Path]) -> None:
    with torch.no_grad():
        for parameter in vlm.model.model.multi_modal_projector.parameters():
            parameter.zero_()
    line = failed_line(proof_of(vlm, pictures))
    assert (line.name, line.figure) == ("picture", 0)
    assert "does not see the pictures" in line.text


class OwnGenerate:
    """A family's `generate` that does not ask anybody which token comes next."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.cat([input_ids, input_ids[:, -1:]], dim=1)


def test_a_pass_that_ends_no_draw(vlm: Vlm, pictures: list[Path]) -> None:
    vlm.model.generate = OwnGenerate(vlm.model)
    line = failed_line(proof_of(vlm, pictures))
    assert line.name == "progress"
    assert "a pass ended 0 of its" in line.text


@pytest.mark.timeout(60)
def test_sampling_itself_stops_at_a_pass_that_ends_no_draw(vlm: Vlm, pictures: list[Path]) -> None:
    vlm.model.generate = OwnGenerate(vlm.model)
    draw = Draw(Prompt(pictures[0], "what is it ?", None, OPENER), 0.5, 1)
    with pytest.raises(ModelUnusableError, match="a pass ended 0 of its 1 draws"):
        sample(vlm, [draw], SampleConfig(4))


def spoil_forward(vlm: Vlm, when: str) -> None:
    """Lets the model read a text differently in one of its modes, as some families do."""
    forward = vlm.model.forward

    @functools.wraps(forward)  # `generate` reads the signature
    def spoilt(*args: Any, **kwargs: Any) -> Any:
        outputs = forward(*args, **kwargs)
        is_mode = when == "always" or vlm.model.training
        if is_mode and kwargs.get("use_cache") is False:
            outputs.logits = outputs.logits.roll(1, dims=1)
        return outputs

    vlm.model.forward = spoilt


def test_training_that_reads_other_places_than_sampling(vlm: Vlm, pictures: list[Path]) -> None:
    spoil_forward(vlm, "always")
    line = failed_line(proof_of(vlm, pictures))
    assert line.name == "agreement"
    assert line.figure is not None
    assert line.figure > 1
    assert "while sampling and" in line.text


def test_training_that_reads_other_places_only_while_it_learns(
    vlm: Vlm, pictures: list[Path]
) -> None:
    spoil_forward(vlm, "train")
    line = failed_line(proof_of(vlm, pictures))
    assert line.name == "learning"
    assert "reads a text differently while it learns" in line.text


def test_lora_on_what_reads_the_picture(vlm: Vlm, pictures: list[Path]) -> None:
    vlm.model.get_decoder = lambda: vlm.model  # a family that does not name its language model
    vlm.model.get_encoder = lambda **_: torch.nn.Identity()
    line = failed_line(proof_of(vlm, pictures))
    assert line.name == "lora"
    assert "14 of 28 modules" in line.text
    proof = proof_of(vlm, pictures, LoraSettings(rank=2, tower=True))
    assert proof.reason is None
    (lora,) = (line for line in proof.lines if line.name == "lora")
    assert lora.text.endswith("14 in the language model, 14 in what reads the picture.")


def test_lora_targets_that_are_not_there(vlm: Vlm, pictures: list[Path]) -> None:
    line = failed_line(proof_of(vlm, pictures, LoraSettings(rank=2, targets=("nothing",))))
    assert line.name == "lora"
    assert "Its linear modules are called" in line.text


def test_a_model_that_does_not_learn(vlm: Vlm, pictures: list[Path]) -> None:
    forward = vlm.model.forward

    @functools.wraps(forward)
    def detached(*args: Any, **kwargs: Any) -> Any:
        outputs = forward(*args, **kwargs)
        zero = 0.0 * sum(p.sum() for p in vlm.model.parameters() if p.requires_grad)
        outputs.logits = outputs.logits.detach() + zero
        return outputs

    vlm.model.forward = detached
    line = failed_line(proof_of(vlm, pictures))
    assert line.name == "learning"
    assert "0 of 14 adapted modules" in line.text


def test_whatever_a_family_objects_to_is_a_sentence(vlm: Vlm, pictures: list[Path]) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("no such thing\nwith a second line")

    vlm.model.forward = refuse
    line = failed_line(proof_of(vlm, pictures))
    assert "NotImplementedError: no such thing." in line.text


def test_a_proof_can_be_stopped(vlm: Vlm, pictures: list[Path]) -> None:
    pairs = [(picture, "what is it ?") for picture in pictures]
    with pytest.raises(Stopped):
        prove(vlm, pairs, LORA, opener=OPENER, should_stop=lambda: True)
    assert vlm.adapter is None
