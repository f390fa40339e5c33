"""What happens at which step: the order of the rows and the learning rate, as pure functions of
the seed and the step, so that a resumed training goes on exactly where it was."""

import math
import random
from collections.abc import Sequence

from worker.ml.seeds import derive_seed
from worker.ml.types import TrainConfig, TrainRow


def epoch_batches(rows: Sequence[TrainRow], config: TrainConfig, epoch: int) -> list[list[int]]:
    """Positions of the rows of each optimizer step of an epoch (counted from 1); each row once.

    Rows with and without a rationale are shuffled apart and then dealt out evenly: rationale rows
    are few, and a step without any would only teach answers.
    """
    shuffle = random.Random(derive_seed(config.seed, "epoch", epoch))  # noqa: S311 -- no secret
    kinds: tuple[list[int], list[int]] = ([], [])
    for index, row in enumerate(rows):
        kinds[bool(row.rationale)].append(index)
    placed: list[tuple[float, int]] = []
    for kind in kinds:
        shuffle.shuffle(kind)
        offset = shuffle.random()
        placed += [((place + offset) / len(kind), index) for place, index in enumerate(kind)]
    order = [index for _, index in sorted(placed)]
    size = config.batch_size * config.gradient_accumulation
    return [order[start : start + size] for start in range(0, len(order), size)]


def steps_per_epoch(n_rows: int, config: TrainConfig) -> int:
    """Optimizer steps of one epoch."""
    return math.ceil(n_rows / (config.batch_size * config.gradient_accumulation))


def learning_rate(config: TrainConfig, step: int, n_steps: int) -> float:
    """The rate of a step (counted from 1): a linear rise over the warm-up, then a fall towards 0
    that reaches it one step after the last."""
    warmup = max(1, math.ceil(config.warmup_share * n_steps))
    if step <= warmup:
        return config.learning_rate * step / warmup
    left = (n_steps + 1 - step) / (n_steps + 1 - warmup)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1.0 - math.cos(math.pi * left))
    return config.learning_rate * left
