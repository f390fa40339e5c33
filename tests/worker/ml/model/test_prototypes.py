"""Prototypes in front of the projector: the stated formulas, and a module of an adapter like any
other."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.models.families import FAMILIES
from tests.support.models.more_families import FURTHER_FAMILIES
from worker.ml.abilities import Ability, why_not
from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import adapts_vision, add_new_adapter, remove_adapters
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.modules.placing import modules_on
from worker.ml.model.modules.prototypes import Prototypes, n_centres
from worker.ml.model.modules.tuned import find_projectors
from worker.ml.training.train import train_lora
from worker.ml.types import PROJECTOR, AdapterSettings, Example, ModuleSettings, Part, TrainConfig

PLACE = "model.multi_modal_projector"
STAGE_1 = AdapterSettings(
    None,
    modules={
        "projector": ModuleSettings("tuned", PROJECTOR),
        "prototypes": ModuleSettings("prototypes", PROJECTOR, {"iterations": 2}),
    },
)
FITTED = ModuleSettings("prototypes", PLACE, {"iterations": 2, "width": 32, "centres": 2})
CONFIG = TrainConfig(epochs=2, batch_size=1, learning_rate=1e-2, patience=None, seed=3)


@torch.no_grad()
def test_what_it_computes_is_what_the_formulas_say() -> None:
    torch.manual_seed(0)
    made = Prototypes(width=3, centres=2, iterations=2)
    torch.nn.init.normal_(made.z.weight)
    seen = torch.randn(2, 5, 3)
    got = made(seen)
    for number, patches in enumerate(seen):
        centres = [made.centres[j] for j in range(2)]
        for _ in range(2):
            shares = []
            for centre in centres:
                powers = [math.exp(float(made.q(centre) @ made.k(patch))) for patch in patches]
                shares.append([power / sum(powers) for power in powers])
            centres = [
                sum((s * made.v(p) for s, p in zip(row, patches, strict=True)), torch.zeros(3))
                for row in shares
            ]
        for place, patch in enumerate(patches):
            near = [float(c @ patch / (c.norm() * patch.norm())) for c in centres]
            given_back = (
                sum((n * c for n, c in zip(near, centres, strict=True)), torch.zeros(3)) / 2
            )
            assert torch.allclose(got[number, place], patch + made.z(given_back), atol=1e-5)


def test_a_fresh_one_changes_nothing_and_pictures_do_not_mix() -> None:
    torch.manual_seed(0)
    made = Prototypes(width=4, centres=3, iterations=2)
    seen = torch.randn(2, 6, 4)
    assert torch.equal(made(seen), seen)
    torch.nn.init.normal_(made.z.weight)
    assert torch.allclose(made(seen)[:1], made(seen[:1]), atol=1e-6)
    assert made(seen.bfloat16()).dtype is torch.bfloat16
    assert [n_centres(n) for n in (576, 600, 10, 4, 1)] == [256, 256, 5, 2, 0]


def test_the_first_stage_trains_prototypes_and_projector_on_captions(
    llava: Vlm, pictures: list[Path], tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in llava.model.state_dict().items()}
    captions = ["there are two balls", "there is a red cube"]
    rows = [
        Example(picture, "", (Part(caption, "caption"),))
        for picture, caption in zip(pictures, captions, strict=False)
    ]
    out = tmp_path / "adapter"
    report = train_lora(
        llava, rows, [], CONFIG, STAGE_1, start_from=None, state_dir=tmp_path / "s", out_dir=out
    )
    assert report.curve[-1].losses["caption"] < report.curve[0].losses["caption"]
    assert all(torch.equal(before[n], t) for n, t in llava.model.state_dict().items())
    assert not (out / "adapter_config.json").exists()
    tensors = load_file(out / "modules.safetensors")
    assert sum(name.startswith("prototypes/") for name in tensors) == 5
    assert tensors["prototypes/z.weight"].any()
    attach_adapter(llava, None)
    with adapter_attached(llava, out):
        assert modules_on(llava.model)["prototypes"].settings == FITTED
        assert adapts_vision(llava.model)


@pytest.mark.parametrize("family", ["idefics3", "paligemma", "gemma3", "internvl"])
def test_families_whose_patches_can_be_reached_have_a_place_for_them(
    family: str, tmp_path: Path
) -> None:
    FAMILIES[family](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    assert why_not(vlm, Ability.PROTOTYPES) is None
    assert why_not(vlm, Ability.CAPTIONS) is None
    assert not modules_on(vlm.model)
    assert all(parameter.grad is None for parameter in vlm.model.parameters())


def test_captions_first_are_refused_where_the_projector_cannot_be_tuned(tmp_path: Path) -> None:
    FAMILIES["idefics3"](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    projector = vlm.model.get_submodule(find_projectors(vlm.model)[0])
    vlm.model.twin = torch.nn.Linear(1, 1)
    vlm.model.twin.weight = next(projector.parameters())
    said = why_not(vlm, Ability.CAPTIONS)
    assert said is not None
    assert "are used elsewhere in the model" in said


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("qwen2_5_vl", r"given numbers in the shape \d+ × 32 and not the patches of one picture"),
        ("blip2", "between its tower and its language model stand qformer and language_projection"),
        ("mllama", "given numbers in the shape 1 × 1 × "),
    ],
)
def test_others_say_why_they_have_none(family: str, reason: str, tmp_path: Path) -> None:
    (FAMILIES | FURTHER_FAMILIES)[family](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    with pytest.raises(ModelUnusableError, match=f"^Prototypes have no place in .*{reason}"):
        fit_adapter(vlm, STAGE_1)
    said = why_not(vlm, Ability.PROTOTYPES)
    assert said is not None
    assert said.endswith("Leave them out, or use another model.")
    assert why_not(vlm, Ability.CAPTIONS) is None, "the projector alone can be tuned all the same"
    assert not modules_on(vlm.model)


def test_several_projectors_are_tuned_each(tmp_path: Path) -> None:
    FURTHER_FAMILIES["blip2"](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    tuned = AdapterSettings(None, modules={"it": ModuleSettings("tuned", PROJECTOR)})
    places = {name: one.place for name, one in fit_adapter(vlm, tuned).modules.items()}
    assert places == {"it_1": "qformer", "it_2": "language_projection"}


def test_odd_sizes_are_refused(llava: Vlm) -> None:
    for options in ({}, {"width": 32, "centres": 0, "iterations": 2}, FITTED.options | {"x": 1}):
        odd = AdapterSettings(None, modules={"p": ModuleSettings("prototypes", PLACE, options)})
        with pytest.raises(ModelUnusableError, match="Prototypes take centres, iterations, width"):
            add_new_adapter(llava.model, odd)
    remove_adapters(llava.model)
