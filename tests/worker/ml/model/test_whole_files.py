"""A model that is not whole, or not of a kind that can be trained, is refused by name before it is
used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.models.families import build_llava
from worker.ml.errors import ModelUnusableError
from worker.ml.model.loading import load_vlm

WEIGHTS = "model.safetensors"


@pytest.fixture
def copy(llava_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llava_folder, tmp_path / "model"))


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors = change(tensors) or tensors
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def configured(folder: Path, **changed: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))


def sharded(folder: Path) -> list[Path]:
    """The weights in two files with their index."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    parts = [names[::2], names[1::2]]
    files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for part, file in zip(parts, files, strict=True):
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for part, file in zip(parts, files, strict=True) for name in part}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / WEIGHTS).unlink()
    return [folder / file for file in files]


def refusal_of(folder: Path) -> str:
    with pytest.raises(ModelUnusableError) as refused:
        load_vlm(str(folder), device="cpu")
    message = refused.value.message
    assert "\n" not in message
    assert len(message) < 900
    return message


def test_a_checkpoint_without_its_vision_tower(copy: Path) -> None:
    rewritten(copy, lambda all_: {k: v for k, v in all_.items() if "vision_tower" not in k})
    said = refusal_of(copy)
    assert "its files lack 39 tensors" in said
    assert "model.vision_tower." in said
    assert "Download it again" in said


def test_a_checkpoint_with_another_prefix(copy: Path) -> None:
    def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            name.replace("multi_modal_projector", "connector"): value
            for name, value in tensors.items()
        }

    rewritten(copy, renamed)
    said = refusal_of(copy)
    assert "multi_modal_projector.linear_1.bias" in said
    assert "connector.linear_1.bias" in said


def test_a_checkpoint_of_more_layers_than_its_config(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    configured(copy, text_config=config["text_config"] | {"num_hidden_layers": 1})
    assert "layers.1." in refusal_of(copy)


def test_a_checkpoint_of_another_shape_than_its_config(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    configured(copy, text_config=config["text_config"] | {"intermediate_size": 96})
    assert "down_proj.weight has 32 × 64 numbers, the config wants 32 × 96" in refusal_of(copy)


@pytest.mark.parametrize("kept", [0, 1])
def test_one_shard_of_two(copy: Path, kept: int) -> None:
    files = sharded(copy)
    files[1 - kept].unlink()
    said = refusal_of(copy)
    assert f"lacks 1 of its 2 weight files: {files[1 - kept].name}" in said


def test_shards_are_taken_when_they_are_all_there(copy: Path) -> None:
    sharded(copy)
    assert load_vlm(str(copy), device="cpu").model is not None


def test_one_shard_of_two_that_pretends_to_be_all(copy: Path) -> None:
    shutil.move(sharded(copy)[0], copy / WEIGHTS)
    assert "its files lack" in refusal_of(copy)


def test_shards_without_their_index(copy: Path) -> None:
    sharded(copy)
    (copy / "model.safetensors.index.json").unlink()
    assert "no model.safetensors.index.json" in refusal_of(copy)


def test_an_index_that_names_what_no_shard_holds(copy: Path) -> None:
    files = sharded(copy)
    tensors = load_file(files[0])
    lost = sorted(tensors)[0]
    del tensors[lost]
    save_file(tensors, files[0], metadata={"format": "pt"})
    assert f"the tensor ({lost})" in refusal_of(copy)


def test_an_index_that_cannot_be_read(copy: Path) -> None:
    sharded(copy)
    (copy / "model.safetensors.index.json").write_text('{"weight_map": [1]}')
    assert "model.safetensors.index.json" in refusal_of(copy)


@pytest.mark.parametrize("n_bytes", [0, 7, 200, 100_000])
def test_weights_cut_short(copy: Path, n_bytes: int) -> None:
    whole = (copy / WEIGHTS).read_bytes()
    assert len(whole) > 100_000
    (copy / WEIGHTS).write_bytes(whole[:n_bytes])
    said = refusal_of(copy)
    assert "model.safetensors" in said
    assert "is damaged" in said


def test_a_page_of_html_in_place_of_weights(copy: Path) -> None:
    (copy / WEIGHTS).write_text("<!doctype html><html><title>Sign in</title></html>" * 40)
    assert "is damaged" in refusal_of(copy)


@pytest.mark.parametrize("file", [WEIGHTS, "tokenizer.json", "config.json"])
def test_git_lfs_pointers(copy: Path, file: str) -> None:
    (copy / file).write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456789\n"
    )
    said = refusal_of(copy)
    assert f"pointers in place of files ({file})" in said
    assert "git lfs pull" in said


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "mxfp4", "bitsandbytes", "something"])
def test_a_quantized_model(copy: Path, method: str) -> None:
    configured(copy, quantization_config={"quant_method": method, "bits": 4})
    said = refusal_of(copy)
    assert f"quantized ({method})" in said
    assert "Use the model that it was made from" in said


