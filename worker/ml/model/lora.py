"""LoRA on a loaded model: where it goes, putting it on, taking it off, its files.

peft's layers are injected into the model itself rather than wrapped around it, so that the same
object is sampled from with and without an adapter, and taking one off gives back the very modules
that were there before. (LoRA: Hu et al. 2021, arXiv 2106.09685.)
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft import set_peft_model_state_dict as set_state
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.pytorch_utils import Conv1D

from worker.ml.errors import AdapterError, ModelUnusableError
from worker.ml.types import LoraSettings

ADAPTER = "default"
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # peft's files name modules as seen from its wrapper


def find_targets(model: Any, settings: LoraSettings) -> list[str]:
    """Returns the full names of the linear modules that get LoRA, sorted.

    The language model always; the vision tower and what lies between them (projector) on request;
    the output layer never. Raises ModelUnusableError if nothing is left.
    """
    by_part = linear_modules(model)
    names = list(by_part["language"])
    if settings.tower:
        names += by_part["tower"]
    if settings.projector:
        names += by_part["projector"]
    if settings.targets != "all-linear":
        wanted = tuple(settings.targets)
        names = [n for n in names if any(n == w or n.endswith(f".{w}") for w in wanted)]
    if not names:
        known = sorted({n.rsplit(".", 1)[-1] for part in by_part.values() for n in part})
        raise ModelUnusableError(
            f"No module of the model matches the LoRA targets {settings.targets}. "
            f"Its linear modules are called {', '.join(known)}."
        )
    return sorted(names)


def linear_modules(model: Any) -> dict[str, list[str]]:
    """Returns the names of the linear modules by part: language, tower, projector. Keys are always
    there.
    """
    language, tower = model.get_decoder(), model.get_encoder(modality="image")
    in_language = {id(m) for m in language.modules()} if language is not model else set()
    in_tower = {id(m) for m in tower.modules()} if tower is not model else set()
    output = model.get_output_embeddings()
    parts: dict[str, list[str]] = {"language": [], "tower": [], "projector": []}
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear | Conv1D) or module is output:
            continue
        if id(module) in in_tower:
            parts["tower"].append(name)
        elif id(module) in in_language or not in_language:
            parts["language"].append(name)
        else:
            parts["projector"].append(name)
    return parts


def add_new_adapter(model: Any, settings: LoraSettings) -> list[str]:
    """Injects a fresh adapter (it changes nothing yet: B is zero) and makes only it trainable.
    Uses torch's global generator. Returns the names of the adapted modules."""
    targets = find_targets(model, settings)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # any number does
        lora_dropout=settings.dropout,
        target_modules=targets,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(f".{ADAPTER}" in name)
    return targets


@dataclass(frozen=True, eq=False)
class AdapterModules:
    """An adapter in memory: the modules that stand in the places of a model's own while it is on,
    by the names of those places. Each holds the module whose place it takes, so that off and on
    neither copies nor computes anything."""

    config: LoraConfig
    modules: Mapping[str, torch.nn.Module]
    n_bytes: int
    """Of the adapter's own tensors."""


def inject_adapter(model: Any, folder: Path) -> AdapterModules:
    """Reads the adapter of `folder` and puts it on a bare model, for inference. Returns its
    modules. Raises AdapterError; the model is then bare."""
    config, weights = read_adapter(folder)
    try:
        inject_adapter_in_model(config, model, adapter_name=ADAPTER)
        load_weights(model, weights)
    except (ValueError, RuntimeError, KeyError) as error:
        remove_adapters(model)
        raise AdapterError(
            f"The adapter {folder.name} does not fit this base model: "
            f"{str(error).strip().splitlines()[0]} Use the base that it was trained on."
        ) from error
    model.requires_grad_(False)
    n_bytes = sum(t.numel() * t.element_size() for t in adapter_weights(model).values())
    return AdapterModules(model.peft_config[ADAPTER], dict(adapted_layers(model)), n_bytes)


def put_on(model: Any, adapter: AdapterModules) -> None:
    """Puts an adapter that was on this model before on it again; the model must be bare."""
    for name, module in adapter.modules.items():
        replace_module(model, name, module)
    model.peft_config = {ADAPTER: adapter.config}


