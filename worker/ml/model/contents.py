"""Everything that an adapter holds, as one thing: sets of LoRA and other modules, put on together,
taken off together, written and read together.

A folder has the first set at its top, as peft and every program that loads LoRA know it; further
sets are in `sets/<name>`, in the same layout; other modules are in two files (modules/files.py).
Any of these may be missing, but not all. LoRA goes on before the modules and off after them, so
that it names the modules of the bare model.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig

from worker.ml.errors import AdapterError, ModelUnusableError
from worker.ml.model.lora import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    adapted_layers,
    add_sets,
    inject_set,
    load_set,
    lora_parameters,
    read_base_name,
    read_set,
    refuse_other_base,
    replace_module,
    set_of,
    set_weights,
    sets_on,
    take_off_sets,
    write_set,
)
from worker.ml.model.modules.files import (
    LIST_FILE,
    has_modules,
    read_list,
    read_tensors,
    write_modules,
)
from worker.ml.model.modules.kinds import Stands
from worker.ml.model.modules.placing import (
    AdapterModule,
    build_modules,
    load_module,
    modules_on,
    put_modules_on,
    take_modules_off,
)
from worker.ml.types import FIRST, AdapterSettings, LoraSettings, ModuleSettings

SETS = "sets"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

Weights = dict[str, torch.Tensor]
"""Tensors by name. Those of the first set have peft's names; in front of others stands where in the
folder they belong."""


@dataclass(frozen=True, eq=False)
class AdapterModules:
    """An adapter in memory. configs: of its sets, as peft calls them. layers: peft's layers, by the
    names of the modules whose places they take; each holds the module whose place it takes, so that
    off and on neither copies nor computes anything. modules: all others."""

    configs: Mapping[str, LoraConfig]
    layers: Mapping[str, torch.nn.Module]
    modules: tuple[AdapterModule, ...]
    n_bytes: int
    """Of the adapter's own tensors."""


@dataclass(frozen=True, eq=False)
class AdapterFiles:
    """An adapter as its files have it: its sets by name, its modules, and all tensors."""

    sets: Mapping[str, LoraConfig]
    modules: Mapping[str, ModuleSettings]
    weights: Weights


def add_new_adapter(model: Any, settings: LoraSettings | AdapterSettings) -> list[str]:
    """Puts a fresh adapter on a bare model and makes only it trainable; its LoRA changes nothing
    yet. Uses torch's global generator. Returns the names of the modules that LoRA adapts. Raises
    ModelUnusableError where something has no place in this model; the model is then bare."""
    wanted = AdapterSettings.of(settings)
    for name in (*wanted.sets, *wanted.modules):
        _refuse_name(name)
    try:
        targets = add_sets(model, wanted.every_set)
        put_modules_on(model, build_modules(model, wanted.modules))
    except ValueError as error:
        remove_adapters(model)
        raise ModelUnusableError(f"{error} Change what the adapter is to hold.") from error
    model.requires_grad_(False)
    for parameters in parameters_by_part(model).values():
        for parameter in parameters:
            parameter.requires_grad_(parameter.is_floating_point())
    return targets


def inject_adapter(model: Any, folder: Path) -> AdapterModules:
    """Reads the adapter of `folder` and puts it on a bare model, for inference. Returns what it
    consists of. Raises AdapterError; the model is then bare."""
    files = read_adapter(folder)
    try:
        for name, config in files.sets.items():
            inject_set(model, name, config)
        put_modules_on(model, build_modules(model, files.modules))
        load_weights(model, files.weights)
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        remove_adapters(model)
        raise AdapterError(
            f"The adapter {folder.name} does not fit this base model: "
            f"{str(error).strip().splitlines()[0]} Use the base that it was trained on."
        ) from error
    model.requires_grad_(False)
    return AdapterModules(
        configs=dict(getattr(model, "peft_config", {})),
        layers=dict(adapted_layers(model)),
        modules=tuple(modules_on(model).values()),
        n_bytes=sum(t.numel() * t.element_size() for t in adapter_weights(model).values()),
    )


