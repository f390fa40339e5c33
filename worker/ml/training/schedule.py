"""What happens at which step: the order of the examples and the learning rate, as pure functions of
the seed and the step, so that a resumed training goes on exactly where it was. And how the examples
of a step are cut into forwards: by length, so that little is padded."""

import math
import random
from collections.abc import Iterable, Sequence

from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.losses import loss_names
from worker.ml.types import Example, TrainConfig


def epoch_batches(examples: Sequence[Example], config: TrainConfig, epoch: int) -> list[list[int]]:
    """Returns the positions of the examples of each optimizer step of an epoch (counted from 1);
    each example once.

    Those of one item and kind follow each other, since they share most of their work. The kinds
    (see kinds_of) are shuffled apart and then dealt out evenly: examples with a rationale are few,
    and a step without any would only teach answers.
    """
    shuffle = random.Random(derive_seed(config.seed, "epoch", epoch))  # noqa: S311 -- no secret
    kinds = kinds_of(examples)
    by_kind: list[list[list[int]]] = [[] for _ in range(max(kinds, default=0) + 1)]
    for group in group_by_item(examples, range(len(examples))):
        by_kind[kinds[group[0]]].append(group)
    placed: list[tuple[float, list[int]]] = []
    for groups in by_kind:
        shuffle.shuffle(groups)
        offset = shuffle.random()
        n_examples, before = sum(map(len, groups)), 0
        for group in groups:
            placed.append(((before + offset) / n_examples, group))
            before += len(group)
    order = [index for _, group in sorted(placed) for index in group]
    size = config.batch_size * config.gradient_accumulation
    return [order[start : start + size] for start in range(0, len(order), size)]


def kinds_of(examples: Sequence[Example]) -> list[int]:
    """Returns the kind of each example: the place, in the order in which the losses of the set
    appear, of the last loss that it has. An answer alone is 0, one with a rationale is 1."""
    place = {name: number for number, name in enumerate(loss_names(examples))}
    return [max(place[name] for name in example.losses) for example in examples]


def group_by_item(examples: Sequence[Example], indices: Iterable[int]) -> list[list[int]]:
    """Returns the positions `indices`, those together whose examples have one picture, question and
    set of losses; in the order of first appearance."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in indices:
        example = examples[index]
        key = (example.image, example.question, frozenset(example.losses))
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def cut_by_length(
    lengths: Sequence[int], n_rows: Sequence[int], max_rows: int, overhead: int
) -> list[list[int]]:
    """Cuts sequences into forwards, each a list of positions, so that the least is computed.

    lengths: tokens of each sequence; n_rows: examples in each. A forward of k sequences costs k
    times its longest length plus `overhead` tokens (starting a forward is not free) and holds at
    most `max_rows` examples, or one sequence. The best cut of the sorted lengths, by dynamic
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


def steps_per_epoch(n_examples: int, config: TrainConfig) -> int:
    """Returns the optimizer steps of one epoch."""
    return math.ceil(n_examples / (config.batch_size * config.gradient_accumulation))


def learning_rate(config: TrainConfig, step: int, n_steps: int) -> float:
    """Returns the rate of a step (counted from 1): a linear rise over the warm-up, then a fall
    towards 0 that reaches it one step after the last.
    """
    warmup = max(1, math.ceil(config.warmup_share * n_steps))
    if step <= warmup:
        return config.learning_rate * step / warmup
    left = (n_steps + 1 - step) / (n_steps + 1 - warmup)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1.0 - math.cos(math.pi * left))
    return config.learning_rate * left