def read_adapter(folder: Path) -> tuple[LoraConfig, dict[str, torch.Tensor]]:
    """Returns configuration and weights (on the CPU, names as in the bare model) of an adapter
    folder.
    """
    try:
        settings = json.loads((folder / CONFIG_FILE).read_text())
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, json.JSONDecodeError, SafetensorError) as error:
        raise AdapterError(
            f"{folder} holds no adapter that can be read ({error}). It needs {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}; fetch it again or choose another."
        ) from error
    if settings.get("peft_type") != "LORA":
        raise AdapterError(f"{folder} holds a {settings.get('peft_type')} adapter, not LoRA.")
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = True
    return config, {name.removeprefix(_PREFIX): tensor for name, tensor in weights.items()}


def refuse_other_base(folder: Path, base_revision: str) -> None:
    """Raises AdapterError if the adapter of `folder` says that it was trained on another base than
    the one with this digest of its files, or commit."""
    try:
        trained_on = json.loads((folder / CONFIG_FILE).read_text()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return  # reading the adapter itself says what is wrong
    if _is_digest(trained_on) and _is_digest(base_revision) and trained_on != base_revision:
        raise AdapterError(
            f"The adapter {folder.name} was trained on the base model {trained_on}, and this one "
            f"is {base_revision}. Use the base that it was trained on, or start from the new one "
            "without it."
        )


def _is_digest(text: object) -> bool:
    """Whether a text names the content of a model, rather than where it is."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def load_weights(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Fills the injected adapter. Raises ValueError if a tensor is missing or left over."""
    before = adapter_weights(model)
    if before.keys() != weights.keys():
        odd = sorted(before.keys() ^ weights.keys())
        raise ValueError(f"{len(odd)} tensors differ in name, {odd[0]} among them.")
    if wrong := [name for name in before if before[name].shape != weights[name].shape]:
        raise ValueError(f"{len(wrong)} tensors differ in shape, {wrong[0]} among them.")
    set_state(model, weights, adapter_name=ADAPTER)


def adapter_weights(model: Any) -> dict[str, torch.Tensor]:
    """Returns the adapter's tensors by name, as they are (not copied)."""
    weights: dict[str, torch.Tensor] = get_peft_model_state_dict(
        model, adapter_name=ADAPTER, save_embedding_layers=False
    )
    return weights


def trainable(model: Any) -> list[torch.nn.Parameter]:
    """Returns the parameters that an optimizer may change, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def write_adapter(model: Any, folder: Path, base_revision: str) -> None:
    """Writes peft's two files into `folder`. The same weights give the same bytes anywhere: the
    base is named by its revision, not by a path of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.peft_config[ADAPTER]
    settings = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in config.to_dict().items()
    }
    settings |= {"base_model_name_or_path": base_revision, "inference_mode": True}
    text = json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n"
    (folder / CONFIG_FILE).write_text(text)
    tensors = {
        _PREFIX + name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in adapter_weights(model).items()
    }
    save_file(dict(sorted(tensors.items())), folder / WEIGHTS_FILE, metadata={"format": "pt"})


def adapts_vision(model: Any) -> bool:
    """Whether the adapter that is on changes what the model sees: its tower or its projector."""
    language = {id(module) for module in model.get_decoder().modules()}
    return any(id(layer) not in language for _, layer in adapted_layers(model))


def remove_adapters(model: Any) -> None:
    """Puts the original modules back where peft's layers are; the model then has no adapter on."""
    for name, layer in adapted_layers(model):
        replace_module(model, name, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    if hasattr(model, "_hf_peft_config_loaded"):
        model._hf_peft_config_loaded = False
    model.requires_grad_(False)


def adapted_layers(model: Any) -> list[tuple[str, Any]]:
    """Returns peft's layers on the model, with their names."""
    found = model.named_modules()
    return [(name, module) for name, module in found if isinstance(module, BaseTunerLayer)]


def replace_module(model: Any, name: str, module: torch.nn.Module) -> None:
    """Puts a module into the place with this name."""
    parent_name, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent_name), child, module)