def test_a_quantized_language_model_within(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    within = config["text_config"] | {"quantization_config": {"quant_method": "awq"}}
    configured(copy, text_config=within)
    assert "quantized (awq)" in refusal_of(copy)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8, torch.uint8, torch.int32])
def test_quantized_weights_that_no_config_tells_of(copy: Path, dtype: torch.dtype) -> None:
    def packed(tensors: dict[str, torch.Tensor]) -> None:
        key = next(key for key in tensors if key.endswith("layers.0.mlp.up_proj.weight"))
        tensors[key] = tensors[key].to(dtype)

    rewritten(copy, packed)
    said = refusal_of(copy)
    assert "layers.0.mlp.up_proj.weight is stored as" in said


def test_weights_as_pickles(copy: Path) -> None:
    torch.save(load_file(copy / WEIGHTS), copy / "pytorch_model.bin")
    (copy / WEIGHTS).unlink()
    said = refusal_of(copy)
    assert "pytorch_model.bin" in said
    assert "save_pretrained" in said


def test_an_adapter_in_place_of_a_model(copy: Path) -> None:
    (copy / "adapter_config.json").write_text("{}")
    assert "holds an adapter" in refusal_of(copy)


OWN_CODE = """\
from pathlib import Path
Path(__file__).with_name("was_run").touch()
from transformers import LlavaConfig, LlavaProcessor
class OwnConfig(LlavaConfig):
    model_type = "own"
class OwnProcessor(LlavaProcessor):
    pass
"""


def test_code_of_a_model_is_never_run_and_nobody_is_asked(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> str:
        pytest.fail("somebody was asked")

    monkeypatch.setattr("builtins.input", ask)
    (copy / "own.py").write_text(OWN_CODE)
    configured(copy, model_type="own", auto_map={"AutoConfig": "own.OwnConfig"})
    assert "brings its own program code, which is never run here" in refusal_of(copy)
    assert not list(copy.rglob("was_run"))


def test_code_of_a_processor_is_never_run(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (copy / "own.py").write_text(OWN_CODE)
    for name in ("processor_config.json", "tokenizer_config.json"):
        path = copy / name
        settings = json.loads(path.read_text())
        settings["auto_map"] = {
            "AutoProcessor": "own.OwnProcessor",
            "AutoTokenizer": ["own.OwnTokenizer", None],
        }
        settings |= {"processor_class": "OwnProcessor", "tokenizer_class": "OwnTokenizer"}
        path.write_text(json.dumps(settings))
    load_vlm(str(copy), device="cpu")  # transformers has classes of its own for it
    assert not list(copy.rglob("was_run"))


def test_numbers_that_are_no_weights_may_be_whole(tmp_path: Path) -> None:
    build_llava(tmp_path)
    rewritten(
        tmp_path,
        lambda all_: (
            all_
            | {
                "model.vision_tower.vision_model.embeddings.position_ids": torch.arange(5).view(
                    1, -1
                )
            }
        ),
    )
    assert load_vlm(str(tmp_path), device="cpu").model is not None
