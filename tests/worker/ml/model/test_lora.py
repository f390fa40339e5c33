import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from tests.worker.ml.conftest import OPENER
from worker.ml.errors import AdapterError, ModelUnusableError
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import prompt_text
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import (
    adapter_weights,
    add_new_adapter,
    remove_adapters,
    write_adapter,
)
from worker.ml.model.loading import Vlm
from worker.ml.model.lora import find_targets
from worker.ml.types import LoraSettings, Prompt


@pytest.fixture(autouse=True)
def bare(llava: Vlm) -> Iterator[None]:
    yield
    attach_adapter(llava, None)


def make_adapter(vlm: Vlm, folder: Path, settings: LoraSettings, seed: int) -> Path:
    """An adapter that changes something: B is not zero."""
    torch.manual_seed(seed)
    add_new_adapter(vlm.model, settings)
    with torch.no_grad():
        for tensor in adapter_weights(vlm.model).values():
            tensor.normal_(std=0.2)
    write_adapter(vlm.model, folder, vlm.revision)
    remove_adapters(vlm.model)
    return folder


@pytest.fixture
def adapters(llava: Vlm, tmp_path: Path) -> list[Path]:
    return [make_adapter(llava, tmp_path / f"{n}", LoraSettings(), n) for n in range(2)]


def logits_of(vlm: Vlm, pictures: list[Path]) -> torch.Tensor:
    prompt = Prompt(pictures[0], "what is it ?", "red", OPENER)
    row = encoder_of(vlm).row(prompt.image, prompt_text(vlm, prompt))
    with torch.no_grad():
        logits: torch.Tensor = vlm.model(**collate(vlm, [row], pad="right")).logits
    return logits


def test_taking_an_adapter_off_gives_back_the_base_exactly(
    llava: Vlm, adapters: list[Path], pictures: list[Path]
) -> None:
    before = {name: tensor.clone() for name, tensor in llava.model.state_dict().items()}
    base = logits_of(llava, pictures)
    seen = []
    for folder in (*adapters, adapters[0]):
        attach_adapter(llava, folder)
        assert llava.adapter == folder
        seen.append(logits_of(llava, pictures))
    assert not torch.equal(seen[0], base)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    attach_adapter(llava, None)
    assert torch.equal(logits_of(llava, pictures), base)
    after = llava.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_block_with_an_adapter_restores_the_former_one(llava: Vlm, adapters: list[Path]) -> None:
    attach_adapter(llava, adapters[0])
    with adapter_attached(llava, adapters[1]):
        assert llava.adapter == adapters[1]
        with adapter_attached(llava, None):
            assert llava.adapter is None
        assert llava.adapter == adapters[1]
    assert llava.adapter == adapters[0]


def test_an_adapter_written_anew_at_the_same_place_is_read_again(
    llava: Vlm, adapters: list[Path], pictures: list[Path]
) -> None:
    attach_adapter(llava, adapters[0])
    first = logits_of(llava, pictures)
    attach_adapter(llava, None)
    make_adapter(llava, adapters[1], LoraSettings(), 9)
    attach_adapter(llava, adapters[0])
    make_path = adapters[0]
    (make_path / "adapter_model.safetensors").write_bytes(
        (adapters[1] / "adapter_model.safetensors").read_bytes()
    )
    attach_adapter(llava, adapters[0])
    assert not torch.equal(logits_of(llava, pictures), first)


# peft itself asks transformers by a name that is going away.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "settings",
    [
        LoraSettings(),
        LoraSettings(rank=4, rslora=True, targets=("q_proj", "v_proj")),
        LoraSettings(dora=True),
        LoraSettings(tower=True, projector=True),
    ],
)
def test_the_files_are_pefts(
    llava: Vlm, llava_folder: Path, pictures: list[Path], tmp_path: Path, settings: LoraSettings
) -> None:
    folder = make_adapter(llava, tmp_path / "adapter", settings, 5)
    ours = logits_of(attach_adapter(llava, folder), pictures)
    base = AutoModelForImageTextToText.from_pretrained(llava_folder)
    theirs = PeftModel.from_pretrained(base, str(folder)).eval()
    attach_adapter(llava, None)
    plain, llava.model = llava.model, theirs.base_model.model
    try:
        assert torch.allclose(logits_of(llava, pictures), ours, atol=1e-6)
    finally:
        llava.model = plain


def test_the_same_weights_are_the_same_bytes_and_name_no_place(llava: Vlm, tmp_path: Path) -> None:
    one, two = (make_adapter(llava, tmp_path / name, LoraSettings(tower=True), 1) for name in "ab")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    config = json.loads((one / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == llava.revision
    assert str(tmp_path) not in (one / "adapter_config.json").read_text()


def test_where_lora_goes(llava: Vlm) -> None:
    def targets(**settings: object) -> list[str]:
        return find_targets(llava.model, LoraSettings(**settings))  # type: ignore[arg-type]

    everywhere = targets()
    assert len(everywhere) == 14
    assert all("language_model" in name for name in everywhere)
    assert not any("lm_head" in name for name in everywhere)
    assert {n.rsplit(".", 1)[-1] for n in targets(targets=("q_proj",))} == {"q_proj"}
    with_all = targets(tower=True, projector=True)
    assert any("vision_tower" in name for name in with_all)
    assert any("multi_modal_projector" in name for name in with_all)
    with pytest.raises(ModelUnusableError, match=r"No module .* are called .*q_proj"):
        targets(targets=("query_key_value",))


def test_an_adapter_of_another_base_is_refused(
    llava: Vlm, adapters: list[Path], pictures: list[Path]
) -> None:
    base = logits_of(llava, pictures)
    config_file = adapters[0] / "adapter_config.json"
    config = json.loads(config_file.read_text())
    config["target_modules"] = ["model.elsewhere.q_proj"]
    config_file.write_text(json.dumps(config))
    with pytest.raises(AdapterError, match="does not fit this base model"):
        attach_adapter(llava, adapters[0])
    assert llava.adapter is None
    assert torch.equal(logits_of(llava, pictures), base)
    config["target_modules"] = find_targets(llava.model, LoraSettings())
    config["r"] = 3
    config_file.write_text(json.dumps(config))
    with pytest.raises(AdapterError, match="differ in shape"):
        attach_adapter(llava, adapters[0])
    assert torch.equal(logits_of(llava, pictures), base)


def test_a_missing_or_torn_adapter(llava: Vlm, adapters: list[Path], tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no adapter that can be read"):
        attach_adapter(llava, tmp_path / "nowhere")
    weights = adapters[0] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(AdapterError, match="fetch it again"):
        attach_adapter(llava, adapters[0])
    (adapters[1] / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(AdapterError, match="a IA3 adapter, not LoRA"):
        attach_adapter(llava, adapters[1])
