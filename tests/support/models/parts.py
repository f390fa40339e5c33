"""Adapters of several parts for tiny models, and kinds of modules as strategies bring them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from worker.ml.model.contents import (
    adapter_weights,
    add_new_adapter,
    remove_adapters,
    write_adapter,
)
from worker.ml.model.loading import Vlm
from worker.ml.model.modules.kinds import Kind, Stands
from worker.ml.types import AdapterSettings, LoraSettings, ModuleSettings

PROJECTORS = {"llava": "model.multi_modal_projector", "qwen2_5_vl": "model.visual.merger"}
TOWER_TARGETS = ("fc1", "fc2", "qkv")  # of both families; none of them is in a projector


def several_parts(family: str, *, dora: bool = False) -> AdapterSettings:
    """Two sets of different size and a tuned projector."""
    return AdapterSettings(
        lora=LoraSettings(rank=2, dropout=0.1, dora=dora),
        sets={
            "tower": LoraSettings(
                rank=3, alpha=4.0, dropout=0.0, targets=TOWER_TARGETS, language=False, tower=True
            )
        },
        modules={"projector": ModuleSettings("tuned", PROJECTORS[family])},
    )


def write_random(vlm: Vlm, folder: Path, settings: AdapterSettings, seed: int = 0) -> Path:
    """An adapter in which everything changes what the model says."""
    torch.manual_seed(seed)
    add_new_adapter(vlm.model, settings)
    with torch.no_grad():
        for tensor in adapter_weights(vlm.model).values():
            tensor.add_(torch.randn_like(tensor) * 0.1)
    write_adapter(vlm.model, folder, vlm.revision)
    remove_adapters(vlm.model)
    return folder


class Shift(torch.nn.Module):
    """Adds a learned vector to what it is given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.zeros(width))

    def forward(self, seen: torch.Tensor, *others: Any) -> torch.Tensor:
        """Stands before or behind a module; what else that one was given plays no part."""
        del others
        return seen + self.by


def _shift(model: Any, place: str, options: Mapping[str, object]) -> Shift:
    del model, place
    width = options["width"]
    assert isinstance(width, int)
    return Shift(width)


KINDS_OF_TESTS = {
    "shift_before": Kind(_shift, Stands.BEFORE),
    "shift_behind": Kind(_shift, Stands.BEHIND),
    "shift_beside": Kind(_shift, Stands.BESIDE),
}
