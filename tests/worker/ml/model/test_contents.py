"""Adapters that hold several sets of LoRA and other modules: files, memory, refusals."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from tests.support.models.families import FAMILIES, write_pictures
from tests.support.models.parts import (
    KINDS_OF_TESTS,
    PROJECTORS,
    several_parts,
    write_random,
)
from tests.worker.ml.conftest import OPENER
from worker.ml.errors import AdapterError, ModelUnusableError
from worker.ml.model.adapters import content_digest, publish_adapter, verify_adapter
from worker.ml.model.attached import attach_adapter, forget_unused
from worker.ml.model.contents import (
    adapter_weights,
    adapts_vision,
    add_new_adapter,
    beyond_the_first_set,
    remove_adapters,
)
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.modules.kinds import KINDS
from worker.ml.model.modules.placing import modules_on
from worker.ml.model.modules.tuned import find_projectors
from worker.ml.sampling.generate import sample
from worker.ml.types import (
    AdapterSettings,
    Draw,
    LoraSettings,
    ModuleSettings,
    Prompt,
    SampleConfig,
)

PLACE = PROJECTORS["llava"]


@pytest.fixture(scope="module", params=list(PROJECTORS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder_of_model(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(family)
    FAMILIES[family](folder)
    return folder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("shown"), 1)[0]


@pytest.fixture(autouse=True)
def bare(llava: Vlm) -> Iterator[None]:
    yield
    attach_adapter(llava, None)
    llava.held.clear()


@pytest.fixture
def adapter(llava: Vlm, tmp_path: Path) -> Path:
    return write_random(llava, tmp_path / "adapter", several_parts("llava"))


def say(vlm: Vlm, picture: Path) -> list[object]:
    """What is sampled, with the probabilities to the last bit."""
    draws = [Draw(Prompt(picture, "what is it ?", a, OPENER), 0.8, 1) for a in (None, "red")]
    return [*sample(vlm, draws, SampleConfig(max_new_tokens=5))]


def make_unreadable(folder: Path) -> None:
    """Only a second look into the files could tell: their lengths and times stay as they were."""
    for name in files_in(folder):
        found = (folder / name).stat()
        (folder / name).write_bytes(bytes(found.st_size))
        os.utime(folder / name, ns=(found.st_atime_ns, found.st_mtime_ns))


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_and_b_and_a_again_are_those_of_fresh_loads_and_the_base_comes_back(
    family: str, folder_of_model: Path, shown: Path, tmp_path: Path
) -> None:
    vlm = load_vlm(str(folder_of_model), device="cpu")
    one = write_random(vlm, tmp_path / "one", several_parts(family), 1)
    two = write_random(vlm, tmp_path / "two", AdapterSettings(), 2)
    fresh = [
        say(attach_adapter(load_vlm(str(folder_of_model), device="cpu"), folder), shown)
        for folder in (None, one, two)
    ]
    assert fresh[0] != fresh[1] != fresh[2]
    own = dict(vlm.model.named_modules())
    for folder in (one, two):
        attach_adapter(vlm, folder)
    for folder in (one, two):
        make_unreadable(folder)
    for number, folder in ((1, one), (2, two), (1, one), (0, None), (1, one)):
        assert say(attach_adapter(vlm, folder), shown) == fresh[number]
    attach_adapter(vlm, None)
    found = dict(vlm.model.named_modules())
    assert own.keys() == found.keys()
    assert all(found[name] is module for name, module in own.items())
    assert not any(parameter.requires_grad for parameter in vlm.model.parameters())
    assert "_adapter_modules" not in vlm.model.__dict__


# peft itself asks transformers by a name that is going away.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_each_set_has_pefts_layout_and_a_size_of_its_own(
    llava: Vlm, llava_folder: Path, pictures: list[Path], tmp_path: Path
) -> None:
    settings = replace(several_parts("llava", dora=True), modules={})
    adapter = write_random(llava, tmp_path / "adapter", settings)
    tower = adapter / "sets" / "tower"
    ranks, parts = [], []
    for folder in (adapter, tower):
        ranks.append(json.loads((folder / "adapter_config.json").read_text())["r"])
        names = load_file(folder / "adapter_model.safetensors")
        parts.append({name.split(".")[3] for name in names})
    assert ranks == [2, 3]
    assert parts == [{"language_model"}, {"vision_tower"}]
    ours = say(attach_adapter(llava, adapter), pictures[0])
    theirs = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(llava_folder), str(adapter)
    )
    theirs.load_adapter(str(tower), "tower")
    theirs.base_model.set_adapter(["default", "tower"])
    plain = replace(load_vlm(str(llava_folder), device="cpu"), model=theirs.base_model.model.eval())
    assert [one.text for one in say(plain, pictures[0])] == [one.text for one in ours]


def test_the_files_are_listed_and_the_same_weights_are_the_same_bytes(
    llava: Vlm, adapter: Path
) -> None:
    assert files_in(adapter) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "modules.json",
        "modules.safetensors",
        "sets/tower/adapter_config.json",
        "sets/tower/adapter_model.safetensors",
    ]
    again = write_random(llava, adapter.parent / "again", several_parts("llava"))
    assert content_digest(again) == content_digest(adapter)
    assert beyond_the_first_set(adapter) == ["the set tower", "the module projector"]


def test_an_adapter_of_one_set_has_the_files_that_it_always_had(llava: Vlm, tmp_path: Path) -> None:
    plain = write_random(llava, tmp_path / "plain", AdapterSettings(LoraSettings(rank=2)))
    assert files_in(plain) == ["adapter_config.json", "adapter_model.safetensors"]
    assert beyond_the_first_set(plain) == []
    assert beyond_the_first_set(tmp_path / "nowhere") == []


def test_one_digest_stands_for_all_files(llava: Vlm, adapter: Path, tmp_path: Path) -> None:
    digest, place = publish_adapter(adapter, tmp_path / "store", {"round": 1})
    assert verify_adapter(place) == digest
    attach_adapter(llava, place)
    for name in files_in(adapter):
        file = place / name
        before = file.read_bytes()
        file.write_bytes(before[:-1] + b"~")
        assert content_digest(place) != digest, name
        with pytest.raises(AdapterError, match="is damaged"):
            verify_adapter(place)
        file.write_bytes(before)
    (place / "sets" / "tower" / "meta.json").write_text("{}")  # only the adapter's own is left out
    assert content_digest(place) != digest


def test_all_bytes_count_and_any_file_that_is_written_anew_is_read_anew(
    llava: Vlm, adapter: Path, pictures: list[Path]
) -> None:
    before = say(attach_adapter(llava, adapter), pictures[0])
    tensors = adapter_weights(llava.model)
    assert {name.split("/")[0] for name in tensors if "/" in name} == {"sets", "modules"}
    n_bytes = sum(4 * tensor.numel() for tensor in tensors.values())
    assert llava.held[adapter].adapter.n_bytes == n_bytes
    other = write_random(attach_adapter(llava, None), adapter.parent / "other", AdapterSettings())
    attach_adapter(llava, other)
    forget_unused(llava, n_bytes)
    assert list(llava.held) == [other]
    attach_adapter(llava, adapter)
    for name in ("sets/tower/adapter_model.safetensors", "modules.safetensors"):
        file = adapter / name
        changed = {key: tensor + 0.3 for key, tensor in load_file(file).items()}
        save_file(changed, file, metadata={"format": "pt"})
        after = say(attach_adapter(llava, adapter), pictures[0])
        assert after != before, name
        before = after


def test_modules_alone_are_an_adapter(llava: Vlm, pictures: list[Path], tmp_path: Path) -> None:
    settings = AdapterSettings(None, {}, {"projector": ModuleSettings("tuned", PLACE)})
    source = write_random(llava, tmp_path / "source", settings)
    assert files_in(source) == ["modules.json", "modules.safetensors"]
    assert beyond_the_first_set(source) == ["the module projector"]
    base = say(llava, pictures[0])
    _, place = publish_adapter(source, tmp_path / "store", {})
    assert say(attach_adapter(llava, place), pictures[0]) != base
    assert adapts_vision(llava.model)
    assert not hasattr(llava.model, "peft_config")
    assert say(attach_adapter(llava, None), pictures[0]) == base


def test_modules_before_behind_and_beside_the_models_own_need_no_other_files(
    llava: Vlm, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in KINDS_OF_TESTS.items():
        monkeypatch.setitem(KINDS, name, kind)
    width = {"width": 32}
    embeddings = "model.language_model.embed_tokens"
    settings = replace(
        several_parts("llava"),
        modules={
            "projector": ModuleSettings("tuned", PLACE),
            "prototypes": ModuleSettings("shift_before", PLACE, width),
            "rows": ModuleSettings("shift_behind", embeddings, width),
            "request": ModuleSettings("shift_beside", "request", width),
        },
    )
    base = say(llava, pictures[0])
    adapter = write_random(llava, tmp_path / "adapter", settings)
    said = say(attach_adapter(llava, adapter), pictures[0])
    assert list(modules_on(llava.model)) == ["projector", "prototypes", "request", "rows"]
    assert adapts_vision(llava.model)
    read = load_file(adapter / "modules.safetensors")
    assert {"prototypes/by", "rows/by", "request/by"} < read.keys()
    changes = {}
    for name in ("prototypes", "rows", "request"):
        own = modules_on(llava.model)[name].weights()["by"]
        kept = own.clone()
        own += 1.0
        llava.memo.pop("sampling_encoder", None)
        changes[name] = say(llava, pictures[0]) != said
        own.copy_(kept)
    assert changes == {"prototypes": True, "rows": True, "request": False}
    llava.memo.pop("sampling_encoder", None)
    assert say(attach_adapter(llava, None), pictures[0]) == base
    assert not any("adapter_module" in name for name, _ in llava.model.named_modules())
    for stands, sees in (("shift_before", True), ("shift_beside", False)):
        one = {"one": ModuleSettings(stands, PLACE, width)}
        add_new_adapter(llava.model, AdapterSettings(LoraSettings(rank=1), {}, one))
        assert adapts_vision(llava.model) is sees
        remove_adapters(llava.model)


TOWER_FILE = "sets/tower/adapter_model.safetensors"
MODULES_FILE = "modules.safetensors"
BIAS = "projector/linear_1.bias"


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def listing(**changes: object) -> Callable[[Path], None]:
    """Other words about the tuned projector."""

    def spoil(folder: Path) -> None:
        file = folder / "modules.json"
        content = json.loads(file.read_text())
        content["modules"]["projector"] |= changes
        file.write_text(json.dumps(content))

    return spoil


def saying(**changes: object) -> Callable[[Path], None]:
    """Other words about all modules."""

    def spoil(folder: Path) -> None:
        file = folder / "modules.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return spoil


def with_tensor(name: str, tensor: torch.Tensor) -> Callable[[Path], None]:
    return lambda folder: save_file(
        load_file(folder / MODULES_FILE) | {name: tensor}, folder / MODULES_FILE
    )


def without_tensor(file: str, name: str) -> Callable[[Path], None]:
    """Without the first tensor whose name ends so."""

    def spoil(folder: Path) -> None:
        tensors = load_file(folder / file)
        del tensors[next(one for one in sorted(tensors) if one.endswith(name))]
        save_file(tensors, folder / file)

    return spoil


def with_the_tower_twice(folder: Path) -> None:
    shutil.copytree(folder / "sets" / "tower", folder / "sets" / "other")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gone(TOWER_FILE), "no adapter that can be read .* fetch it again"),
        (gone("adapter_config.json"), "no adapter that can be read .* fetch it again"),
        (holding(TOWER_FILE, "torn"), "no adapter that can be read .* fetch it again"),
        (holding("sets/notes.txt", "?"), "holds sets/notes.txt, which is no set .* Restore it"),
        (with_the_tower_twice, "are in two of its sets"),
        (without_tensor(TOWER_FILE, "lora_A.weight"), "does not fit .* 1 tensors differ in name"),
        (gone("modules.json"), "modules .* cannot be read .* train it again"),
        (gone(MODULES_FILE), "modules .* cannot be read .* train it again"),
        (holding("modules.json", "[]"), "modules .* cannot be read .* train it again"),
        (holding(MODULES_FILE, "torn"), "modules .* cannot be read .* train it again"),
        (saying(format=2), "holds format 2, which this version .* Update the model workers"),
        (
            saying(base_model_name_or_path="ab" * 32),
            "trained on the base model abab.* Use the base",
        ),
        (
            listing(kind="dream"),
            "of the kind dream, which this version .* Update the model workers",
        ),
        (listing(place="model.nothing"), "does not fit .* no module model.nothing"),
        (listing(options={"x": 1}), "does not fit .* A tuned copy takes no options"),
        (with_tensor("odd", torch.ones(1)), "tensors of no module that it names, odd among them"),
        (without_tensor(MODULES_FILE, BIAS), "1 tensors differ in name, linear_1.bias"),
        (with_tensor(BIAS, torch.ones(2)), "1 tensors differ in shape, linear_1.bias"),
    ],
)
def test_what_is_spoilt_is_refused_in_one_sentence_and_the_base_is_bare(
    llava: Vlm, adapter: Path, pictures: list[Path], spoil: Callable[[Path], None], reason: str
) -> None:
    base = say(llava, pictures[0])
    spoil(adapter)
    with pytest.raises(AdapterError, match=f"(?s){reason}") as refused:
        attach_adapter(llava, adapter)
    assert "\n" not in refused.value.message
    assert llava.adapter is None
    assert list(llava.held) == []
    assert say(llava, pictures[0]) == base
    assert not any("lora" in name or "adapter" in name for name, _ in llava.model.named_modules())


TUNED = ModuleSettings("tuned", PLACE)
NOWHERE = ModuleSettings("tuned", "nowhere")
WITHOUT_WEIGHTS = ModuleSettings("tuned", f"{PLACE}.act")
OF_LANGUAGE, OF_ALL = LoraSettings(), LoraSettings(tower=True, projector=True)
OF_NOTHING = LoraSettings(language=False)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (AdapterSettings(OF_ALL, {"other": OF_LANGUAGE}), "want the module .*: the first set and"),
        (AdapterSettings(sets={"Tower": OF_LANGUAGE}), "“Tower” is no name for a part"),
        (AdapterSettings(None, {"none": OF_NOTHING}), "No module of the model matches"),
        (AdapterSettings(modules={"x": ModuleSettings("dream", PLACE)}), "of the kind dream"),
        (AdapterSettings(modules={"x": NOWHERE}), "no module nowhere, where x belongs"),
        (AdapterSettings(modules={"x": WITHOUT_WEIGHTS}), "no weights that could be tuned"),
        (AdapterSettings(OF_ALL, {}, {"x": TUNED}), "gets LoRA and is to be tuned whole"),
    ],
)
def test_what_a_model_has_no_place_for_is_refused_before_it_is_trained(
    llava: Vlm, pictures: list[Path], settings: AdapterSettings, reason: str
) -> None:
    base = say(llava, pictures[0])
    with pytest.raises(ModelUnusableError, match=reason):
        add_new_adapter(llava.model, settings)
    assert say(llava, pictures[0]) == base


def test_weights_that_are_used_twice_are_not_tuned(llava: Vlm) -> None:
    embeddings = llava.model.get_input_embeddings()
    own = llava.model.lm_head.weight
    llava.model.lm_head.weight = embeddings.weight
    tied = AdapterSettings(modules={"x": ModuleSettings("tuned", "lm_head")})
    try:
        with pytest.raises(ModelUnusableError, match="used elsewhere in the model"):
            add_new_adapter(llava.model, tied)
    finally:
        llava.model.lm_head.weight = own


def test_the_projector_of_a_family_is_found(family: str, folder_of_model: Path) -> None:
    vlm = load_vlm(str(folder_of_model), device="cpu")
    assert find_projectors(vlm.model) == [PROJECTORS[family]]
