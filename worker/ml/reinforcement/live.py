"""Takes the adapter that learns off the model and puts it on again, while others take its place."""

from pathlib import Path

from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import (
    AdapterModules,
    Weights,
    adapter_weights,
    load_weights,
    put_on,
    remove_adapters,
    trainable,
)
from worker.ml.model.loading import Vlm
from worker.ml.model.lora import adapted_layers
from worker.ml.model.modules.placing import modules_on


class LiveAdapter:
    """The adapter that is on the model and learns: its very modules, kept while it is off."""

    def __init__(self, vlm: Vlm, place: Path) -> None:
        """place: a name for it, which no other adapter has."""
        self._vlm, self._place = vlm, place
        self._modules = AdapterModules(
            configs=dict(getattr(vlm.model, "peft_config", {})),
            layers=dict(adapted_layers(vlm.model)),
            modules=tuple(modules_on(vlm.model).values()),
            n_bytes=0,
        )
        self.parameters = trainable(vlm.model)
        self._n_changes = 0
        self._is_on = True
        self.note_change()

    def note_change(self) -> None:
        """Says that it has other weights now: what was kept of its former ones is not used."""
        self._n_changes += 1
        self._name()

    def switch_on(self) -> None:
        """Puts it on in place of the one that is on."""
        if self._is_on:
            return
        attach_adapter(self._vlm, None)
        put_on(self._vlm.model, self._modules)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self._is_on = True
        self._name()

    def switch_off(self, other: Path | None) -> None:
        """Puts the adapter of a folder on in its place."""
        attach_adapter(self._vlm, other)
        self._is_on = False

    def weights(self) -> Weights:
        """Returns copies of its tensors on the CPU; it must be on."""
        return {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in adapter_weights(self._vlm.model).items()
        }

    def load(self, weights: Weights) -> None:
        """Gives it these weights; it must be on."""
        load_weights(self._vlm.model, weights)

    def take_off(self) -> None:
        """Leaves the model bare."""
        remove_adapters(self._vlm.model)
        self._vlm.adapter = None
        self._is_on = False

    def _name(self) -> None:
        if self._is_on:  # features of images, say, are kept under this name
            self._vlm.adapter = self._place
            self._vlm.memo["adapter_mark"] = ("live", self._n_changes)
