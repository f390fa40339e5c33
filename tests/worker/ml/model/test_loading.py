import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import BertConfig

from worker.ml.errors import (
    BaseChangedError,
    DeviceError,
    MlError,
    ModelNotFoundError,
    ModelUnusableError,
)
from worker.ml.model import loading
from worker.ml.model.devices import choose_device
from worker.ml.model.loading import Vlm, find_model, folder_digest, load_vlm


@pytest.fixture
def copy(llava_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llava_folder, tmp_path / "model"))


def test_a_folder_is_known_by_its_content(llava: Vlm, copy: Path) -> None:
    assert len(llava.revision) == 64
    (copy / "README.md").write_text("A note changes nothing.")
    assert load_vlm(str(copy), device="cpu").revision == llava.revision
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"note": 1}))
    assert load_vlm(str(copy), device="cpu").revision != llava.revision


def test_a_pinned_folder_that_changed_is_refused(llava: Vlm, llava_folder: Path) -> None:
    assert load_vlm(str(llava_folder), revision=llava.revision, device="cpu").model is not None
    with pytest.raises(ModelNotFoundError, match="It was changed"):
        load_vlm(str(llava_folder), revision="0" * 64, device="cpu")


def test_the_digest_of_a_folder_without_subfolders_stays_what_it_always_was(
    tmp_path: Path,
) -> None:
    """Projects and adapters name their base by it."""
    for name in ("config.json", "b.txt", "a.model", "README.md", "adapter_config.json", ".hidden"):
        (tmp_path / name).write_text(name)
    known = "47313bb0e7d66919aaba2a43fdb0c8bfd67dd96e288d76bd5300f18cc79ede52"
    assert folder_digest(tmp_path) == known
    for name in (".git", ".cache/huggingface", "checkpoint-5", "onnx"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "checkpoint-5" / "model.safetensors").write_text("weights of another time")
    (tmp_path / "onnx" / "model.onnx").write_text("weights for another program")
    assert folder_digest(tmp_path) == known


def test_a_file_in_a_subfolder_counts(llava: Vlm, copy: Path) -> None:
    """As the second tokenizer of a Q-Former."""
    (copy / "qformer_tokenizer" / "parts").mkdir(parents=True)
    vocabulary = copy / "qformer_tokenizer" / "vocab.txt"
    vocabulary.write_text("red\ngreen\n")
    (copy / "qformer_tokenizer" / "parts" / "merges.txt").write_text("r e\n")
    pinned = folder_digest(copy)
    assert pinned != llava.revision
    (copy / "qformer_tokenizer" / "README.md").write_text("A note changes nothing.")
    (copy / "qformer_tokenizer" / "again").symlink_to(copy)  # a way in a circle
    assert find_model(str(copy), pinned) == (copy, pinned)
    vocabulary.write_text("red\nblue\n")
    with pytest.raises(BaseChangedError, match="It was changed"):
        find_model(str(copy), pinned)
    vocabulary.rename(copy / "qformer_tokenizer" / "other.txt")
    assert len({pinned, llava.revision, folder_digest(copy)}) == 3


def test_loaded_for_inference_on_the_cpu_in_float32(llava: Vlm) -> None:
    assert llava.dtype is torch.float32
    assert llava.device.type == "cpu"
    assert not llava.model.training
    assert not any(p.requires_grad for p in llava.model.parameters())
    assert llava.is_chat is False


def test_another_number_type(llava_folder: Path) -> None:
    assert load_vlm(str(llava_folder), device="cpu", dtype="bfloat16").dtype is torch.bfloat16
    with pytest.raises(DeviceError, match="is no number type"):
        load_vlm(str(llava_folder), device="cpu", dtype="int7")


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"There is no folder .*config\.json"):
        load_vlm(str(tmp_path / "nowhere"))


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusableError, match=r"holds no config\.json"):
        load_vlm(str(tmp_path))


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ModelUnusableError, match="bert model, which does not take an image"):
        load_vlm(str(tmp_path))


def test_a_broken_config(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelUnusableError, match="cannot be read"):
        load_vlm(str(copy))


def test_a_model_without_its_processor(copy: Path) -> None:
    (copy / "processor_config.json").unlink()
    with pytest.raises(ModelUnusableError, match=r"preprocessor_config\.json"):
        load_vlm(str(copy))


def test_a_model_without_its_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelUnusableError, match=r"weights of .* cannot be loaded"):
        load_vlm(str(copy))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU")
def test_an_absent_gpu() -> None:
    with pytest.raises(DeviceError, match="sees no CUDA GPU"):
        choose_device("cuda")


def test_a_nonsense_device() -> None:
    with pytest.raises(DeviceError, match="is not a device"):
        choose_device("toaster")


def _hub_error(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, "refused")
    return error


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (RepositoryNotFoundError, "There is no hub model a/b"),
        (RevisionNotFoundError, "has no revision “v9”"),
        (GatedRepoError, "set HF_TOKEN"),
        (LocalEntryNotFoundError, "the hub cannot be reached"),
        (ConnectionError, "the hub cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_explained(
    kind: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise _hub_error(kind)

    monkeypatch.setattr(loading, "snapshot_download", refuse)
    with pytest.raises(ModelNotFoundError, match=says):
        load_vlm("a/b", revision="v9")


def test_a_downloaded_model_is_known_by_its_commit(
    llava_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = shutil.copytree(llava_folder, tmp_path / "snapshots" / commit)
    monkeypatch.setattr(loading, "snapshot_download", lambda *_, **__: str(snapshot))
    assert load_vlm("owner/model", device="cpu").revision == commit


def test_every_error_is_one_family() -> None:
    assert issubclass(DeviceError, MlError)
    assert issubclass(ModelNotFoundError, MlError)
