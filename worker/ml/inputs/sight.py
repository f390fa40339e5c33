"""How a picture goes through a model: found once, by showing a grey one to the bare base.

A family may read its vision tower before the last block (LLaVA: the last but one), or carry parts
that nothing is made of, such as SigLIP's pooling head. LoRA there gets no gradient, ever. Which
modules these are is asked of the gradients themselves, not of names or settings.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import NEUTRAL_QUESTION, Tensors, process
from worker.ml.inputs.frozen_tower import make_features
from worker.ml.inputs.prompts import frame_of
from worker.ml.model.loading import Vlm
from worker.ml.model.lora import linear_modules
from worker.ml.model.memory import is_out_of_memory
from worker.ml.model.modules.prototypes import n_centres
from worker.ml.model.modules.tuned import find_projectors
from worker.ml.types import PROJECTOR, WORDS, AdapterSettings, LoraSettings, ModuleSettings

logger = logging.getLogger(__name__)

GREY = Image.new("RGB", (224, 224), (128, 128, 128))


@dataclass(frozen=True, slots=True)
class Sight:
    """unread: the linear modules of tower and projector from which nothing reaches the language
    model, by their full names. given: the shape of what each projector is given of one picture, by
    the projector's name; empty where the family could not be looked into."""

    unread: tuple[str, ...]
    given: Mapping[str, tuple[int, ...]]


def look_into(vlm: Vlm) -> Sight:
    """Returns how a picture goes through this model; tried once per loaded model, which must be
    bare. A family that cannot be tried has nothing that is known to be unread."""
    known: Sight | None = vlm.memo.get("sight")
    if known is None:
        known = vlm.memo["sight"] = _try(vlm)
        if known.unread:
            logger.info("Model %s never reads %s", vlm.name, ", ".join(known.unread))
    return known


def fit_set(vlm: Vlm, lora: LoraSettings) -> LoraSettings:
    """Returns a set of LoRA without the modules that this model never reads."""
    if not (lora.tower or lora.projector):
        return lora
    return replace(lora, left_out=(*lora.left_out, *look_into(vlm).unread))


def fit_adapter(vlm: Vlm, adapter: AdapterSettings) -> AdapterSettings:
    """Returns what an adapter is to hold as it fits this model, which must be bare: no LoRA where
    nothing is read, and modules at the projector by its name and of its size. Raises
    ModelUnusableError where a module has no place there."""
    modules = {
        fitted_name: fitted
        for name, one in adapter.modules.items()
        for fitted_name, fitted in _fit_module(vlm, name, one)
    }
    return AdapterSettings(
        fit_set(vlm, adapter.lora) if adapter.lora else None,
        {name: fit_set(vlm, lora) for name, lora in adapter.sets.items()},
        modules,
    )


def _fit_module(
    vlm: Vlm, name: str, settings: ModuleSettings
) -> Iterator[tuple[str, ModuleSettings]]:
    if settings.place == WORDS:
        words = vlm.model.get_input_embeddings()
        if not isinstance(words, torch.nn.Embedding):  # then words say what a row would
            logger.info("Model %s has no table of words to which rows can be added", vlm.name)
            return
        place = next(name for name, one in vlm.model.named_modules() if one is words)
        yield name, replace(settings, place=place)
        return
    if settings.place != PROJECTOR:
        yield name, settings
        return
    places = find_projectors(vlm.model)
    if not places:
        raise ModelUnusableError(
            f"{vlm.name} has no projector, where {name} belongs. Leave it out."
        )
    if settings.kind == "perception":
        yield name, replace(settings, options={**settings.options, **_perception_sizes(vlm)})
    elif settings.kind == "prototypes":
        place, n_patches, width = _patches(vlm, places)
        sizes = {"width": width, "centres": n_centres(n_patches)}
        yield name, replace(settings, place=place, options={**settings.options, **sizes})
    elif len(places) == 1:
        yield name, replace(settings, place=places[0])
    else:
        for number, place in enumerate(places, start=1):
            yield f"{name}_{number}", replace(settings, place=place)


