"""The processes that train together, each on its share of every batch. One alone is a team, too.

The trained weights are few (LoRA), so each process keeps all of them and of the optimizer; after
the last forward of a step the gradients are added up, once. Processes may make different numbers
of forwards, or none, and all go on from the same sum: N processes train as one does, up to the
order of additions.
"""

from collections.abc import Sequence

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from worker.ml.training.schedule import deal, group_by_item
from worker.ml.types import Example

IMAGE_CHARACTERS = 1000  # about what a picture is worth, beside the characters of an example


class Team:
    """The agreement between the processes of one training."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.size: int = accelerator.num_processes
        self.number: int = accelerator.process_index

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and tells about progress."""
        return self.number == 0

    def share(self, examples: Sequence[Example], indices: Sequence[int]) -> list[list[int]]:
        """Returns this process's examples among `indices`, grouped by item, which is never torn
        apart."""
        groups = group_by_item(examples, indices)
        costs = [_cost([examples[index] for index in group]) for group in groups]
        return [groups[place] for place in deal(costs, self.size)[self.number]]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Returns the sums over all processes."""
        if self.size == 1:
            return list(values)
        device = self._accelerator.device
        exact = torch.float32 if device.type == "mps" else torch.float64
        added = self._accelerator.reduce(torch.tensor(values, dtype=exact, device=device), "sum")
        sums: list[float] = added.tolist()
        return sums

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        return self.sum([float(flag)])[0] > 0

    def most(self, count: int) -> int:
        """Returns the greatest count of any process."""
        if self.size == 1:
            return count
        counts = torch.tensor([count], device=self._accelerator.device)
        return int(self._accelerator.gather(counts).max())

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Gives every process the sum of all processes' gradients."""
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self._accelerator.reduce(flat, "sum")
        parts = flat.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.size > 1:
            self._accelerator.wait_for_everyone()


def _cost(examples: Sequence[Example]) -> float:
    shared = {part for example in examples for part in example.parts}  # computed once (branches.py)
    return IMAGE_CHARACTERS + len(examples[0].question) + sum(len(part.text) for part in shared)
