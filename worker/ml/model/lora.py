"""LoRA on a loaded model: where it goes, putting it on, taking it off, its files.

peft's layers are injected into the model itself rather than wrapped around it, so that the same
object is sampled from with and without an adapter, and taking one off gives back the very modules
that were there before. An adapter may hold several named sets, each with a size of its own and each
in peft's own files; a module of the model is in one set at most. (LoRA: Hu et al. 2021, arXiv
2106.09685.)
"""

import json
import re
from collections.abc import Mapping
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
from worker.ml.types import FIRST, LoraSettings

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # peft's files name modules as seen from its wrapper


def find_targets(model: Any, settings: LoraSettings) -> list[str]:
    """Returns the full names of the linear modules that get LoRA, sorted; the output layer is never
    one of them. The model must be bare. Raises ModelUnusableError if nothing is left.
    """
    by_part = linear_modules(model)
    wanted_parts = {
        "language": settings.language,
        "tower": settings.tower,
        "projector": settings.projector,
    }
    left_out = set(settings.left_out)
    names = [
        name
        for part, names in by_part.items()
        if wanted_parts[part]
        for name in names
        if name not in left_out
    ]
    if settings.targets != "all-linear":
        wanted = tuple(settings.targets)
        names = [n for n in names if any(n == w or n.endswith(f".{w}") for w in wanted)]
    if not names:
        known = sorted({n.rsplit(".", 1)[-1] for part in by_part.values() for n in part})
        parts = [part for part, is_wanted in wanted_parts.items() if is_wanted]
        raise ModelUnusableError(
            f"No module of the model matches the LoRA targets {settings.targets} in the parts "
            f"{', '.join(parts) or 'that are named (none)'}. "
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


def add_sets(model: Any, sets: Mapping[str, LoraSettings]) -> list[str]:
    """Injects fresh sets (they change nothing yet: B is zero) into a bare model. Uses torch's
    global generator. Returns the names of the adapted modules. Raises ModelUnusableError where a
    set finds no module or two sets want the same one; the model is then bare."""
    targets = {name: find_targets(model, settings) for name, settings in sets.items()}
    owner: dict[str, str] = {}
    for name, found in targets.items():
        for module in found:
            if module in owner:
                raise ModelUnusableError(
                    f"Two sets of LoRA want the module {module}: {called(owner[module])} and "
                    f"{called(name)}. Give each module to one of them."
                )
            owner[module] = name
    for name, settings in sets.items():
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,  # type: ignore[arg-type]  # any number does
            lora_dropout=settings.dropout,
            target_modules=targets[name],
            use_rslora=settings.rslora,
            use_dora=settings.dora,
        )
        inject_set(model, name, config)
    return sorted(owner)


def inject_set(model: Any, name: str, config: LoraConfig) -> None:
    """Puts peft's layers of one more set on the model. Raises what peft raises, and ValueError
    where a module is in another set already."""
    others = model.__dict__.pop("peft_config", {})
    inject_adapter_in_model(config, model, adapter_name=_peft_name(name))
    model.peft_config = others | model.peft_config
    for _, layer in adapted_layers(model):  # peft has only the newest one take part
        layer.set_adapter(list(layer.scaling))
    if taken := [at for at, layer in adapted_layers(model) if len(layer.scaling) > 1]:
        raise ValueError(f"{len(taken)} modules are in two of its sets, {taken[0]} among them.")


def sets_on(model: Any) -> list[str]:
    """Returns the names of the sets that are on the model, the first one first."""
    on = getattr(model, "peft_config", {})
    return [name.removeprefix(_FURTHER) if name != _FIRST_OF_PEFT else FIRST for name in on]


def called(name: str) -> str:
    """Returns how a sentence calls a set."""
    return f"the set {name}" if name != FIRST else "the first set"


# peft looks for its own names of adapters anywhere in the names of tensors, so they must be such as
# no module has.
_FIRST_OF_PEFT, _FURTHER = "default", "illume-set-"


def _peft_name(name: str) -> str:
    return _FIRST_OF_PEFT if name == FIRST else f"{_FURTHER}{name}"


