"""The draws of an item, whichever strategy makes them: which there are, with what seeds, and when
there are enough."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from app.kit.texts import collapse
from app.models import Image, Item
from app.round_settings import LoopSettings, SamplingSettings
from app.same_text import text_key
from worker.ml.sampling.seeds import derive_seed
from worker.strategies.costs import share_out

Wish = TypeVar("Wish")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Place:
    """One draw to make: of which item, how, and which one of several."""

    item_id: int
    opener: str
    temperature: float
    number: int
    seed: int


def plan_places(
    items: Sequence[tuple[Item, Image]], settings: LoopSettings, round_number: int, strategy: str
) -> Iterator[tuple[Place, Item, Image]]:
    """Yields all draws of some items, with seeds that depend on what is drawn and nothing else.

    The seed is made of the item's own id in the data, not of a row number: the same data in
    another database gives the same texts.
    """
    ways = list(plan_ways(settings, strategy))
    for item, image in items:
        for opener, temperature, number in ways:
            seed = derive_seed(
                settings.seed,
                round_number,
                item.external_id,
                strategy,
                opener,
                repr(temperature),
                number,
            )
            yield Place(item.id, opener, temperature, number, seed), item, image


def plan_ways(settings: LoopSettings, strategy: str) -> Iterator[tuple[str, float, int]]:
    """Yields opener, temperature and number of all draws of an item that are a strategy's, the same
    number of each opener and temperature as far as its share allows."""
    sampling, n_draws = settings.sampling, settings.draws_of(strategy)
    pairs = list(product(sampling.openers, sampling.temperatures))
    for (opener, temperature), n_own in zip(pairs, share_out(n_draws, len(pairs)), strict=True):
        for number in range(1, n_own + 1):
            yield opener, temperature, number


def make_until_enough(
    planned: Sequence[tuple[Place, Wish]],
    make: Callable[[Sequence[Wish]], Sequence[Made]],
    text_of: Callable[[Made], str],
    sampling: SamplingSettings,
) -> list[tuple[Place, Made]]:
    """Returns the draws that are made, with what came of them: all, unless the project has enough
    sooner. text_of: the text of what was made, "" where there is none.

    Whether an item is drawn again depends on its own texts alone, so it does not matter with which
    others it shares a shard or a batch.
    """
    if sampling.enough_distinct is None:
        made = make([wish for _, wish in planned])
        return [(place, one) for (place, _), one in zip(planned, made, strict=True)]
    found: list[tuple[Place, Made]] = []
    texts: dict[int, set[str]] = defaultdict(set)
    for number in range(1, sampling.n_samples + 1):
        wanted = [
            (place, wish)
            for place, wish in planned
            if place.number == number and len(texts[place.item_id]) < sampling.enough_distinct
        ]
        if not wanted:
            break
        made = make([wish for _, wish in wanted])
        for (place, _), one in zip(wanted, made, strict=True):
            found.append((place, one))
            text = text_of(one)
            if len(collapse(text)) >= sampling.min_characters:
                texts[place.item_id].add(text_key(text))
    return found
