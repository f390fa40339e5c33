"""The adapters of each strategy say in a process that only has their files what they said in the
one that trained them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.round_settings import LoopSettings
from app.strategies import get_strategy
from tests.support.models.families import build_llava, write_pictures
from tests.support.models.taught import Asking, Said, lessons, say, say_afresh, teach_role
from worker.ml.model.loading import load_vlm
from worker.ml.model.modules.files import has_modules, read_list

pytestmark = pytest.mark.slow

HOLDS: Mapping[tuple[str, str], set[str]] = {
    ("direct", "model"): set(),
    ("monologue", "reasoner"): {"tuned"},
    ("monologue", "observer"): set(),
    ("self_questioning", "model"): {"rows", "prototypes", "tuned"},
    ("perception", "model"): {"perception", "rows"},
}
"""What each role's adapter holds beside LoRA, by kind."""


def settings_of(strategy: str) -> LoopSettings:
    return LoopSettings.model_validate(
        {
            "strategy": strategy,
            "sampling": {"max_new_tokens": 8, "top_k_share": 1.0},
            "training": {
                "epochs": 25, "batch_size": 4, "rank": 2, "alpha": 4, "learning_rate": 0.02,
            },
            "evaluation": {"temperature": 0.7},
            "self_questioning": {"prototypes": True, "description_tokens": 6},
        }
    )  # fmt: skip


def texts(said: list[Said]) -> list[tuple[object, object]]:
    return [(role, text) for role, text, _, _ in said]


@pytest.mark.parametrize("strategy", ["direct", "monologue", "self_questioning", "perception"])
def test_a_fresh_process_says_the_same(strategy: str, tmp_path: Path) -> None:
    model, settings = tmp_path / "model", settings_of(strategy)
    build_llava(model)
    pictures = write_pictures(tmp_path / "pictures", 2)
    vlm, roles = load_vlm(str(model), device="cpu"), get_strategy(strategy).roles
    adapters = {
        role: teach_role(vlm, settings, role, lessons(pictures), tmp_path / role) for role in roles
    }
    for role, folder in adapters.items():
        kinds = read_list(folder).settings.values() if has_modules(folder) else ()
        assert {one.kind for one in kinds} == HOLDS[strategy, role]
    asking = Asking(
        str(model),
        settings,
        {role: str(one) for role, one in adapters.items()},
        list(map(str, pictures)),
    )
    here, there = say(asking), say_afresh(asking, tmp_path)
    assert texts(there) == texts(here)
    assert {role for role, *_ in here} == set(roles), "each of them said something"
    for (*_, expected, seen), (*_, found, also_seen) in zip(here, there, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)
        assert also_seen == seen
    untaught = say(Asking(str(model), settings, {}, asking.pictures))
    assert texts(untaught) != texts(here)
