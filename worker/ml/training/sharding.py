"""A base too large for one GPU, spread over the processes that train together (FSDP).

Only the frozen layers of the language model are spread: each process keeps its part and borrows the
others' for as long as a layer computes. What learns (LoRA) is small and stays whole everywhere, so
that gradients are added up as ever (team.py). (Zhao et al. 2023, arXiv 2304.11277.)
"""

from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from worker.ml.errors import ModelUnusableError
from worker.ml.model.contents import trainable
from worker.ml.model.loading import Vlm


def shard_base(vlm: Vlm, device: torch.device, n_processes: int) -> None:
    """Moves the model to `device`, of each layer only this process's part. The model then takes
    part in forwards and backwards only together with all processes. Raises ModelUnusableError."""
    layers = getattr(vlm.model.get_decoder(), "layers", None)
    if not isinstance(layers, torch.nn.ModuleList):
        raise ModelUnusableError(
            f"The language model of {vlm.name} has no list of layers to spread over processes. "
            "Train without sharding."
        )
    mesh = init_device_mesh(device.type, (n_processes,))
    learned = set(trainable(vlm.model))
    for layer in layers:
        mine = learned & set(layer.parameters())
        fully_shard(layer, mesh=mesh, ignored_params=mine, reshard_after_forward=True)
    for tensor in (*vlm.model.parameters(), *vlm.model.buffers()):
        if not isinstance(tensor, DTensor):
            _move(tensor, device)
    vlm.device = device


def _move(tensor: Any, device: torch.device) -> None:
    tensor.data = tensor.data.to(device)
