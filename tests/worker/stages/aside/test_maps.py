"""Maps of what a round shows, where the memory for them is short: what is missing stops nothing."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder
from app.models import Item, OcclusionMap, Run
from app.round_settings import LoopSettings
from tests.support.factories import make_round
from tests.support.models.families import build_llava
from tests.support.models.parts import write_random
from tests.support.rounds.looks import make_looks
from tests.support.rounds_in_process import make_picture_project, tiny_settings
from worker.host.heart import Heart
from worker.host.models import get_vlm
from worker.ml.inputs.perceiving import perception_modules
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.adapters import content_digest
from worker.ml.types import AdapterSettings
from worker.stages.aside.maps import map_shown
from worker.stages.inputs import RunInputs, load_inputs


@pytest.fixture
def settings(tmp_path: Path) -> LoopSettings:
    build_llava(tmp_path / "model")
    return tiny_settings(tmp_path / "model", strategy="perception")


def make_inputs(
    database: sessionmaker[Session], settings: LoopSettings, folder: Path
) -> list[RunInputs]:
    """Two items with looks that a round shows, each with the run that drew them."""
    with database.begin() as session:
        project = make_picture_project(session, settings, folder, n_train=2)
        round_ = make_round(session, project, number=1, settings=settings)
        for item in session.scalars(select(Item).order_by(Item.id).limit(2)):
            make_looks(session, round_, item=item)
        run_ids = session.scalars(select(Run.id).order_by(Run.id)).all()
        loaded = [load_inputs(session, run_id) for run_id in run_ids]
        return [replace(one, own_strategy="perception") for one in loaded]


def make_adapter(settings: LoopSettings, folder: Path) -> str:
    vlm = get_vlm(settings.base, dtype=settings.dtype, adapter_digest=None)
    wanted = fit_adapter(vlm, AdapterSettings(None, modules=perception_modules()))
    digest = content_digest(write_random(vlm, folder, wanted))
    copytree(folder, adapter_folder(digest), dirs_exist_ok=True)
    return digest


def count_maps(database: sessionmaker[Session]) -> int:
    with database() as session:
        return len(session.scalars(select(OcclusionMap.sample_id)).all())


def test_where_memory_runs_out_a_map_is_missing_until_there_is_room(
    database: sessionmaker[Session],
    settings: LoopSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = make_inputs(database, settings, tmp_path)
    digest = make_adapter(settings, tmp_path / "adapter")
    vlm = get_vlm(settings.base, dtype=settings.dtype, adapter_digest=digest)

    def refuse(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    heart = Heart(["gpu"], "cpu")
    hook = vlm.model.register_forward_pre_hook(refuse)
    map_shown(first, digest, heart)
    hook.remove()
    assert count_maps(database) == 0
    said = [one.getMessage() for one in caplog.records if one.name.endswith("aside.maps")]
    assert len(said) == 2
    assert all("picture-" in one and "does not hold the model and one row" in one for one in said)
    map_shown(second, digest, heart)
    assert count_maps(database) == 4
    map_shown(second, digest, heart)
    assert count_maps(database) == 4


def test_what_is_no_lack_of_memory_is_not_hidden(
    database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path
) -> None:
    inputs, _ = make_inputs(database, settings, tmp_path)
    digest = make_adapter(settings, tmp_path / "adapter")
    vlm = get_vlm(settings.base, dtype=settings.dtype, adapter_digest=digest)

    def refuse(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    hook = vlm.model.register_forward_pre_hook(refuse)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        map_shown(inputs, digest, Heart(["gpu"], "cpu"))
    hook.remove()