def put_on(model: Any, adapter: AdapterModules) -> None:
    """Puts an adapter that was on this model before on it again; the model must be bare."""
    for name, module in adapter.layers.items():
        replace_module(model, name, module)
    if adapter.configs:
        model.peft_config = dict(adapter.configs)
    put_modules_on(model, adapter.modules)


def remove_adapters(model: Any) -> None:
    """Gives the model back the very modules that it had; it then has no adapter on."""
    take_modules_off(model)
    take_off_sets(model)
    model.requires_grad_(False)


def trainable(model: Any) -> list[torch.nn.Parameter]:
    """Returns the parameters that an optimizer may change, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def parameters_by_part(model: Any) -> dict[str, list[torch.nn.Parameter]]:
    """Returns the parameters of each set and module of the adapter that is on. A set's name here is
    the folder in which it is written ("" for the first), a module's is `modules/<name>`."""
    found: dict[str, list[torch.nn.Parameter]] = {set_folder(name): [] for name in sets_on(model)}
    for _, layer in adapted_layers(model):
        found[set_folder(set_of(layer))] += lora_parameters(layer)
    for name, one in modules_on(model).items():
        found[f"modules/{name}"] = list(one.module.parameters())
    return found


def count_gradients(model: Any) -> dict[str, tuple[int, int]]:
    """Returns how many tensors of each part (parameters_by_part) got a gradient other than zero in
    the last backward pass, and how many there are."""
    return {
        part: (
            sum(p.grad is not None and bool(p.grad.any()) for p in parameters),
            len(parameters),
        )
        for part, parameters in parameters_by_part(model).items()
    }


def adapts_vision(model: Any) -> bool:
    """Whether the adapter that is on changes what the model sees: its tower, its projector, or what
    these are given."""
    language = {id(module) for module in model.get_decoder().modules()}
    called = [
        model.get_submodule(one.settings.place)
        for one in modules_on(model).values()
        if one.stands is not Stands.BESIDE
    ]
    changed = [layer for _, layer in adapted_layers(model)] + called
    return any(id(module) not in language for module in changed)


def adapter_weights(model: Any) -> Weights:
    """Returns the tensors of the adapter that is on, as they are (not copied)."""
    weights: Weights = {}
    for name in sets_on(model):
        weights |= _below(set_folder(name), set_weights(model, name))
    for name, one in modules_on(model).items():
        weights |= _below(f"modules/{name}", one.weights())
    return weights


def load_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Fills the adapter that is on. Raises ValueError if a tensor is missing, left over or of
    another shape."""
    left = dict(weights)
    for name in sets_on(model):
        load_set(model, name, _taken(left, set_folder(name)))
    for name, one in modules_on(model).items():
        load_module(one, _taken(left, f"modules/{name}"))
    if left:
        raise ValueError(f"{len(left)} tensors are left over, {min(left)} among them.")


def fill_from(model: Any, files: AdapterFiles, without: Collection[str] = ()) -> None:
    """Fills the adapter that is on with another one that holds the same parts, or some of them; the
    others stay as they are. What it holds for the modules named in `without` is left aside. Raises
    ValueError where it holds a part that is not on the model, or one that is something else
    there."""
    on = modules_on(model)
    for name, settings in files.modules.items():
        if name in on and on[name].settings != settings:
            raise ValueError(f"The module {name} is another one there.")
    theirs = {set_folder(name) for name in files.sets} | {f"modules/{n}" for n in files.modules}
    kept = {
        name: tensor
        for name, tensor in adapter_weights(model).items()
        if _part_of(name) not in theirs
    }
    given = {name: t for name, t in files.weights.items() if _adapted(name) not in without}
    load_weights(model, kept | given)


def write_adapter(model: Any, folder: Path, base_revision: str) -> None:
    """Writes everything that is on the model into `folder`. The same weights give the same bytes
    anywhere: the base is named by its revision, not by a path of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sets_on(model):
        write_set(model, name, folder / set_folder(name), base_revision)
    if modules := list(modules_on(model).values()):
        write_modules(modules, folder, base_revision)


