"""LoRA goes where gradients come: every tensor of an adapter learns, in tower, projector and
language model, and what a model never reads is left out and named."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.round_settings import TrainingSettings
from tests.support.models.families import FAMILIES, build_llava, write_pictures
from tests.support.models.parts import write_random
from tests.worker.ml.conftest import OPENER
from worker.host.models import resolve
from worker.ml.check import check_model
from worker.ml.inputs.prompts import DEFAULT_STYLE, explained
from worker.ml.inputs.sight import fit_adapter, look_into
from worker.ml.model.attached import adapter_attached
from worker.ml.model.contents import count_gradients, remove_adapters
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.lora import find_targets, linear_modules
from worker.ml.training.train import train_lora
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    PROJECTOR,
    AdapterSettings,
    Example,
    LoraSettings,
    ModuleSettings,
    TrainConfig,
)
from worker.model_report import report_lines
from worker.stages.training_settings import adapter_settings

CONFIG = TrainConfig(epochs=2, batch_size=1, learning_rate=1e-2, patience=None, seed=4)
LAST_BLOCK = "model.vision_tower.encoder.layers.1."
NAMES = ("mlp.fc1", "mlp.fc2", *(f"self_attn.{one}_proj" for one in ("k", "out", "q", "v")))
WORDS_OF = ("mlp.down_proj", "mlp.gate_proj", "mlp.up_proj")
OF_LANGUAGE = (*WORDS_OF, *(f"self_attn.{one}_proj" for one in ("k", "o", "q", "v")))
OF_PROTOTYPES = ("centres", *(f"{one}.weight" for one in ("k", "q", "v", "z")))
PLACES = {
    "last_but_one": (
        "model.vision_tower.encoder.layers.N",
        ("model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2"),
        "model.language_model.layers.N",
    ),
    "idefics3": (
        "model.vision_model.encoder.layers.N",
        ("model.connector.modality_projection.proj",),
        "model.text_model.layers.N",
    ),
    "paligemma": (
        "model.vision_tower.encoder.layers.N",
        ("model.multi_modal_projector.linear",),
        "model.language_model.layers.N",
    ),
}
"""By family: the blocks of its tower, its projector, and the blocks of its language model."""
WITH_TOWER = TrainingSettings(tower=True, projector=True, rank=4, alpha=8, tower_rank=2, dropout=0)


@pytest.fixture(scope="module")
def last_but_one(tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder = tmp_path_factory.mktemp("last-but-one")
    build_llava(folder, feature_layer=-2)
    return load_vlm(str(folder), device="cpu")


@pytest.fixture
def two_rows(pictures: list[Path]) -> list[Example]:
    said = [("red", "the cube is red"), ("two", None)]
    return [
        explained(picture, "what is it ?", answer, why, OPENER)
        for picture, (answer, why) in zip(pictures, said, strict=False)
    ]


def test_blocks_behind_the_feature_layer_are_never_read(last_but_one: Vlm, llava: Vlm) -> None:
    found = look_into(last_but_one)
    assert found.unread == tuple(f"{LAST_BLOCK}{name}" for name in NAMES)
    assert found.given == {"model.multi_modal_projector": (1, 4, 32)}
    assert look_into(llava).unread == ()
    assert not any(p.requires_grad for p in last_but_one.model.parameters())


def test_they_get_no_lora_and_people_are_told(
    last_but_one: Vlm, two_rows: list[Example], pictures: list[Path]
) -> None:
    everywhere = LoraSettings(tower=True)
    fitted = fit_adapter(last_but_one, AdapterSettings(everywhere)).lora
    assert fitted is not None
    left = set(find_targets(last_but_one.model, everywhere)) - set(
        find_targets(last_but_one.model, fitted)
    )
    assert left == set(look_into(last_but_one).unread)
    report = check_model(
        last_but_one.name, images=pictures, questions=["what is it ?"] * 3, device="cpu"
    )
    assert report.unread == look_into(last_but_one).unread
    said = "\n".join(report_lines("it", report))
    assert f"nowhere in              {LAST_BLOCK}mlp.fc1, " in said
    assert said.count("which the model never reads") == 1


@pytest.mark.parametrize("family", ["last_but_one", "idefics3", "paligemma", "demo"])
def test_every_group_of_parameters_gets_gradients(
    family: str, last_but_one: Vlm, tmp_path: Path
) -> None:
    vlm = last_but_one
    if family == "demo":
        vlm = load_vlm(resolve("demo"), device="cpu")
    elif family != "last_but_one":
        FAMILIES[family](tmp_path / family)
        vlm = load_vlm(str(tmp_path / family), device="cpu")
    pictures = write_pictures(tmp_path / "pictures", 1)
    row = explained(pictures[0], "what is it ?", "red", "the cube is red", OPENER)
    prototypes = ModuleSettings("prototypes", PROJECTOR, {"iterations": 2})
    adapter = replace(adapter_settings(WITH_TOWER), modules={"prototypes": prototypes})
    assert {name: one.rank for name, one in adapter.every_set.items()} == {"": 4, "tower": 2}
    trainer = Trainer(
        vlm, [row], [], config=CONFIG, adapter=adapter, start_from=None, style=DEFAULT_STYLE
    )
    try:
        for step in (1, 2):  # the rest learns from the second step on: B and z begin at zero
            trainer.step(step)
        found = count_gradients(vlm.model)
        names = {name for name, p in vlm.model.named_parameters() if _learned(p)}
    finally:
        trainer.close()
        remove_adapters(vlm.model)
    parts = linear_modules(vlm.model)
    n_read = len(set(parts["tower"]) - set(look_into(vlm).unread))
    n_other = len(parts["language"]) + len(parts["projector"])
    assert found == {
        "": (2 * n_other, 2 * n_other),
        "sets/tower": (2 * n_read, 2 * n_read),
        "modules/prototypes": (5, 5),
    }
    if family in PLACES:
        tower, projector, language = PLACES[family]
        assert {_group_of(name) for name in names} == {
            *(f"{tower}.{one}" for one in NAMES),
            *projector,
            *(f"{language}.{one}" for one in OF_LANGUAGE),
            *(f"adapter_module_prototypes.{one}" for one in OF_PROTOTYPES),
        }


def _learned(parameter: torch.nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.any())


def _group_of(name: str) -> str:
    """The module that a tensor of LoRA is at, or the tensor of another module of the adapter, the
    blocks of a model together."""
    return re.sub(r"\.lora_[AB]\..*", "", re.sub(r"layers\.\d+", "layers.N", name))


def test_an_older_adapter_with_lora_there_is_sampled_and_trained_on(
    last_but_one: Vlm, two_rows: list[Example], tmp_path: Path
) -> None:
    everywhere = LoraSettings(rank=2, dropout=0.0, tower=True)
    older = write_random(last_but_one, tmp_path / "older", AdapterSettings(everywhere))
    with adapter_attached(last_but_one, older):
        assert last_but_one.adapter == older
    slow = replace(CONFIG, epochs=1, learning_rate=1e-9)
    train_lora(
        last_but_one,
        two_rows,
        [],
        slow,
        everywhere,
        start_from=older,
        state_dir=tmp_path / "state",
        out_dir=tmp_path / "newer",
    )
    with adapter_attached(last_but_one, tmp_path / "newer"):
        names = [name for name, _ in last_but_one.model.named_modules()]
        assert not any(name.startswith(LAST_BLOCK) and "lora" in name for name in names)


def test_a_rank_of_the_tower_is_a_set_of_its_own() -> None:
    same = adapter_settings(TrainingSettings(tower=True))
    assert same == AdapterSettings(LoraSettings(tower=True))
    own = adapter_settings(TrainingSettings(tower=True, tower_rank=32, tower_alpha=50, rank=128))
    assert own.lora is not None
    assert (own.lora.rank, own.lora.tower, own.lora.language) == (128, False, True)
    tower = own.sets["tower"]
    assert (tower.rank, tower.alpha, tower.tower) == (32, 50, True)
    assert not tower.language
    assert not tower.projector
    assert adapter_settings(WITH_TOWER).sets["tower"].alpha == 4  # in proportion
    with pytest.raises(ValueError, match="is not adapted"):
        TrainingSettings(tower_rank=4)
    with pytest.raises(ValueError, match="no rank of its own"):
        TrainingSettings(tower=True, tower_alpha=4)
