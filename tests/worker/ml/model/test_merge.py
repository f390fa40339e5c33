"""A merged model is the base's folder with other numbers in the layers that were adapted."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.models.families import FAMILIES
from tests.support.models.parts import KINDS_OF_TESTS, PROJECTORS, several_parts, write_random
from worker.ml.errors import AdapterError
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import PromptText
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import add_new_adapter, remove_adapters, write_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.lora import adapted_layers
from worker.ml.model.merge import merge_adapter, own_dtype
from worker.ml.model.modules.kinds import KINDS
from worker.ml.types import AdapterSettings, LoraSettings, ModuleSettings

WEIGHTS = "model.safetensors"


def stored_as(folder: Path, dtype: torch.dtype) -> None:
    """The model in another number type, but for its norms, as some checkpoints are."""
    tensors = load_file(folder / WEIGHTS)
    changed = {n: t if "norm" in n else t.to(dtype) for n, t in tensors.items()}
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": str(dtype).split(".")[1]}))


def adapter_for(vlm: Vlm, place: Path, lora: LoraSettings) -> Path:
    torch.manual_seed(0)
    add_new_adapter(vlm.model, lora)
    with torch.no_grad():
        for _, layer in adapted_layers(vlm.model):
            for part in layer.lora_B.values():
                part.weight.normal_(std=0.1)
    write_adapter(vlm.model, place / "adapter", vlm.revision)
    remove_adapters(vlm.model)
    return publish_adapter(place / "adapter", place / "store", {})[1]


def logits_of(vlm: Vlm, picture: Path) -> torch.Tensor:
    text = PromptText(f"{vlm.processor.image_token}Q: what is it?", " red")
    row = encoder_of(vlm).row(picture, text)
    with torch.no_grad():
        found: torch.Tensor = vlm.model(**collate(vlm, [row], pad="left")).logits
    return found


@pytest.mark.parametrize("lora", [LoraSettings(rank=2), LoraSettings(rank=2, dora=True)])
def test_number_types_and_files_are_those_of_the_base(
    tmp_path: Path, pictures: list[Path], lora: LoraSettings
) -> None:
    base, out = tmp_path / "model", tmp_path / "merged"
    FAMILIES["llava"](base)
    stored_as(base, torch.bfloat16)
    (base / "extra_tokens.txt").write_text("a file of the tokenizer's own")
    (base / "second_tokenizer").mkdir()
    (base / "second_tokenizer" / "tokenizer.json").write_text("{}")
    (base / "original").mkdir()
    (base / "original" / "consolidated.pth").write_bytes(b"the same weights once more")
    (base / "README.md").write_text("The base.")
    assert own_dtype(base) == "bfloat16"
    vlm = load_vlm(str(base), device="cpu", dtype="float32")
    adapter = adapter_for(vlm, tmp_path, lora)
    merge_adapter(str(base), adapter, out)

    own, merged = load_file(base / WEIGHTS), load_file(out / WEIGHTS)
    assert {n: t.dtype for n, t in merged.items()} == {n: t.dtype for n, t in own.items()}
    changed = {name for name in own if not torch.equal(own[name], merged[name])}
    assert len(changed) == 14
    assert all("language_model" in name for name in changed)
    for path in base.iterdir():
        if path.is_file() and path.name not in {WEIGHTS, "README.md"}:
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert not (out / "README.md").exists()
    assert (out / "second_tokenizer" / "tokenizer.json").read_text() == "{}"
    assert not (out / "original").exists()
    with safe_open(out / WEIGHTS, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    with adapter_attached(vlm, adapter):
        expected = logits_of(vlm, pictures[0])
    got = logits_of(load_vlm(str(out), device="cpu"), pictures[0])
    assert float((got - expected).abs().max()) < 0.05 * float(expected.std())


def test_another_number_type_can_be_asked_for(tmp_path: Path) -> None:
    FAMILIES["llava"](tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    adapter = adapter_for(vlm, tmp_path, LoraSettings(rank=2))
    merge_adapter(str(tmp_path / "model"), adapter, tmp_path / "out", dtype="bfloat16")
    assert own_dtype(tmp_path / "out") == "bfloat16"
    assert load_vlm(str(tmp_path / "out"), device="cpu").model is not None


def test_every_set_and_tuned_modules_are_merged(tmp_path: Path, pictures: list[Path]) -> None:
    base, out = tmp_path / "model", tmp_path / "merged"
    FAMILIES["llava"](base)
    vlm = load_vlm(str(base), device="cpu")
    source = write_random(vlm, tmp_path / "adapter", several_parts("llava", dora=True))
    _, adapter = publish_adapter(source, tmp_path / "store", {})
    merge_adapter(str(base), adapter, out)
    own, merged = load_file(base / WEIGHTS), load_file(out / WEIGHTS)
    changed = {name for name in own if not torch.equal(own[name], merged[name])}
    assert {name.split(".")[0] for name in changed} == {
        *("language_model", "vision_tower", "multi_modal_projector")
    }
    bare = logits_of(vlm, pictures[0])
    with adapter_attached(vlm, adapter):
        expected = logits_of(vlm, pictures[0])
    got = logits_of(load_vlm(str(out), device="cpu"), pictures[0])
    assert torch.allclose(got, expected, atol=1e-4)
    assert not torch.allclose(bare, expected, atol=1e-2)


def test_a_module_that_is_no_weights_of_the_base_is_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "shift_before", KINDS_OF_TESTS["shift_before"])
    FAMILIES["llava"](tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    module = ModuleSettings("shift_before", PROJECTORS["llava"], {"width": 32})
    settings = AdapterSettings(LoraSettings(rank=1), {}, {"prototypes": module})
    source = write_random(vlm, tmp_path / "adapter", settings)
    _, adapter = publish_adapter(source, tmp_path / "store", {})
    with pytest.raises(AdapterError, match=r"prototypes \(shift_before\) is no .* Sample locally"):
        merge_adapter(str(tmp_path / "model"), adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_refused_by_its_digest(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        FAMILIES["llava"](tmp_path / name, seed=seed)  # type: ignore[call-arg]
    one, two = (load_vlm(str(tmp_path / name), device="cpu") for name in ("one", "two"))
    adapter = adapter_for(one, tmp_path, LoraSettings(rank=2))
    attach_adapter(one, adapter)
    with pytest.raises(AdapterError, match=one.revision) as refused:
        attach_adapter(two, adapter)
    assert two.revision in refused.value.message
    assert two.adapter is None
    with pytest.raises(AdapterError, match=one.revision):
        merge_adapter(str(tmp_path / "two"), adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()
