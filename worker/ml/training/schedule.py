"""What happens at which step: the order of the rows and the learning rate, as pure functions of
the seed and the step, so that a resumed training goes on exactly where it was. And how the rows of
a step are cut into forwards: by length, so that little is padded."""

import math
import random
from collections.abc import Iterable, Sequence

from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import TrainConfig, TrainRow


def epoch_batches(rows: Sequence[TrainRow], config: TrainConfig, epoch: int) -> list[list[int]]:
    """Positions of the rows of each optimizer step of an epoch (counted from 1); each row once.

    Rows of one item that differ in their rationale follow each other, since they share most of
    their work. Items with and without a rationale are shuffled apart and then dealt out evenly:
    rationale rows are few, and a step without any would only teach answers.
    """
    shuffle = random.Random(derive_seed(config.seed, "epoch", epoch))  # noqa: S311 -- no secret
    kinds: tuple[list[list[int]], list[list[int]]] = ([], [])
    for group in group_by_item(rows, range(len(rows))):
        kinds[bool(rows[group[0]].rationale)].append(group)
    placed: list[tuple[float, list[int]]] = []
    for kind in kinds:
        shuffle.shuffle(kind)
        offset = shuffle.random()
        n_rows, before = sum(map(len, kind)), 0
        for group in kind:
            placed.append(((before + offset) / n_rows, group))
            before += len(group)
    order = [index for _, group in sorted(placed) for index in group]
    size = config.batch_size * config.gradient_accumulation
    return [order[start : start + size] for start in range(0, len(order), size)]


def group_by_item(rows: Sequence[TrainRow], indices: Iterable[int]) -> list[list[int]]:
    """The positions `indices`, those together whose rows differ in nothing but their rationale;
    in the order of first appearance."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in indices:
        row = rows[index]
        key = (row.image, row.question, row.answer, row.opener, bool(row.rationale))
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def cut_by_length(
    lengths: Sequence[int], n_rows: Sequence[int], max_rows: int, overhead: int
) -> list[list[int]]:
    """Cuts sequences into forwards, each a list of positions, so that the least is computed.

    lengths: tokens of each sequence; n_rows: training rows in each. A forward of k sequences costs
    k times its longest length plus `overhead` tokens (starting a forward is not free) and holds at
    most `max_rows` rows, or one sequence. The best cut of the sorted lengths, by dynamic
    programming; a function of its arguments alone.
    """
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    best = [0.0] + [math.inf] * len(order)
    begin = [0] * (len(order) + 1)
    for stop in range(1, len(order) + 1):
        longest, rows = lengths[order[stop - 1]], 0
        for start in range(stop - 1, -1, -1):
            rows += n_rows[order[start]]
            if rows > max_rows and start < stop - 1:
                break
            cost = best[start] + (stop - start) * longest + overhead
            if cost < best[stop]:
                best[stop], begin[stop] = cost, start
    forwards: list[list[int]] = []
    stop = len(order)
    while stop > 0:
        forwards.append(order[begin[stop] : stop])
        stop = begin[stop]
    return forwards[::-1]


def deal(costs: Sequence[float], n_hands: int) -> list[list[int]]:
    """Deals positions to `n_hands` hands of nearly equal cost: the dearest first, each to the
    hand that has least. Within a hand the positions are in their order."""
    hands: list[list[int]] = [[] for _ in range(n_hands)]
    sums = [0.0] * n_hands
    for place in sorted(range(len(costs)), key=lambda place: (-costs[place], place)):
        hand = min(range(n_hands), key=lambda number: (sums[number], number))
        hands[hand].append(place)
        sums[hand] += costs[place]
    return [sorted(hand) for hand in hands]


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
