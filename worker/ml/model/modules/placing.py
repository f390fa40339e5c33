"""Puts modules of an adapter on a model and takes them off; neither copies nor computes anything.

The model's own modules keep their names and stay what they are: a module that does not stand in the
stead of another one is a child of the whole model, called by a hook. So LoRA's files name the same
modules with and without it, and what is taken off leaves no trace.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from worker.ml.model.lora import refuse_other_tensors, replace_module
from worker.ml.model.modules.kinds import KINDS, Stands
from worker.ml.model.modules.rows import AddedRows
from worker.ml.types import ModuleSettings

_ON = "_adapter_modules"  # of the model: what is on it, and how each goes off again
_CHILD = "adapter_module_"

TakeOff = Callable[[], None]


@dataclass(frozen=True, eq=False)
class AdapterModule:
    """A module of an adapter, by the name that it has there."""

    name: str
    settings: ModuleSettings
    module: torch.nn.Module

    @property
    def stands(self) -> Stands:
        """Returns how it stands to the module at its place."""
        return KINDS[self.settings.kind].stands

    def weights(self) -> dict[str, torch.Tensor]:
        """Returns its tensors by name, as they are (not copied)."""
        return dict(self.module.state_dict())


def build_modules(model: Any, modules: Mapping[str, ModuleSettings]) -> list[AdapterModule]:
    """Makes modules for a model without putting them on it, in the order of their names; they are
    on its device. Raises ValueError for a kind or a place that is not there, and where a kind
    cannot be built for this model."""
    return [
        AdapterModule(name, settings, _build(model, name, settings))
        for name, settings in sorted(modules.items())
    ]


def _build(model: Any, name: str, settings: ModuleSettings) -> torch.nn.Module:
    kind = KINDS.get(settings.kind)
    if kind is None:
        raise ValueError(
            f"The module {name} is of the kind {settings.kind}, which this version does not know "
            f"(it knows {', '.join(sorted(KINDS))})."
        )
    if kind.stands is not Stands.BESIDE and not has_place(model, settings.place):
        raise ValueError(f"The model has no module {settings.place}, where {name} belongs.")
    return kind.build(model, settings.place, settings.options).to(model.device)


def has_place(model: Any, place: str) -> bool:
    """Whether the model has a module of that name, other than itself."""
    try:
        model.get_submodule(place)
    except AttributeError:
        return False
    return bool(place)


def put_modules_on(model: Any, modules: Sequence[AdapterModule]) -> None:
    """Puts modules on a model that has none on. Those that stand in the stead of another go first,
    so that the others are called around them."""
    if not modules:
        return
    on: list[tuple[AdapterModule, TakeOff]] = []
    model.__dict__[_ON] = on
    for one in sorted(modules, key=lambda one: (one.stands is not Stands.IN, one.name)):
        on.append((one, _put_on(model, one)))
        one.module.train(model.training)


def take_modules_off(model: Any) -> None:
    """Takes every module of an adapter off the model."""
    for _, take_off in reversed(model.__dict__.pop(_ON, [])):
        take_off()


def modules_on(model: Any) -> Mapping[str, AdapterModule]:
    """Returns the modules that are on the model, by their names in the adapter."""
    return {one.name: one for one, _ in model.__dict__.get(_ON, [])}


def _put_on(model: Any, one: AdapterModule) -> TakeOff:
    place = one.settings.place
    if one.stands is Stands.IN:
        original = model.get_submodule(place)
        replace_module(model, place, one.module)
        return lambda: replace_module(model, place, original)
    child = f"{_CHILD}{one.name}"
    model.add_module(child, one.module)
    if one.stands is Stands.BESIDE:
        return lambda: delattr(model, child)
    hooks = _hooks(model.get_submodule(place), one)

    def take_off() -> None:
        for hook in hooks:
            hook.remove()
        delattr(model, child)

    return take_off


def _hooks(at: torch.nn.Module, one: AdapterModule) -> list[Any]:
    module: Any = one.module
    first_asked = module.before if one.stands is Stands.AROUND else module

    def before(_: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        if args:
            return (first_asked(args[0]), *args[1:]), kwargs
        first = next(iter(kwargs))
        return args, kwargs | {first: first_asked(kwargs[first])}

    def behind(_: torch.nn.Module, args: Any, kwargs: Any, made: Any) -> Any:
        return module(made, *args, **kwargs)

    hooks: list[Any] = []
    if one.stands in {Stands.BEFORE, Stands.AROUND}:
        hooks.append(at.register_forward_pre_hook(before, with_kwargs=True))
    if one.stands in {Stands.BEHIND, Stands.AROUND}:
        hooks.append(at.register_forward_hook(behind, with_kwargs=True))
    return hooks


def find_row(model: Any, name: str) -> int | None:
    """Returns the number of a row that the adapter which is on adds to the words, None without."""
    for one in modules_on(model).values():
        if isinstance(one.module, AddedRows) and name in one.module.names:
            return one.module.number_of(name)
    return None


def load_module(one: AdapterModule, weights: Mapping[str, torch.Tensor]) -> None:
    """Gives a module these tensors, in their own number type; its parameters stay the same objects,
    which an optimizer may hold. Raises ValueError where names or shapes differ."""
    own = one.module.state_dict(keep_vars=True)
    refuse_other_tensors(own, weights)
    for name, tensor in own.items():
        tensor.data = weights[name].to(tensor.device, copy=True)


def merge_modules(model: Any) -> None:
    """Writes what the modules that are on the model learned into the model's own, and takes them
    off. Raises ValueError, before anything is changed, where one of them is no weights of the
    model."""
    on = list(modules_on(model).values())
    for one in on:
        if KINDS[one.settings.kind].merge is None:
            raise ValueError(
                f"The module {one.name} ({one.settings.kind}) is no weights of the model."
            )
    take_modules_off(model)
    for one in on:
        merge = KINDS[one.settings.kind].merge
        if merge is not None:
            merge(model.get_submodule(one.settings.place), one.module)
