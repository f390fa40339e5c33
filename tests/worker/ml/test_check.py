from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.models.families import build_llava
from worker.ml.check import check_model
from worker.ml.errors import MlError
from worker.ml.model.loading import load_vlm
from worker.ml.proof.merge import prove_merge
from worker.ml.types import Example, LoraSettings


def test_the_report_shows_what_a_project_would_get(
    llava_folder: Path, pictures: list[Path]
) -> None:
    report = check_model(
        str(llava_folder),
        images=pictures,
        questions=["what is it ?", "is it red ?", "how many ?"],
        device="cpu",
    )
    assert (report.family, report.device, report.dtype) == ("llava", "cpu", "float32")
    assert report.train_text == "<image>Q: what is it ? A: yes, seeing that it is there"
    assert report.trainable_parameters == sum(t.lora_parameters for t in report.targets) == 8192
    assert [t.part for t in report.targets] == ["language"]
    assert report.targets[0].n_modules == 14
    assert report.weight_bytes == 4 * report.parameters
    assert report.reason is None
    assert [(line.name, line.holds) for line in report.proof] == [
        (name, True)
        for name in (
            *("weights", "picture", "progress", "agreement", "lora", "learning"),
            *("parts", "merge"),
        )
    ]
    assert [item.question for item in report.items] == ["what is it ?", "is it red ?", "how many ?"]
    first = report.items[0]
    assert first.answer_prompt == "<image>Q: what is it ? A:"
    assert first.rationale_prompt.startswith(first.answer_prompt + " ")
    assert first.rationale_prompt.endswith(", seeing that")
    assert first.rationale.n_tokens is not None
    assert first.rationale.n_tokens > 0


def test_something_to_look_at_is_needed(llava_folder: Path) -> None:
    with pytest.raises(MlError, match="at least one image and one question"):
        check_model(str(llava_folder), images=[], questions=["?"])


def test_a_model_that_fails_its_proof_is_reported_with_the_reason(
    tmp_path: Path, pictures: list[Path]
) -> None:
    build_llava(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    tensors = load_file(weights)
    blind = {n: t * 0 if "multi_modal_projector" in n else t for n, t in tensors.items()}
    save_file(blind, weights, metadata={"format": "pt"})
    report = check_model(
        str(tmp_path / "model"), images=pictures, questions=["what is it ?"] * 3, device="cpu"
    )
    assert [line.name for line in report.proof] == ["weights", "picture"]
    assert report.reason is not None
    assert "does not see the pictures" in report.reason
    assert report.items == ()


@pytest.mark.parametrize("dora", [False, True])
def test_a_large_model_is_merged_layer_by_layer(
    llava_folder: Path, rows: list[Example], monkeypatch: pytest.MonkeyPatch, dora: bool
) -> None:
    monkeypatch.setattr("worker.ml.proof.merge.LARGE_BYTES", 1)
    vlm = load_vlm(str(llava_folder), device="cpu")
    before = {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}
    line = prove_merge(vlm, str(llava_folder), rows[0], LoraSettings(rank=2, dora=dora))
    assert line.holds, line.text
    assert "what the merge changes was written" in line.text
    assert all(torch.equal(before[n], t) for n, t in vlm.model.state_dict().items())