def _perception_sizes(vlm: Vlm) -> dict[str, int]:
    """How wide the features are that the language model is given, and which of its layers is the
    middle one."""
    width = int(vlm.model.get_input_embeddings().weight.shape[1])
    n_layers = int(vlm.model.config.get_text_config(decoder=True).num_hidden_layers)
    return {"width": width, "layer": max(1, n_layers // 2)}


def _patches(vlm: Vlm, places: Sequence[str]) -> tuple[str, int, int]:
    """The one projector, how many patches of a picture it is given together, and how wide each."""
    shapes = look_into(vlm).given
    why = ""
    if len(places) > 1:
        why = f"between its tower and its language model stand {' and '.join(places)}"
    elif places[0] not in shapes:
        why = f"what {places[0]} is given could not be looked at"
    elif len(shape := shapes[places[0]]) != 3:
        why = (
            f"{places[0]} is given numbers in the shape {' × '.join(map(str, shape))} and not the "
            "patches of one picture after the other"
        )
    elif n_centres(shape[1]) < 1:
        why = f"{places[0]} is given a single patch of each picture"
    if why:
        raise ModelUnusableError(
            f"Prototypes have no place in {vlm.name} ({vlm.model.config.model_type}): {why}. "
            "Leave them out, or use another model."
        )
    _, n_patches, width = shapes[places[0]]
    return places[0], n_patches, width


def _try(vlm: Vlm) -> Sight:
    parts = linear_modules(vlm.model)
    names = [*parts["tower"], *parts["projector"]]
    made: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    given: dict[str, tuple[int, ...]] = {}
    hooks = [
        vlm.model.get_submodule(name).register_forward_hook(_keeping(made[name])) for name in names
    ]
    for name in find_projectors(vlm.model):
        module = vlm.model.get_submodule(name)
        hooks.append(module.register_forward_pre_hook(_noting(given, name), with_kwargs=True))
    try:
        with torch.enable_grad():
            seen = _show(vlm)
        unread = _without_gradient(made, seen)
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise
        logger.info("Model %s could not be looked into: %s: %s", vlm.name, type(error), error)
        return Sight((), given)
    finally:
        for hook in hooks:
            hook.remove()
    return Sight(tuple(sorted(unread)), given)


def _show(vlm: Vlm) -> list[torch.Tensor]:
    """What the language model gets of a picture; its logits where the family does not say."""
    inputs = show_grey(vlm, frame_of(vlm, NEUTRAL_QUESTION).context)
    if hasattr(vlm.model.base_model, "get_image_features"):
        return list(_tensors(make_features(vlm, inputs).values()))
    return [vlm.model(**inputs, use_cache=False).logits]


def show_grey(vlm: Vlm, context: str) -> Tensors:
    """Returns the model's inputs for a prompt with a grey picture, where the model is."""
    made = process(vlm, GREY, context).items()
    tensors = {name: value for name, value in made if isinstance(value, torch.Tensor)}
    return {
        name: (value.to(vlm.dtype) if value.is_floating_point() else value).to(vlm.device)
        for name, value in tensors.items()
    }


def _tensors(found: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a family returns, as deep as they lie."""
    for one in found:
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _keeping(kept: list[torch.Tensor]) -> Any:
    def keep(_: torch.nn.Module, __: Any, made: torch.Tensor) -> None:
        if not made.requires_grad:  # nothing before it learns: gradients begin here
            made.requires_grad_()
        kept.append(made)

    return keep


def _noting(given: dict[str, tuple[int, ...]], name: str) -> Any:
    def note(_: torch.nn.Module, args: Any, kwargs: Any) -> None:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(first, torch.Tensor):
            given[name] = tuple(first.shape)

    return note


def _without_gradient(
    made: Mapping[str, list[torch.Tensor]], seen: list[torch.Tensor]
) -> list[str]:
    """The modules of which nothing went into what was seen; none where nothing can be told."""
    outputs = [(name, tensor) for name, tensors in made.items() for tensor in tensors]
    total = sum((tensor.float().sum() for tensor in seen if tensor.requires_grad), torch.zeros(()))
    if not outputs or not total.requires_grad:
        return []
    found: tuple[torch.Tensor | None, ...] = torch.autograd.grad(
        total, [tensor for _, tensor in outputs], allow_unused=True
    )
    read = {
        name for (name, _), gradient in zip(outputs, found, strict=True) if gradient is not None
    }
    return [name for name in made if name not in read]