def read_set(folder: Path) -> tuple[LoraConfig, dict[str, torch.Tensor]]:
    """Returns configuration and weights (on the CPU, names as in the bare model) of a set in peft's
    layout. Raises AdapterError.
    """
    try:
        settings = json.loads((folder / CONFIG_FILE).read_text())
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise AdapterError(
            f"{folder} holds no adapter that can be read ({error}). It needs {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}; fetch it again or choose another."
        ) from error
    if settings.get("peft_type") != "LORA":
        raise AdapterError(f"{folder} holds a {settings.get('peft_type')} adapter, not LoRA.")
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = True
    return config, {name.removeprefix(_PREFIX): tensor for name, tensor in weights.items()}


def read_base_name(folder: Path) -> object:
    """Returns what the set of this folder says that it was trained on, None where it cannot say."""
    try:
        found: object = json.loads((folder / CONFIG_FILE).read_text()).get(
            "base_model_name_or_path"
        )
    except (OSError, ValueError, AttributeError):
        return None  # reading the set itself says what is wrong
    return found


def refuse_other_base(name: str, trained_on: object, base_revision: str) -> None:
    """Raises AdapterError if the adapter called `name` was trained on another base than the one
    with this digest of its files, or commit. Names that are no such thing are let pass."""
    if _is_digest(trained_on) and _is_digest(base_revision) and trained_on != base_revision:
        raise AdapterError(
            f"The adapter {name} was trained on the base model {trained_on}, and this one "
            f"is {base_revision}. Use the base that it was trained on, or start from the new one "
            "without it."
        )


def _is_digest(text: object) -> bool:
    """Whether a text names the content of a model, rather than where it is."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def load_set(model: Any, name: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Fills an injected set. Raises ValueError if a tensor is missing, left over or of another
    shape."""
    refuse_other_tensors(set_weights(model, name), weights)
    set_state(model, dict(weights), adapter_name=_peft_name(name))


def refuse_other_tensors(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> None:
    """Raises ValueError unless names and shapes are equal."""
    if wanted.keys() != given.keys():
        odd = sorted(wanted.keys() ^ given.keys())
        raise ValueError(f"{len(odd)} tensors differ in name, {odd[0]} among them.")
    if wrong := [name for name in wanted if wanted[name].shape != given[name].shape]:
        raise ValueError(f"{len(wrong)} tensors differ in shape, {wrong[0]} among them.")


def set_weights(model: Any, name: str) -> dict[str, torch.Tensor]:
    """Returns the tensors of a set by name, as they are (not copied)."""
    weights: dict[str, torch.Tensor] = get_peft_model_state_dict(
        model, adapter_name=_peft_name(name), save_embedding_layers=False
    )
    return weights


def write_set(model: Any, name: str, folder: Path, base_revision: str) -> None:
    """Writes peft's two files of a set into `folder`. The same weights give the same bytes
    anywhere: the base is named by its revision, not by a path of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.peft_config[_peft_name(name)]
    settings = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in config.to_dict().items()
    }
    settings |= {"base_model_name_or_path": base_revision, "inference_mode": True}
    text = json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n"
    (folder / CONFIG_FILE).write_text(text)
    tensors = {
        _PREFIX + name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in set_weights(model, name).items()
    }
    save_file(dict(sorted(tensors.items())), folder / WEIGHTS_FILE, metadata={"format": "pt"})


def lora_parameters(layer: Any) -> list[torch.nn.Parameter]:
    """Returns the parameters of one of peft's layers without those of the module that it adapts."""
    own = {id(parameter) for parameter in layer.get_base_layer().parameters()}
    return [parameter for parameter in layer.parameters() if id(parameter) not in own]


def set_of(layer: Any) -> str:
    """Returns the name of the set that one of peft's layers belongs to."""
    (name,) = layer.scaling
    return FIRST if name == _FIRST_OF_PEFT else str(name).removeprefix(_FURTHER)


def take_off_sets(model: Any) -> None:
    """Puts the original modules back where peft's layers are."""
    for name, layer in adapted_layers(model):
        replace_module(model, name, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    if hasattr(model, "_hf_peft_config_loaded"):
        model._hf_peft_config_loaded = False


def adapted_layers(model: Any) -> list[tuple[str, Any]]:
    """Returns peft's layers on the model, with their names."""
    found = model.named_modules()
    return [(name, module) for name, module in found if isinstance(module, BaseTunerLayer)]


def replace_module(model: Any, name: str, module: torch.nn.Module) -> None:
    """Puts a module into the place with this name."""
    parent_name, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent_name), child, module)
