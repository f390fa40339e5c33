"""The two files of an adapter's modules: `modules.json` says what they are, `modules.safetensors`
holds their tensors, each named by its module and by its own name in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from worker.ml.errors import AdapterError
from worker.ml.model.modules.kinds import KINDS
from worker.ml.model.modules.placing import AdapterModule
from worker.ml.types import ModuleSettings

LIST_FILE, TENSORS_FILE = "modules.json", "modules.safetensors"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ModuleList:
    """The modules that an adapter says it holds, by name, and the base they were trained on."""

    settings: Mapping[str, ModuleSettings]
    base: object


def has_modules(folder: Path) -> bool:
    """Whether the adapter of a folder says that it holds modules, if only by half."""
    return (folder / LIST_FILE).exists() or (folder / TENSORS_FILE).exists()


def write_modules(modules: Sequence[AdapterModule], folder: Path, base_revision: str) -> None:
    """Writes both files; the same modules and weights give the same bytes anywhere."""
    content = {
        "format": _FORMAT,
        "base_model_name_or_path": base_revision,
        "modules": {one.name: asdict(one.settings) for one in modules},
    }
    (folder / LIST_FILE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    tensors = {
        f"{one.name}/{name}": tensor.detach().to("cpu", copy=True).contiguous()
        for one in modules
        for name, tensor in one.weights().items()
    }
    save_file(dict(sorted(tensors.items())), folder / TENSORS_FILE, metadata={"format": "pt"})


def read_list(folder: Path) -> ModuleList:
    """Returns what an adapter's list of modules says; nothing where it has none. Raises
    AdapterError where it cannot be read or belongs to another version."""
    if not has_modules(folder):
        return ModuleList({}, None)
    try:
        content = json.loads((folder / LIST_FILE).read_text())
        version = content["format"]
        settings = {name: ModuleSettings(**one) for name, one in content["modules"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, error) from error
    unknown = sorted({str(one.kind) for one in settings.values()} - KINDS.keys())
    if version != _FORMAT or unknown:
        what = f"modules of the kind {', '.join(unknown)}" if unknown else f"format {version}"
        raise AdapterError(
            f"The adapter {folder.name} holds {what}, which this version of ILLUME does not know. "
            "Update the model workers, or choose another adapter."
        )
    return ModuleList(settings, content.get("base_model_name_or_path"))


def read_tensors(
    folder: Path, settings: Mapping[str, ModuleSettings]
) -> dict[str, dict[str, torch.Tensor]]:
    """Returns the tensors of each module of the list, by name. Raises AdapterError where they
    cannot be read or belong to no module of it."""
    weights: dict[str, dict[str, torch.Tensor]] = {name: {} for name in settings}
    if not has_modules(folder):
        return weights
    try:
        tensors = load_file(folder / TENSORS_FILE)
    except (OSError, SafetensorError) as error:
        raise _unreadable(folder, error) from error
    for full_name, tensor in tensors.items():
        module, _, name = full_name.partition("/")
        if module not in weights:
            raise AdapterError(
                f"The adapter {folder.name} holds tensors of no module that it names, {full_name} "
                "among them. Restore it from a backup, or train it again."
            )
        weights[module][name] = tensor
    return weights


def _unreadable(folder: Path, error: Exception) -> AdapterError:
    return AdapterError(
        f"The modules of the adapter {folder.name} cannot be read ({error}). It needs "
        f"{LIST_FILE} and {TENSORS_FILE}; restore them from a backup, or train it again."
    )
