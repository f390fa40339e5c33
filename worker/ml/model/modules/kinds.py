"""The kinds of modules that an adapter can hold beside LoRA, by the names that its files give them.

To add one: write what builds it, say how it stands to the model, and give it a name here. The files
of an adapter (files.py) and everything that puts modules on and takes them off stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch

from worker.ml.model.modules.perception import build_perception
from worker.ml.model.modules.prototypes import build_prototypes
from worker.ml.model.modules.rows import build_rows
from worker.ml.model.modules.tuned import copy_of, copy_weights


class Stands(StrEnum):
    """How a module stands to the model's module at its place.

    IN: in its stead. BEFORE: it gets what that module would be given first, and that module what it
    makes of it. BEHIND: it is given what that module made and what that one was given, and what it
    returns goes on. AROUND: both; its `before` is asked first. BESIDE: the model's own forward does
    not call it; whoever knows of it does (placing.modules_on).
    """

    IN = "in"
    BEFORE = "before"
    BEHIND = "behind"
    AROUND = "around"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Kind:
    """build: makes the module from the model, on which no other module of an adapter is yet, the
    name of the place and the options; it may raise ValueError. The module holds no tensors but its
    own. merge: puts what the module learned into the model's module at its place, for a kind that
    is nothing but other weights of it; None for a kind that cannot be merged."""

    build: Callable[[Any, str, Mapping[str, object]], torch.nn.Module]
    stands: Stands
    merge: Callable[[torch.nn.Module, torch.nn.Module], None] | None = None


KINDS: dict[str, Kind] = {
    "tuned": Kind(copy_of, Stands.IN, merge=copy_weights),
    "prototypes": Kind(build_prototypes, Stands.BEFORE),
    "rows": Kind(build_rows, Stands.AROUND),
    "perception": Kind(build_perception, Stands.BESIDE),
}