def read_adapter(folder: Path) -> AdapterFiles:
    """Returns everything that the files of a folder hold, tensors on the CPU. Raises AdapterError
    with what to do where one cannot be read, is missing, or belongs to nothing."""
    sets: dict[str, LoraConfig] = {}
    weights: Weights = {}
    for name in _sets_in(folder):
        sets[name], found = read_set(folder / set_folder(name))
        weights |= _below(set_folder(name), found)
    modules = read_list(folder).settings
    for name, tensors in read_tensors(folder, modules).items():
        weights |= _below(f"modules/{name}", tensors)
    return AdapterFiles(sets, modules, weights)


def refuse_folder_of_other_base(folder: Path, base_revision: str) -> None:
    """Raises AdapterError if anything in the adapter of `folder` was trained on another base."""
    trained_on = [read_base_name(folder / set_folder(name)) for name in _sets_in(folder)]
    if has_modules(folder):
        trained_on.append(read_list(folder).base)
    for base in trained_on:
        refuse_other_base(folder.name, base, base_revision)


def beyond_the_first_set(folder: Path) -> list[str]:
    """Returns what an adapter holds beside the set that every program for LoRA can load, in words
    for a sentence, without reading a tensor; nothing for a folder that is not there. Raises
    AdapterError as read_adapter does."""
    if not folder.is_dir():
        return []
    found = [f"the set {name}" for name in _sets_in(folder) if name != FIRST]
    if has_modules(folder):
        found += [f"the module {name}" for name in sorted(read_list(folder).settings)]
    return found


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, as far as names of files can tell."""
    has_first = all((folder / name).is_file() for name in (CONFIG_FILE, WEIGHTS_FILE))
    return has_first or (folder / SETS).is_dir() or (folder / LIST_FILE).is_file()


def _sets_in(folder: Path) -> list[str]:
    """The names of the sets in a folder, the first one first. A folder without anything else must
    have that."""
    further = folder / SETS
    names = sorted(path.name for path in further.iterdir()) if further.is_dir() else []
    for name in names:
        if not _NAME.fullmatch(name) or not (further / name).is_dir():
            raise AdapterError(
                f"The adapter {folder.name} holds {SETS}/{name}, which is no set of LoRA. Restore "
                "it from a backup, or train it again."
            )
    has_first = any((folder / name).exists() for name in (CONFIG_FILE, WEIGHTS_FILE))
    return [FIRST, *names] if has_first or not (names or has_modules(folder)) else names


def _refuse_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ModelUnusableError(
            f"“{name}” is no name for a part of an adapter. Use up to 32 small letters, digits and "
            "underscores, a letter first."
        )


def set_folder(name: str) -> str:
    """Returns where in an adapter's folder a set lies."""
    return f"{SETS}/{name}" if name != FIRST else ""


def _part_of(name: str) -> str:
    """The set's folder, or the module, that a tensor belongs to."""
    return "/".join(name.split("/")[:2]) if name.startswith((f"{SETS}/", "modules/")) else ""


def _adapted(name: str) -> str:
    """The module of the model that a tensor of LoRA belongs to, by the tensor's name."""
    return name.removeprefix(f"{_part_of(name)}/").partition(".lora_")[0]


def _below(where: str, weights: Mapping[str, torch.Tensor]) -> Weights:
    return {f"{where}/{name}" if where else name: tensor for name, tensor in weights.items()}


def _taken(weights: Weights, where: str) -> Weights:
    """Takes the tensors of one part out of all, under their names in it."""
    names = [name for name in weights if _part_of(name) == where]
    return {name.removeprefix(f"{where}/"): weights.pop(name) for name in names}
