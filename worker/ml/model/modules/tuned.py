"""A tuned copy: one of the model's own modules with all of its weights trained, as LLaVA tunes its
projector (Liu et al. 2023, arXiv 2304.08485)."""

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers.utils.generic import ModelOutput


def copy_of(model: Any, place: str, options: Mapping[str, object]) -> torch.nn.Module:
    """Returns a copy of the model's module at a place. Raises ValueError where it cannot be
    tuned."""
    if options:
        raise ValueError(f"A tuned copy takes no options, and {place} has {', '.join(options)}.")
    original = model.get_submodule(place)
    own = list(original.parameters())
    if not own:
        raise ValueError(f"The module {place} has no weights that could be tuned.")
    if any(isinstance(module, BaseTunerLayer) for module in original.modules()):
        raise ValueError(f"The module {place} gets LoRA and is to be tuned whole. Choose one.")
    if not all(parameter.is_floating_point() for parameter in own):
        raise ValueError(f"The weights of {place} are packed (4 bits) and cannot be tuned.")
    if _shared(model, original):
        raise ValueError(
            f"The weights of {place} are used elsewhere in the model, too, and cannot be tuned."
        )
    made: torch.nn.Module = copy.deepcopy(original)
    # On a base of half precision tuned weights stay in float32, in which they are trained.
    made.register_forward_pre_hook(_as_its_weights, with_kwargs=True)
    made.register_forward_hook(partial(_as_the_base, dtype=own[0].dtype))
    return made


def copy_weights(original: torch.nn.Module, tuned: torch.nn.Module) -> None:
    """Writes the weights of a tuned copy into the module that it is a copy of."""
    theirs = tuned.state_dict()
    with torch.no_grad():
        for name, tensor in original.state_dict().items():
            tensor.copy_(theirs[name])


def _shared(model: Any, original: torch.nn.Module) -> bool:
    inside = {id(module) for module in original.modules()}
    mine = {id(parameter) for parameter in original.parameters()}
    return any(
        id(parameter) in mine
        for module in model.modules()
        if id(module) not in inside
        for parameter in module.parameters(recurse=False)
    )


def _as_its_weights(module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    dtype = next(module.parameters()).dtype
    return _cast(args, dtype), _cast(kwargs, dtype)


def _as_the_base(*given: Any, dtype: torch.dtype) -> Any:
    return _cast(given[-1], dtype)  # what the module made stands last


def _cast(given: Any, dtype: torch.dtype) -> Any:
    """The same in numbers of another type, as deep as modules hand on what they made."""
    if isinstance(given, torch.Tensor):
        return given.to(dtype) if given.is_floating_point() else given
    if isinstance(given, ModelOutput):
        return type(given)(**{name: _cast(one, dtype) for name, one in given.items()})
    if isinstance(given, tuple):
        return tuple(_cast(one, dtype) for one in given)
    if isinstance(given, dict):
        return {name: _cast(one, dtype) for name, one in given.items()}
    return given


def find_projectors(model: Any) -> list[str]:
    """Returns the names of the modules between the vision tower and the language model; that of the
    tower's own last module where a family counts it to the tower (Qwen-VL's merger). None where
    there is no such module."""
    tower = model.get_encoder(modality="image")
    kept = (tower, model.get_decoder(), model.get_output_embeddings())
    found = list(_between(model, "", kept))
    if not found and isinstance(getattr(tower, "merger", None), torch.nn.Module):
        found = [f"{name}.merger" for name, module in model.named_modules() if module is tower]
    return found


def _between(module: Any, name: str, kept: tuple[Any, ...]) -> Iterator[str]:
    for child_name, child in module.named_children():
        full_name = f"{name}.{child_name}" if name else child_name
        if any(child is one for one in kept):
            continue
        if any(inner is one for inner in child.modules() for one in kept):
            yield from _between(child, full_name, kept)
        elif next(child.parameters(), None) is not None:
            yield full_name
