"""The models that a worker holds: the bases that a run needs at once, and no others."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from app.round_settings import NamedBase
from tests.support.models.families import build_llava
from worker.host.models import forget_vlm, get_vlm
from worker.ml.errors import DeviceError
from worker.ml.model.loading import Vlm


@pytest.fixture(autouse=True)
def hold_nothing() -> Iterator[None]:
    forget_vlm()
    yield
    forget_vlm()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[NamedBase]:
    folder = tmp_path_factory.mktemp("models")
    for seed in range(3):
        build_llava(folder / str(seed), seed=seed)
    return [NamedBase(str(folder / str(seed))) for seed in range(3)]


def load(base: NamedBase, *beside: NamedBase) -> Vlm:
    return get_vlm(base, dtype="auto", adapter_digest=None, beside=beside)


def test_another_base_takes_the_place_of_the_last_one(bases: list[NamedBase]) -> None:
    first = load(bases[0])
    assert load(bases[0]) is first
    pinned = NamedBase(bases[0].name, first.revision)
    assert load(pinned) is first, "the content that it turned out to be"
    load(bases[1])
    assert load(bases[0]) is not first


def test_bases_that_are_needed_at_once_stay_beside_each_other(bases: list[NamedBase]) -> None:
    first, second = load(bases[0]), load(bases[1], bases[0])
    pinned = NamedBase(bases[1].name, second.revision)
    assert load(bases[0], pinned) is first
    assert load(bases[1], bases[0]) is second
    load(bases[2], bases[1])
    assert load(bases[1]) is second
    assert load(bases[0], bases[1]) is not first


def test_a_memory_that_does_not_hold_both_is_told_with_both_names(
    bases: list[NamedBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor has more memory than a test can fill: torch is made to say it."""

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    load(bases[0])
    monkeypatch.setattr(PreTrainedModel, "to", full)
    with pytest.raises(DeviceError) as refused:
        load(bases[1], bases[0])
    assert f"does not hold {bases[1].name} beside {bases[0].name}" in refused.value.message
    assert "one model for all roles" in refused.value.message
    with pytest.raises(DeviceError) as alone:
        load(bases[1])
    assert "beside" not in alone.value.message
